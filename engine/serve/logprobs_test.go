//go:build native

package serve

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
)

// shape decodes log-probabilities again, refusing members that aren't OpenAI's.
func shape[T any](t *testing.T, c choice) T {
	t.Helper()
	b, err := json.Marshal(c.LogProbs)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}

func bytesOf(l likelyToken) []byte {
	var out []byte
	for _, b := range l.Bytes {
		out = append(out, byte(b))
	}
	return out
}

// TestChatLogProbs: one entry a token of the text, whose bytes joined are the text, streamed or
// whole; the end token has none.
func TestChatLogProbs(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	ask := story + `,"temperature":0,"max_tokens":400,"logprobs":true,"top_logprobs":3,"repetition_penalty":1.05`
	w := s.whole("/v1/chat/completions", `{`+ask+`}`)
	if *w.Choices[0].Finish != "stop" {
		t.Fatal("the story is cut")
	}
	got := shape[chatProbs](t, w.Choices[0])
	if len(got.Content) != w.Usage.Completion-1 {
		t.Errorf("%d entries for %d tokens, one of them the end", len(got.Content), w.Usage.Completion)
	}
	var joined []byte
	greedy := 0
	for i, c := range got.Content {
		joined = append(joined, bytesOf(c.likelyToken)...)
		if len(c.Top) != 3 || c.LogProb > 0 || c.Top[0].LogProb < c.Top[1].LogProb || c.LogProb > c.Top[0].LogProb {
			t.Fatalf("entry %d: %+v", i, c)
		}
		if c.Token == c.Top[0].Token {
			greedy++
		}
	}
	if string(joined) != text(w) {
		t.Errorf("the bytes joined are %q, the text is %q", joined, text(w))
	}
	if greedy == len(got.Content) || greedy == 0 {
		t.Errorf("%d of %d tokens were the likeliest: the penalty shows nowhere, or everywhere", greedy, len(got.Content))
	}
	var streamed []tokenProb
	for _, a := range s.streamed("/v1/chat/completions", `{`+ask+`,"stream":true}`) {
		if a.Choices[0].LogProbs != nil {
			streamed = append(streamed, shape[chatProbs](t, a.Choices[0]).Content...)
		}
	}
	a, _ := json.Marshal(streamed)
	b, _ := json.Marshal(got.Content)
	if string(a) != string(b) {
		t.Error("the stream's entries are others than the whole's")
	}
	none := s.whole("/v1/chat/completions", `{`+story+`,"max_tokens":2,"logprobs":true}`)
	if c := shape[chatProbs](t, none.Choices[0]).Content; len(c) != 2 || len(c[0].Top) != 0 {
		t.Errorf("without top_logprobs: %+v", c)
	}
	if _, body := s.post("/v1/chat/completions", `{`+story+`,"max_tokens":2}`); !strings.Contains(body, `"logprobs":null`) {
		t.Errorf("without logprobs: %s", body)
	}
}

// TestCompletionLogProbs: the older shape, with where each token begins.
func TestCompletionLogProbs(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	ask := `"prompt":"Once upon a time","max_tokens":30,"ignore_eos":true,"seed":3,"logprobs":2`
	w := s.whole("/v1/completions", `{`+ask+`}`)
	got := shape[completionProbs](t, w.Choices[0])
	if n := len(got.Tokens); n != 30 || len(got.TokenLogProbs) != n || len(got.Top) != n || len(got.TextOffset) != n {
		t.Fatalf("%+v", got)
	}
	said := []rune(text(w))
	for i, tok := range got.Tokens {
		if p, ok := got.Top[i][tok]; !ok || p != got.TokenLogProbs[i] || len(got.Top[i]) < 2 || len(got.Top[i]) > 3 {
			t.Errorf("token %d %q of %v: %v", i, tok, got.TokenLogProbs[i], got.Top[i])
		}
		if !strings.HasPrefix(tok, "<|") && !strings.HasPrefix(string(said[got.TextOffset[i]:]), tok) {
			t.Errorf("token %d %q is not at %d of %q", i, tok, got.TextOffset[i], text(w))
		}
	}
	var offsets []int
	for _, a := range s.streamed("/v1/completions", `{`+ask+`,"stream":true}`) {
		if a.Choices[0].LogProbs != nil {
			offsets = append(offsets, shape[completionProbs](t, a.Choices[0]).TextOffset...)
		}
	}
	if !slices.Equal(offsets, got.TextOffset) {
		t.Errorf("streamed, tokens begin at %v, whole at %v", offsets, got.TextOffset)
	}
	one := s.whole("/v1/completions", `{"prompt":"Once","max_tokens":1,"logprobs":0}`)
	if c := shape[completionProbs](t, one.Choices[0]); len(c.Top[0]) != 1 {
		t.Errorf("logprobs 0: %+v", c)
	}
}

// TestSpeller: parts of characters, silent tokens and impossible ones.
func TestSpeller(t *testing.T) {
	robot := "🤖"
	pieces := map[int32]string{0: robot[:2], 1: robot[2:], 2: "é!", 3: "<|im_end|>", 4: "x"}
	s := speller{
		piece: func(id int32) []byte { return []byte(pieces[id]) }, silent: func(id int32) bool { return id == 3 },
		api: completionAPI, top: 2,
	}
	inf := float32(math.Inf(-1))
	var list []drawn
	for _, id := range []int32{2, 0, 3, 1, 4} {
		list = append(list, drawn{id, &engine.LogProbs{Token: inf, Top: []backend.Likely{{ID: 4, LogProb: -1}, {ID: 4, LogProb: -2}}}})
	}
	got := s.write(list).(completionProbs)
	if want := []int{0, 2, 2, 2, 3}; !slices.Equal(got.TextOffset, want) {
		t.Errorf("offsets %v, want %v", got.TextOffset, want)
	}
	if want := []string{"é!", `bytes:\xf0\x9f`, "<|im_end|>", `bytes:\xa4\x96`, "x"}; !slices.Equal(got.Tokens, want) {
		t.Errorf("tokens %q, want %q", got.Tokens, want)
	}
	if got.TokenLogProbs[0] != -9999 || got.Top[0]["x"] != -1 || got.Top[4]["x"] != -9999 {
		t.Errorf("%+v", got)
	}
	s.api = chatAPI
	b, err := json.Marshal(s.write(list[1:2]))
	if want := `{"content":[{"token":"\\xf0\\x9f","logprob":-9999,"bytes":[240,159],"top_logprobs":[` +
		`{"token":"x","logprob":-1,"bytes":[120]},{"token":"x","logprob":-2,"bytes":[120]}]}],"refusal":null}`; err != nil || string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
}
