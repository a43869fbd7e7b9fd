//go:build native

package cpu

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/ref"
)

// doorPages and doorContext are small, so that random numbers meet their edges.
const doorPages, doorContext = 5, 200

// FuzzDoor throws random batches at the backend, sound ones and broken ones: it must
// refuse what the oracle refuses, take what the oracle takes, and compute the same.
// A number that check lets pass goes to C as an address.
func FuzzDoor(f *testing.F) {
	c := shapes()["odd"]
	dir := filepath.Join(f.TempDir(), "model")
	if err := model.SynthConfig(f.Context(), c, dir, model.SynthOptions{Seed: 1}); err != nil {
		f.Fatal(err)
	}
	for seed := range uint64(24) {
		f.Add(seed)
	}
	f.Add(uint64(40)) // reads what lay behind another sequence's end
	f.Fuzz(func(t *testing.T, seed uint64) {
		var held slots
		m := folder(t, dir)
		got := opened(t, m, Options{Pages: doorPages, MaxContext: doorContext})
		want, err := ref.Open(m, ref.Options{Pages: doorPages, MaxContext: doorContext})
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		r := rand.New(rand.NewPCG(seed, 11))
		for i := range 12 {
			rows := make([]backend.Row, 1+r.IntN(3))
			for j := range rows {
				rows[j] = doorRow(r, c.VocabSize)
			}
			a, b := &backend.Batch{Rows: rows}, &backend.Batch{Rows: rows}
			gotErr, wantErr := got.Launch(a), want.Launch(b)
			if (gotErr == nil) != (wantErr == nil) {
				t.Fatalf("batch %d: %v, the oracle says %v: %+v", i, gotErr, wantErr, rows)
			}
			if gotErr != nil {
				if got.Collect(a) == nil {
					t.Fatalf("batch %d was refused and can be collected", i)
				}
				continue
			}
			if err := got.Collect(a); err != nil {
				t.Fatal(err)
			}
			if err := want.Collect(b); err != nil {
				t.Fatal(err)
			}
			for j, ok := range held.after(rows) {
				if ok {
					sameOut(t, a.Out[j], b.Out[j])
				}
			}
		}
	})
}

// slots says of which positions of pages the contents aren't defined: those behind the last one that was written of a page, which
// a backend may clear, and what was computed from them. Pages begin as zeros.
type slots [doorPages][backend.PageTokens]bool

// after takes the rows of a batch that was computed, and says which of them read defined contents only.
func (s *slots) after(rows []backend.Row) []bool {
	ok := make([]bool, len(rows))
	for j, r := range rows {
		ok[j] = true
		for p := range r.Start {
			ok[j] = ok[j] && !s[r.Pages[p/backend.PageTokens]][p%backend.PageTokens]
		}
	}
	for j, r := range rows {
		for p := r.Start; p < r.Start+max(len(r.Tokens), 1); p++ { // a chained row has one
			page := &s[r.Pages[p/backend.PageTokens]]
			page[p%backend.PageTokens] = !ok[j]
			for i := p%backend.PageTokens + 1; i < len(page); i++ {
				page[i] = true
			}
		}
	}
	return ok
}

// sameOut compares what one row gave. A greedy token may differ where two logits are
// as close as the bound.
func sameOut(t *testing.T, got, want backend.RowOut) {
	t.Helper()
	within(t, "logits", got.Logits, want.Logits, logitBound)
	within(t, "log-probabilities", got.LogProbs, want.LogProbs, logitBound)
	if got.Token == want.Token {
		return
	}
	if got.Token < 0 || want.Token < 0 || math.Abs(float64(want.Logits[got.Token]-want.Logits[want.Token])) > 2*logitBound {
		t.Fatalf("token %d, want %d", got.Token, want.Token)
	}
}

// doorRow is a row that is sound more often than not, and else has a number that is
// off by a little or by all.
func doorRow(r *rand.Rand, vocab int) backend.Row {
	row := backend.Row{Start: r.IntN(70), Tokens: make([]int32, 1+r.IntN(20))}
	if r.IntN(4) == 0 {
		row.Tokens = make([]int32, r.IntN(doorContext+10))
	}
	for i := range row.Tokens {
		row.Tokens[i] = r.Int32N(int32(vocab))
	}
	for range admit.PagesFor(row.Start + len(row.Tokens)) {
		row.Pages = append(row.Pages, backend.PageID(r.IntN(doorPages)))
	}
	if r.IntN(2) == 0 { // pages that differ
		for i, p := range r.Perm(doorPages) {
			if i < len(row.Pages) {
				row.Pages[i] = backend.PageID(p)
			}
		}
	}
	row.WantLogits, row.WantAllLogProbs = r.IntN(2) == 0, r.IntN(3) == 0
	if r.IntN(2) == 0 {
		row.Sample, row.WantLogits = &backend.Sampling{}, true
	}
	if r.IntN(3) != 0 {
		return row
	}
	odd := []int{-1, math.MinInt32, math.MaxInt32, vocab, doorPages, doorContext, doorContext - 1, 64, 63}[r.IntN(9)]
	switch r.IntN(7) {
	case 0:
		row.Start = odd
	case 1:
		row.Start = []int{math.MaxInt, math.MinInt, math.MaxInt - len(row.Tokens)}[r.IntN(3)]
	case 2:
		if len(row.Tokens) > 0 {
			row.Tokens[r.IntN(len(row.Tokens))] = int32(odd)
		}
	case 3:
		if len(row.Pages) > 0 {
			row.Pages[r.IntN(len(row.Pages))] = backend.PageID(odd)
		}
	case 4:
		row.Pages = row.Pages[:r.IntN(len(row.Pages)+1)]
	case 5:
		row.Chained, row.ChainRow = true, odd
	case 6:
		nan := float32(math.NaN())
		row.Sample = &backend.Sampling{Temperature: []float32{-1, nan, 0}[r.IntN(3)], TopP: []float32{2, nan, -1}[r.IntN(3)], TopK: odd}
	}
	return row
}

func TestNoBatch(t *testing.T) {
	e := opened(t, checkpoint(t, shapes()["odd"]), Options{})
	if err := e.Launch(nil); err == nil {
		t.Error("launch of no batch: no error")
	}
	if err := e.Collect(nil); err == nil {
		t.Error("collect of no batch: no error")
	}
}
