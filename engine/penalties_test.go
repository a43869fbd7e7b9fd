//go:build native

package engine

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// TestLogProbsAreTheModels: whatever penalties and temperature did to a draw, what stands beside it
// is what Score says of the same text.
func TestLogProbsAreTheModels(t *testing.T) {
	e := robots(t, Options{MaxContext: 512})
	r := Request{
		Prompt: question(t, e), MaxTokens: 24, IgnoreEOS: true, LogProbs: 5,
		Sampling:  backend.Sampling{Temperature: 1.5, Seed: 4},
		Penalties: sample.Penalties{Repetition: 1.3, Frequency: 0.5},
	}
	text := slices.Clone(r.Prompt)
	for i, ev := range submit(t, e, r) {
		if ev.Token < 0 {
			break
		}
		score, err := e.Score(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		want, of := sample.Top(nil, score.LastLogits, ev.Token, r.LogProbs)
		if ev.LogProbs == nil || math.Abs(float64(ev.LogProbs.Token-of)) > 1e-4 || len(ev.LogProbs.Top) != r.LogProbs {
			t.Fatalf("token %d: %+v, want %v", i, ev.LogProbs, of)
		}
		for k, l := range ev.LogProbs.Top {
			if l.ID != want[k].ID || math.Abs(float64(l.LogProb-want[k].LogProb)) > 1e-4 {
				t.Errorf("token %d, place %d: %+v, want %+v", i, k, l, want[k])
			}
		}
		text = append(text, ev.Token)
	}
	r.LogProbs = 0
	for _, ev := range submit(t, e, r) {
		if ev.LogProbs != nil {
			t.Fatal("nobody asked for log-probabilities")
		}
	}
}

// TestPenalisedGreedyIsTransformers: ids that transformers' generate gives for the shipped model in
// float32 (transformers 5.24.0, do_sample=False, with repetition_penalty and min_new_tokens).
func TestPenalisedGreedyIsTransformers(t *testing.T) {
	e := robots(t, Options{MaxContext: 512})
	for name, c := range map[string]struct {
		p    sample.Penalties
		min  int
		want []int32
	}{
		GOLDENS
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{Prompt: question(t, e), MaxTokens: 160, MinTokens: c.min, Penalties: c.p}
			if got := ids(submit(t, e, r)); !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// TestPenaltiesAloneAndTogether holds greedy draws with each penalty against a naive loop
// over Score, first alone and then all at once with others between them.
func TestPenaltiesAloneAndTogether(t *testing.T) {
	e := robots(t, Options{MaxContext: 256, KVBytes: 10 << 20})
	prompt := question(t, e)
	all := []sample.Penalties{
		{},
		{Presence: 1.5},
		{Frequency: 0.6},
		{Presence: -0.5, Frequency: -0.2},
		{Bias: []sample.Bias{{ID: 300, Add: 5}, {ID: 11, Add: -100}}},
		{Repetition: 1.2, Presence: 0.5, Frequency: 0.3, Bias: []sample.Bias{{ID: 300, Add: 5}}},
	}
	request := func(p sample.Penalties) Request {
		return Request{Prompt: prompt, MaxTokens: 30, IgnoreEOS: true, Penalties: p}
	}
	var want [][]int32
	for _, p := range all {
		text := slices.Clone(prompt)
		for range 30 {
			score, err := e.Score(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, sample.Argmax(penalised(score.LastLogits, p, prompt, text[len(prompt):])))
		}
		want = append(want, text[len(prompt):])
		if got := ids(submit(t, e, request(p))); !slices.Equal(got, text[len(prompt):]) {
			t.Errorf("%+v: got %v, want %v", p, got, text[len(prompt):])
		}
	}
	for i := range want[1:] {
		if slices.Equal(want[0], want[i+1]) {
			t.Errorf("%+v changes nothing here: it tests nothing", all[i+1])
		}
	}
	var streams []*Stream
	for i := range 4 * len(all) {
		s, err := e.Submit(t.Context(), request(all[i%len(all)]))
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for i, s := range streams {
		if got := ids(read(t, s)); !slices.Equal(got, want[i%len(all)]) {
			t.Errorf("%+v together: got %v, want %v", all[i%len(all)], got, want[i%len(all)])
		}
	}
}

// penalised is the formulas, from the whole history.
func penalised(logits []float32, p sample.Penalties, prompt, generated []int32) []float32 {
	out := slices.Clone(logits)
	counts := map[int32]float64{}
	for _, id := range generated {
		counts[id]++
	}
	for i := range out {
		id, l := int32(i), float64(out[i])
		if p.Repetition != 0 && (counts[id] > 0 || slices.Contains(prompt, id)) {
			if l > 0 {
				l /= float64(p.Repetition)
			} else {
				l *= float64(p.Repetition)
			}
		}
		if c := counts[id]; c > 0 {
			l -= float64(p.Frequency)*c + float64(p.Presence)
		}
		for _, b := range p.Bias {
			if b.ID == id {
				l += float64(b.Add)
			}
		}
		out[i] = float32(l)
	}
	return out
}

// TestMinTokens: end ids are not drawn, and stop texts don't count, until there are enough tokens; then
// they do.
func TestMinTokens(t *testing.T) {
	e := robots(t, Options{MaxContext: 512})
	prompt := question(t, e)
	free := submit(t, e, Request{Prompt: prompt, MaxTokens: 400})
	n := finish(free).OutputTokens
	if finish(free).Reason != FinishStop || n < 20 {
		t.Fatalf("the story ends by %s after %d tokens", finish(free).Reason, n)
	}
	longer := submit(t, e, Request{Prompt: prompt, MaxTokens: 400, MinTokens: n + 10})
	if f := finish(longer); f.OutputTokens <= n+10 && f.Reason == FinishStop {
		t.Errorf("it ended by %s after %d tokens, want more than %d", f.Reason, f.OutputTokens, n+10)
	}
	got := ids(longer)
	if !slices.Equal(got[:n-1], ids(free)[:n-1]) {
		t.Error("it began otherwise")
	}
	for _, id := range got[:n+10] {
		if slices.Contains(e.EOS(), id) {
			t.Errorf("the end token is among the first %d", n+10)
		}
	}
	// The first token as a stop token, and a text that comes early and again later.
	ends := submit(t, e, Request{Prompt: prompt, MaxTokens: 40, MinTokens: 5, StopTokens: ids(free)[:1], IgnoreEOS: true})
	if slices.Contains(ids(ends)[:5], ids(free)[0]) {
		t.Error("a stop token was drawn before its time")
	}
	stopped := submit(t, e, Request{Prompt: prompt, MaxTokens: 400, MinTokens: 12, Stop: []string{" the", "e"}})
	if f, said := finish(stopped), text(stopped); f.Reason != FinishStop || f.OutputTokens <= 12 || !strings.Contains(said, "e") || !strings.HasPrefix(text(free), said) {
		t.Errorf("ended by %s after %d tokens: %q", f.Reason, f.OutputTokens, said)
	}
}
