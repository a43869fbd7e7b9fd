package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// ids is a made-up text of n ids of the backend's vocabulary; each salt has its own.
func ids(b backend.Backend, salt uint64, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(sample.Bits(salt, 77, int32(i)) % uint32(b.Info().VocabSize))
	}
	return out
}

// table is count pages from first on.
func table(first, count int) []backend.PageID {
	out := make([]backend.PageID, count)
	for i := range out {
		out[i] = backend.PageID(first + i)
	}
	return out
}

// step computes rows and gives copies of their outputs.
func step(b backend.Backend, rows ...backend.Row) ([]backend.RowOut, error) {
	batch := &backend.Batch{Rows: rows}
	if err := b.Launch(batch); err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	return collect(b, batch)
}

func collect(b backend.Backend, batch *backend.Batch) ([]backend.RowOut, error) {
	if err := b.Collect(batch); err != nil {
		return nil, fmt.Errorf("collect: %w", err)
	}
	if len(batch.Out) != len(batch.Rows) {
		return nil, fmt.Errorf("%d outputs for %d rows", len(batch.Out), len(batch.Rows))
	}
	outs := slices.Clone(batch.Out)
	for i := range outs {
		outs[i].Logits = slices.Clone(outs[i].Logits)
		outs[i].LogProbs = slices.Clone(outs[i].LogProbs)
		outs[i].Top = slices.Clone(outs[i].Top)
	}
	return outs, nil
}

// feed computes text from position start on, in chunks of at most size, and gives the logits
// after its last token.
func feed(b backend.Backend, pages []backend.PageID, text []int32, start, size int) ([]float32, error) {
	for {
		n := min(size, len(text))
		row := backend.Row{Tokens: text[:n], Start: start, Pages: pages, WantLogits: n == len(text)}
		out, err := step(b, row)
		if err != nil {
			return nil, fmt.Errorf("%d tokens at %d: %w", n, start, err)
		}
		if n == len(text) {
			if len(out[0].Logits) != b.Info().VocabSize {
				return nil, fmt.Errorf("%d logits, want %d", len(out[0].Logits), b.Info().VocabSize)
			}
			return out[0].Logits, nil
		}
		text, start = text[n:], start+n
	}
}

// same says how two rows of numbers differ in their bits, or nil.
func same(what string, got, want []float32) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	bad, first, most := 0, -1, 0.0
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			if bad++; first < 0 {
				first = i
			}
			most = max(most, math.Abs(float64(got[i])-float64(want[i])))
		}
	}
	if bad > 0 {
		return fmt.Errorf("%s: %d of %d numbers differ, by up to %.3g; number %d is %v, want %v",
			what, bad, len(got), most, first, got[first], want[first])
	}
	return nil
}
