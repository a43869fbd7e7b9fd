//go:build native

package cpu

import (
	"os"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/sample"
)

// TestLongContext fills a context of 32,768 positions, first by prefill and at its end by
// decoding, and compares with a computation of its own (goldentest.OneLayer). The best
// kernel set does so always, the others with PACELINE_DEEP=1.
func TestLongContext(t *testing.T) {
	s := goldentest.Long()
	m := goldentest.Make(t, s)
	n := s.Config.MaxPositions
	ids := goldentest.Prompt(n, s.Config.VocabSize)
	oracle, err := goldentest.NewOneLayer(m)
	if err != nil {
		t.Fatal(err)
	}
	positions := []int{0, 63, 64, 4095, 4096, 20000, n - 3, n - 2, n - 1}
	want := oracle.Logits(ids, positions)
	sets := Available()
	if os.Getenv("PACELINE_DEEP") == "" {
		sets = sets[:1]
	}
	for _, isa := range sets {
		t.Run(isa, func(t *testing.T) {
			b := openedAsIs(t, m, Options{ISA: isa})
			if got := b.Info().MaxContext; got != n {
				t.Fatalf("the context has %d positions, want %d", got, n)
			}
			table, at := pageList(n, 0, 1), 0
			for i, p := range positions {
				most := maxTokens
				if p >= n-2 { // decoding
					most = 1
				}
				for at <= p {
					end := min(at+most, p+1)
					row := backend.Row{Tokens: ids[at:end], Start: at, Pages: table, WantLogits: true, Sample: &backend.Sampling{}}
					out := step(t, b, row)[0]
					if at = end; at <= p {
						continue
					}
					wide := make([]float32, len(want[i]))
					for j, v := range want[i] {
						wide[j] = float32(v)
					}
					within(t, "logits", out.Logits, wide, goldentest.Float32(s, p+1))
					if best := sample.Argmax(wide); out.Token != best {
						t.Errorf("after position %d: greedy token %d, want %d", p, out.Token, best)
					}
				}
			}
			for start, tokens := range map[int]int{n: 1, n - 1: 2} {
				err := b.Launch(&backend.Batch{Rows: []backend.Row{{Tokens: ids[:tokens], Start: start, Pages: pageList(n+64, 0, 1)}}})
				if err == nil || !strings.Contains(err.Error(), "the context has 32768 positions") {
					t.Errorf("%d tokens from position %d: got error %v", tokens, start, err)
				}
			}
		})
	}
}
