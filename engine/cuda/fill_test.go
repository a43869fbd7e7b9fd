//go:build native

package cuda

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// covered holds the units of a batch against what attention has to be: every token and KV head once over every page up to its
// own, in groups that begin at multiples of four pages.
func covered(t *testing.T, b *block, s kernels.Shape, rows []backend.Row, parts int) {
	t.Helper()
	type place struct{ token, kv, page int }
	seen, used := map[place]int{}, map[uint32]bool{}
	for _, u := range b.units {
		if u.Part != kernels.Whole {
			if u.First%kernels.SplitPages != 0 || u.Pages > kernels.SplitPages || int(u.Count) > s.TileTokens() {
				t.Errorf("a part begins at page %d, has %d pages and %d tokens", u.First, u.Pages, u.Count)
			}
			if int(u.Part) >= parts || used[u.Part] {
				t.Errorf("part %d of %d is out of range, or twice", u.Part, parts)
			}
			used[u.Part] = true
		}
		for i := range int(u.Count) {
			for p := range int(u.Pages) {
				seen[place{int(u.Token) + i, int(u.KV), int(u.First) + p}]++
			}
		}
	}
	token := 0
	for _, r := range rows {
		for i := range admit.Tokens(&r) {
			for kv := range s.KVHeads {
				for p := range admit.PagesFor(r.Start + i + 1) {
					if n := seen[place{token, kv, p}]; n != 1 {
						t.Fatalf("token %d at position %d, KV head %d, page %d: attended %d times", token, r.Start+i, kv, p, n)
					}
				}
			}
			token++
		}
	}
}

// TestUnits fills random batches, also with too little room for parts.
func TestUnits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := kernels.Shape{Heads: 14, KVHeads: 2, HeadDim: 64, Vocab: 1000}
	for round := range 300 {
		f := filler{shape: s, parts: []int{0, 7, 100, maxParts}[round%4], edits: 100}
		b := newBlock(make([]byte, capacityOf(s, Options{MaxContext: 4096}).place().size), capacityOf(s, Options{MaxContext: 4096}))
		var rows []backend.Row
		tokens := 0
		for range 1 + r.IntN(20) {
			n := 1 + r.IntN([]int{1, 3, 40}[r.IntN(3)])
			if tokens += n; tokens > maxTokens {
				break
			}
			start := r.IntN(1000)
			rows = append(rows, backend.Row{Tokens: make([]int32, n), Start: start, Pages: make([]backend.PageID, admit.PagesFor(start+n))})
		}
		if _, err := f.fill(b, &backend.Batch{Rows: rows}); err != nil {
			t.Fatal(err)
		}
		covered(t, b, s, rows, f.parts)
		merged := map[uint32]int{}
		for _, m := range b.merges {
			merged[m.Token]++
		}
		for token, n := range merged {
			if n != 1 {
				t.Errorf("token %d is merged %d times", token, n)
			}
		}
	}
}

func TestTooManyEdits(t *testing.T) {
	s := kernels.Shape{Heads: 1, KVHeads: 1, HeadDim: 16, Vocab: 1000}
	f := filler{shape: s, parts: 10, edits: 3}
	b := newBlock(make([]byte, capacityOf(s, Options{MaxContext: 64}).place().size), capacityOf(s, Options{MaxContext: 64}))
	_, err := f.fill(b, &backend.Batch{Rows: []backend.Row{{
		Tokens: []int32{1}, Pages: []backend.PageID{0},
		Sample: &backend.Sampling{Edits: &backend.Edits{List: make([]backend.Edit, 4)}},
	}}})
	if err == nil || !strings.Contains(err.Error(), "row 0: 4 edits") {
		t.Errorf("got %v", err)
	}
}

func TestPagesWithin(t *testing.T) {
	n := memoryNeed{weights: 1 << 30, activations: 100 << 20, page: 1 << 20}
	free := int64(n.weights + n.activations + reserve + 200<<20)
	for _, c := range []struct {
		free            int64
		wanted, context int
		want            int
		words           string
	}{
		{free, 0, 32768, 200, ""},
		{free, 150, 32768, 150, ""},
		{free, 201, 32768, 0, "at most 200 pages of 64 positions fit"},
		{1 << 50, 0, 640, maxRows * 10, ""}, // no more than requests could fill
		{free - 150<<20, 0, 32768, 0, "leaves no room for a KV cache"},
		{1 << 20, 0, 64, 0, "weights take 1074 MB"},
	} {
		got, err := pagesWithin(n, c.free, c.wanted, c.context)
		if got != c.want || (err != nil) != (c.words != "") || err != nil && (!errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), c.words)) {
			t.Errorf("%+v: %d pages, error %v", c, got, err)
		}
	}
}
