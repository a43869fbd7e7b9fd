//go:build native

package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine"
)

// of joins what one choice says.
func of(index int, list ...answer) string {
	var mine []answer
	for _, a := range list {
		for _, c := range a.Choices {
			if c.Index == index {
				mine = append(mine, answer{Choices: []choice{c}})
			}
		}
	}
	return text(mine...)
}

// TestChoices: each is what its seed gives alone, streamed among the others or whole, and the prompt
// is counted once.
func TestChoices(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	const n, seed = 3, 5
	for name, c := range map[string]struct{ path, ask string }{
		"chat":       {"/v1/chat/completions", story + `,"max_tokens":40`},
		"completion": {"/v1/completions", `"prompt":"Once upon a time","max_tokens":40,"stop":[" and"]`},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			var alone [n]answer
			tokens := 0
			for i := range n {
				alone[i] = s.whole(c.path, fmt.Sprintf(`{%s,"seed":%d}`, c.ask, seed+i))
				tokens += alone[i].Usage.Completion
			}
			if text(alone[0]) == text(alone[1]) {
				t.Fatal("two seeds, one text")
			}
			w := s.whole(c.path, fmt.Sprintf(`{%s,"seed":%d,"n":%d}`, c.ask, seed, n))
			chunks := s.streamed(c.path, fmt.Sprintf(`{%s,"seed":%d,"n":%d,"stream":true,"stream_options":{"include_usage":true}}`, c.ask, seed, n))
			last := chunks[len(chunks)-1]
			if len(w.Choices) != n || w.Usage.Completion != tokens || w.Usage.Prompt != alone[0].Usage.Prompt || w.Usage.Total != w.Usage.Prompt+tokens {
				t.Errorf("%d choices, usage %+v; want the prompt once and %d", len(w.Choices), w.Usage, tokens)
			}
			if len(last.Choices) != 0 || *last.Usage != *w.Usage || last.Timings == nil {
				t.Errorf("the stream's last chunk %+v, the whole's usage %+v", last, w.Usage)
			}
			for i := range n {
				if w.Choices[i].Index != i || of(i, w) != text(alone[i]) || of(i, chunks...) != text(alone[i]) {
					t.Errorf("choice %d: whole %q, streamed %q, alone %q", i, of(i, w), of(i, chunks...), text(alone[i]))
				}
				var reasons []string
				for _, a := range chunks {
					for _, ch := range a.Choices {
						if ch.Index == i && ch.Finish != nil {
							reasons = append(reasons, *ch.Finish)
						} else if ch.Index == i && len(reasons) > 0 {
							t.Errorf("choice %d goes on after its end", i)
						}
					}
				}
				if want := *alone[i].Choices[0].Finish; len(reasons) != 1 || reasons[0] != want || *w.Choices[i].Finish != want {
					t.Errorf("choice %d ended by %v and %s, alone by %s", i, reasons, *w.Choices[i].Finish, want)
				}
			}
		})
	}
	s.t = t
	if st := s.engine.Stats(); st.PagesUsed != 0 || s.places.used.Load() != 0 {
		t.Errorf("%d pages in use, %d places taken", st.PagesUsed, s.places.used.Load())
	}
	free := s.whole("/v1/completions", `{"prompt":"Once","n":2,"max_tokens":30}`)
	if of(0, free) == of(1, free) {
		t.Error("without a seed both choices are one text")
	}
}

// TestChoicesTakePlaces: each counts against the server's limit.
func TestChoicesTakePlaces(t *testing.T) {
	s := newServer(t, slow(t), Options{MaxRequests: 3})
	if status, body := s.post("/v1/completions", `{"prompt":"a","n":4}`); status != 400 || !strings.Contains(body, `"param":"n"`) {
		t.Errorf("more choices than the server takes: %d %s", status, body)
	}
	resp, _ := begin(t, t.Context(), s.url)
	if status, body := s.post("/v1/completions", `{"prompt":"a","n":3,"max_tokens":1}`); status != 429 || !strings.Contains(body, "queue_full") {
		t.Errorf("3 choices beside a request: %d %s", status, body)
	}
	if status, body := s.post("/v1/completions", `{"prompt":"a","n":2,"max_tokens":1}`); status != 200 {
		t.Errorf("2 choices beside a request: %d %s", status, body)
	}
	_ = resp.Body.Close()
}

// TestSum: what went wrong in any choice is what the answer is about, and times are of all.
func TestSum(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	x := &exchange{choices: []*told{
		{end: &engine.Finish{Reason: engine.FinishStop, PromptTokens: 7, OutputTokens: 2, PrefillStart: at(3), PrefillEnd: at(4), End: at(5)}},
		{end: &engine.Finish{Reason: engine.FinishError, Err: errors.New("broken"), PromptTokens: 7, OutputTokens: 3, PrefillStart: at(2), PrefillEnd: at(6), End: at(9)}},
		{end: &engine.Finish{Reason: engine.FinishCancel, PromptTokens: 7, End: at(8)}},
	}}
	f := x.sum()
	if f.Reason != engine.FinishError || f.Err == nil || f.PromptTokens != 7 || f.OutputTokens != 5 {
		t.Errorf("%+v", f)
	}
	if f.PrefillStart != at(2) || f.PrefillEnd != at(4) || f.End != at(9) {
		t.Errorf("times %v %v %v", f.PrefillStart, f.PrefillEnd, f.End)
	}
}

// TestUsageInEachChunk: as vLLM's continuous_usage_stats.
func TestUsageInEachChunk(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	before := 0
	chunks := s.streamed("/v1/chat/completions", `{`+story+`,"max_tokens":20,"ignore_eos":true,"n":2,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`)
	for i, a := range chunks {
		if a.Usage == nil || a.Usage.Completion < before || a.Usage.Prompt != chunks[0].Usage.Prompt || a.Usage.Total != a.Usage.Prompt+a.Usage.Completion {
			t.Fatalf("chunk %d: %+v after %d tokens", i, a.Usage, before)
		}
		before = a.Usage.Completion
	}
	if first := chunks[0].Usage.Completion; before != 40 || first > 2 {
		t.Errorf("from %d to %d tokens, want from the first to 40", first, before)
	}
}

// TestEcho: the prompt's text comes first, whole or streamed, from text or ids.
func TestEcho(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	plain := text(s.whole("/v1/completions", `{"prompt":"Once upon","max_tokens":9,"seed":2}`))
	_, body := s.post("/tokenize", `{"prompt":"Once upon"}`)
	var ids struct{ Tokens []int32 }
	if err := json.Unmarshal([]byte(body), &ids); err != nil {
		t.Fatal(err)
	}
	list, _ := json.Marshal(ids.Tokens)
	for _, prompt := range []string{`"Once upon"`, string(list)} {
		ask := `"prompt":` + prompt + `,"max_tokens":9,"seed":2,"echo":true`
		if got := text(s.whole("/v1/completions", `{`+ask+`}`)); got != "Once upon"+plain {
			t.Errorf("%s: %q, want the prompt and %q", prompt, got, plain)
		}
		if got := text(s.streamed("/v1/completions", `{`+ask+`,"stream":true}`)...); got != "Once upon"+plain {
			t.Errorf("%s streamed: %q, want the prompt and %q", prompt, got, plain)
		}
	}
}

// TestPenaltiesOverHTTP: each does what it is for.
func TestPenaltiesOverHTTP(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	ask := func(more string) answer {
		return s.whole("/v1/completions", `{"prompt":"Once upon a time","temperature":0,"max_tokens":60`+more+`}`)
	}
	plain := text(ask(""))
	distinct := func(s string) float64 {
		words := strings.Fields(s)
		slices.Sort(words)
		n := float64(len(words))
		return float64(len(slices.Compact(words))) / n
	}
	for _, p := range []string{`,"repetition_penalty":1.3`, `,"presence_penalty":2`, `,"frequency_penalty":1.5`} {
		if got := text(ask(p)); distinct(got) <= distinct(plain) {
			t.Errorf("%s: %q repeats itself as much as %q", p, got, plain)
		}
	}
	if got := text(ask(`,"repetition_penalty":1,"presence_penalty":0,"frequency_penalty":0,"logit_bias":{},"min_tokens":0`)); got != plain {
		t.Errorf("neutral values change the text: %q, not %q", got, plain)
	}
	_, body := s.post("/tokenize", `{"prompt":" robot"}`)
	var ids struct{ Tokens []int32 }
	if err := json.Unmarshal([]byte(body), &ids); err != nil || len(ids.Tokens) != 1 {
		t.Fatalf("%v %s", err, body)
	}
	if got := text(ask(fmt.Sprintf(`,"logit_bias":{"%d":100},"max_tokens":3`, ids.Tokens[0]))); got != " robot robot robot" {
		t.Errorf("a bias of 100 for one token gave %q", got)
	}
	if got := text(ask(fmt.Sprintf(`,"max_tokens":200,"logit_bias":{"%d":-100}`, ids.Tokens[0]))); strings.Contains(got, " robot ") {
		t.Errorf("a token with a bias of -100 came: %q", got)
	}
	if status, body := s.post("/v1/completions", `{"prompt":"a","logit_bias":{"2048":1}}`); status != 400 || !strings.Contains(body, `"param":"logit_bias"`) {
		t.Errorf("a bias of no token: %d %s", status, body)
	}
	if status, body := s.post("/v1/completions", `{"prompt":"a","logit_bias":{"7":1,"07":2}}`); status != 400 || !strings.Contains(body, "two biases") {
		t.Errorf("two biases of one token: %d %s", status, body)
	}
	a := s.whole("/v1/chat/completions", `{`+story+`,"temperature":0,"max_tokens":400}`)
	if *a.Choices[0].Finish != "stop" {
		t.Fatalf("the story is cut: %+v", a)
	}
	least := a.Usage.Completion + 7
	b := s.whole("/v1/chat/completions", fmt.Sprintf(`{%s,"temperature":0,"max_tokens":400,"min_tokens":%d}`, story, least))
	if b.Usage.Completion <= least && *b.Choices[0].Finish == "stop" || !strings.HasPrefix(text(b), text(a)) {
		t.Errorf("%d tokens of at least %d, %q after %q", b.Usage.Completion, least, text(b), text(a))
	}
}

// TestHangUpEndsAllChoices: nothing is left behind when the client goes while several choices run.
func TestHangUpEndsAllChoices(t *testing.T) {
	e := slow(t)
	s := newServer(t, e, Options{})
	resp, err := http.Post(s.url+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"Once","max_tokens":900,"ignore_eos":true,"stream":true,"n":4}`))
	if err != nil {
		t.Fatal(err)
	}
	var one [16]byte
	if _, err := resp.Body.Read(one[:]); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	eventually(t, func() bool { return s.places.used.Load() == 0 })
	if st := e.Stats(); st.Cancelled != 4 || st.PagesUsed != 0 {
		t.Errorf("%+v, want 4 requests cancelled and no page in use", st)
	}
}

// eventually waits for what is bound to come.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it didn't come within a minute")
}
