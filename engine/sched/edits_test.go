package sched

import (
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// TestEditsAndLogProbs: a job's edits follow its own tokens, whoever runs beside it, and what was
// likely comes before each token.
func TestEditsAndLogProbs(t *testing.T) {
	l := New(newFake(64), Options{})
	defer l.Close()
	prompt := []int32{3, 1, 4}
	ask := func(seed uint64, p sample.Penalties) (*record, *[]float32) {
		r, probs := newRecord(), &[]float32{}
		j := Job{
			Prompt: prompt, MaxTokens: 20, Sampling: backend.Sampling{Temperature: 1, Seed: seed}, Sink: r,
			Editor: sample.NewEditor(p, prompt, nil, 0), TopLogProbs: 2,
			LogProbs: func(ofToken float32, top []backend.Likely) {
				if len(top) != 2 || ofToken > top[0].LogProb || len(*probs) != len(r.ids) {
					t.Errorf("token %d: %v of %v", len(r.ids), ofToken, top)
				}
				*probs = append(*probs, ofToken)
			},
		}
		if err := l.Submit(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		return r, probs
	}
	var together []*record
	for seed := range uint64(5) {
		r, _ := ask(seed, sample.Penalties{Presence: 1000})
		together = append(together, r)
	}
	for seed, r := range together {
		r.wait(t)
		alone, probs := ask(uint64(seed), sample.Penalties{Presence: 1000})
		alone.wait(t)
		if !slices.Equal(alone.ids, r.ids) || len(*probs) != 20 {
			t.Errorf("seed %d: %v together, %v alone, %d log-probabilities", seed, r.ids, alone.ids, len(*probs))
		}
		if once := slices.Compact(slices.Sorted(slices.Values(r.ids))); len(once) != 20 {
			t.Errorf("seed %d: an id came twice in %v", seed, r.ids)
		}
	}
}
