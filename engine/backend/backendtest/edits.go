package backendtest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// edits are some for every kind of entry.
func edits(b backend.Backend) *backend.Edits {
	last := int32(b.Info().VocabSize - 1)
	return &backend.Edits{Repetition: 1.7, List: []backend.Edit{
		{ID: 0, Repeat: true}, {ID: 3, Repeat: true, Add: -0.75}, {ID: 4, Add: 1.5}, {ID: 7, Add: float32(math.Inf(-1))}, {ID: last, Add: -2.25},
	}}
}

// editsAsDefined forbids what was drawn, again and again, and draws from a row of edits of all
// kinds. The logits stay as the model gave them.
func editsAsDefined(b backend.Backend) error {
	text := ids(b, 47, 20)
	ask := func(s backend.Sampling) (backend.RowOut, error) {
		out, err := step(b, backend.Row{Tokens: text, Pages: table(0, 1), Sample: &s, WantLogits: true})
		if err != nil {
			return backend.RowOut{}, err
		}
		if want := sample.Token(slices.Clone(out[0].Logits), s); out[0].Token != want {
			return out[0], fmt.Errorf("%d edits: drew %d, engine/sample draws %d from the same logits", len(s.Edits.List), out[0].Token, want)
		}
		return out[0], nil
	}
	plain, err := feed(b, table(1, 1), text, 0, MinTokens)
	if err != nil {
		return err
	}
	forbidden := &backend.Edits{}
	for range 12 {
		out, err := ask(backend.Sampling{Edits: forbidden})
		if err != nil {
			return err
		}
		if err := same("logits beside edits", out.Logits, plain); err != nil {
			return err
		}
		at, twice := slices.BinarySearchFunc(forbidden.List, out.Token, func(e backend.Edit, id int32) int { return int(e.ID - id) })
		if twice {
			return fmt.Errorf("drew %d, which is forbidden", out.Token)
		}
		forbidden.List = slices.Insert(forbidden.List, at, backend.Edit{ID: out.Token, Add: float32(math.Inf(-1))})
	}
	for seed := range uint64(40) {
		if _, err := ask(backend.Sampling{Temperature: 2, TopP: 0.9, Seed: seed, Position: 20, Edits: edits(b)}); err != nil {
			return err
		}
	}
	return nil
}

// likeliest holds the log-probabilities beside a draw against the logits, with edits and without.
func likeliest(b backend.Backend) error {
	const tolerance = 1e-4
	text := ids(b, 48, 20)
	for _, n := range []int{1, 5, backend.MaxTopLogProbs} {
		for _, e := range []*backend.Edits{nil, edits(b)} {
			s := backend.Sampling{Temperature: 1.5, Seed: uint64(n), Position: 20, Edits: e}
			out, err := step(b,
				backend.Row{Tokens: text, Pages: table(0, 1), Sample: &s, WantLogits: true, TopLogProbs: n},
				backend.Row{Tokens: text, Pages: table(1, 1), Sample: &s})
			if err != nil {
				return err
			}
			if len(out[1].Top) != 0 || out[1].Token != out[0].Token {
				return errors.New("a row that didn't ask got likely ids, or another token")
			}
			want, of := sample.Top(nil, out[0].Logits, out[0].Token, n)
			if len(out[0].Top) != n || !near(out[0].TokenLogProb, of, tolerance) {
				return fmt.Errorf("%d likely ids, and %v for the token; want %d and %v", len(out[0].Top), out[0].TokenLogProb, n, of)
			}
			for i, got := range out[0].Top {
				if got.ID != want[i].ID || !near(got.LogProb, want[i].LogProb, tolerance) {
					return fmt.Errorf("likely id %d is %+v, the logits say %+v", i, got, want[i])
				}
			}
		}
	}
	return nil
}

func near(a, b float32, tolerance float64) bool {
	return a == b || math.Abs(float64(a)-float64(b)) <= tolerance
}
