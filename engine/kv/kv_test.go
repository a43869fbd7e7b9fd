package kv

import (
	"errors"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

const pageTokens = backend.PageTokens

func TestPagesFor(t *testing.T) {
	for positions, want := range map[int]int{-1: 0, 0: 0, 1: 1, 63: 1, 64: 1, 65: 2, 128: 2, 129: 3} {
		if got := PagesFor(positions); got != want {
			t.Errorf("PagesFor(%d) = %d, want %d", positions, got, want)
		}
	}
}

// text is n tokens that begin as other texts of the same salts do: page i depends on salts[i], the
// last one of them for all that follow.
func text(n int, salts ...int32) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i) + 1000*salts[min(i/pageTokens, len(salts)-1)]
	}
	return ids
}

// filled is a table of the tokens, all of them computed.
func filled(t *testing.T, p *Pool, tokens []int32) *Table {
	t.Helper()
	tb, _ := p.NewTable(tokens, len(tokens), true)
	if err := tb.Grow(len(tokens)); err != nil {
		t.Fatal(err)
	}
	tb.Enter(tokens)
	return tb
}

func TestGrow(t *testing.T) {
	p := NewPool(4, 0)
	a, _ := p.NewTable(nil, 200, false)
	b, _ := p.NewTable(nil, 64, false)
	for _, positions := range []int{1, 64, 65, 129} {
		if err := a.Grow(positions); err != nil {
			t.Fatal(err)
		}
		if got := len(a.Pages()); got != PagesFor(positions) {
			t.Errorf("%d pages for %d positions", got, positions)
		}
	}
	if err := b.Grow(65); !errors.Is(err, ErrNoPages) || len(b.Pages()) != 0 {
		t.Errorf("2 pages wanted of the 1 left: error %v and %d pages, want ErrNoPages and none", err, len(b.Pages()))
	}
	if err := b.Grow(64); err != nil {
		t.Error(err)
	}
	if a.Gives() != 3 || p.Available() != 0 {
		t.Errorf("it would give %d with %d available, want 3 and 0", a.Gives(), p.Available())
	}
	a.Free()
	a.Free()
	b.Free()
	if got, want := p.Usage(), (Usage{Total: 4, Peak: 4}); got != want {
		t.Errorf("usage %+v, want %+v", got, want)
	}
}

// TestPrefixes: what a text shares with one before it, in whole pages, is found.
func TestPrefixes(t *testing.T) {
	p := NewPool(16, 16)
	first := filled(t, p, text(200, 1, 2, 3))
	for _, c := range []struct {
		name   string
		tokens []int32
		found  int
	}{
		{"the same", text(200, 1, 2, 3), 192},
		{"the same and more", text(500, 1, 2, 3), 192},
		{"its pages and nothing more", text(192, 1, 2, 3), 192},
		{"one token less than a page", text(63, 1), 0},
		{"one page", text(64, 1), 64},
		{"another second page", text(200, 1, 9, 3), 64},
		{"the second page without the first", text(200, 2), 0},
		{"another first page", text(200, 9, 2, 3), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			pages, held := p.Cached(c.tokens)
			tb, found := p.NewTable(c.tokens, len(c.tokens), true)
			if found != c.found || pages*pageTokens != c.found || held != pages {
				t.Errorf("%d positions found, %d pages, %d of them held; want %d positions", found, pages, held, c.found)
			}
			if !slices.Equal(tb.Pages(), first.Pages()[:pages]) {
				t.Errorf("pages %v, want the first of %v", tb.Pages(), first.Pages())
			}
			tb.Free()
			verify(t, p, first)
		})
	}
	pages := slices.Clone(first.Pages())
	first.Free()
	if u := p.Usage(); u.Used != 0 || u.Cached != 3 || p.Available() != 16 {
		t.Errorf("after it was freed: %+v and %d available, want 3 cached and all available", u, p.Available())
	}
	again, found := p.NewTable(text(200, 1, 2, 3), 200, true)
	if found != 192 || !slices.Equal(again.Pages(), pages[:3]) {
		t.Errorf("after it was freed: %d positions in pages %v, want 192 in %v", found, again.Pages(), pages[:3])
	}
	if u := p.Usage(); u.Used != 3 || u.Cached != 0 {
		t.Errorf("held again: %+v", u)
	}
	if other, found := p.NewTable(text(200, 1, 2, 3), 200, false); found != 0 || len(other.Pages()) != 0 {
		t.Errorf("a table that doesn't share found %d positions", found)
	}
}

// TestPartsOfPages: what a text shares with a page in part is copied from it.
func TestPartsOfPages(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []int32
		found  int // in whole pages
		copied int
	}{
		{"the beginning of the first page", text(40, 1), 0, 40},
		{"all of it but its last token", text(63, 1), 0, 63},
		{"the beginning of the second page", text(100, 1, 2), 64, 36},
		{"a second page that differs from some token on", append(text(90, 1, 2), 1, 2, 3), 64, 26},
		{"the nearer of two", append(text(84, 1, 3), 9), 64, 20},
		{"too little", append(text(79, 1, 3), 9), 64, 0},
		{"nothing of a second page", text(100, 1, 8), 64, 0},
		{"nothing", text(100, 8), 0, 0},
		{"behind whole pages only", text(128, 1, 2), 128, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewPool(16, 16)
			filled(t, p, text(128, 1, 2)).Free()
			filled(t, p, text(128, 1, 3)).Free()
			before := p.Usage().HitTokens
			tb, found := p.NewTable(c.tokens, len(c.tokens), true)
			if err := tb.Grow(len(c.tokens)); err != nil {
				t.Fatal(err)
			}
			n := tb.Begin(c.tokens, func(dst, src backend.PageID, tokens int) error {
				if !slices.Equal(p.cache.nodes[src].tokens[:tokens], c.tokens[found:found+tokens]) || dst != tb.Pages()[found/pageTokens] {
					t.Errorf("%d tokens copied of page %d to page %d", tokens, src, dst)
				}
				return nil
			})
			if found != c.found || n != c.copied {
				t.Errorf("%d positions found and %d copied, want %d and %d", found, n, c.found, c.copied)
			}
			if got := p.Usage().HitTokens - before; got != uint64(c.found+c.copied) {
				t.Errorf("%d hits", got)
			}
			if again := tb.Begin(c.tokens, func(_, _ backend.PageID, _ int) error { return errors.New("broken") }); again != 0 {
				t.Errorf("%d positions of a copy that failed", again)
			}
			verify(t, p, tb)
		})
	}
}

// TestOneOfTwins: two sequences that compute the same text at the same time end up with the same
// pages, and a late one adopts what others have computed meanwhile.
func TestOneOfTwins(t *testing.T) {
	p := NewPool(12, 12)
	tokens := text(150, 5, 6, 7)
	var tables []*Table
	for range 3 {
		tb, _ := p.NewTable(tokens, 150, true)
		if err := tb.Grow(150); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, tb)
	}
	a, b, c := tables[0], tables[1], tables[2]
	a.Enter(tokens[:70])
	b.Enter(tokens[:130])
	if found := c.Adopt(tokens); found != 128 {
		t.Errorf("adopted %d positions, want 128", found)
	}
	a.Enter(tokens)
	verify(t, p, a, b, c)
	if !slices.Equal(a.Pages()[:2], b.Pages()[:2]) || !slices.Equal(a.Pages()[:2], c.Pages()[:2]) {
		t.Errorf("pages %v, %v and %v, want the first two of each the same", a.Pages(), b.Pages(), c.Pages())
	}
	if got := p.Usage().Used; got != 5 {
		t.Errorf("%d pages used, want 2 together and 3 apart", got)
	}
	if a.Gives() != 1 {
		t.Errorf("freeing one would give %d pages, want 1", a.Gives())
	}
}

// TestTheOldestGoes: pages are taken back in the order in which they were used last, the end of a
// text before its beginning.
func TestTheOldestGoes(t *testing.T) {
	p := NewPool(6, 6)
	a, b := filled(t, p, text(128, 1, 2)), filled(t, p, text(192, 3, 4, 5))
	a.Free()
	b.Free()
	if again, found := p.NewTable(text(64, 1), 64, true); found != 64 { // its first page is used once more
		t.Fatalf("found %d", found)
	} else {
		again.Free()
	}
	taker, _ := p.NewTable(nil, 400, false)
	// The one page that is free is taken first.
	for n, left := range []struct{ a, b int }{{2, 3}, {2, 3}, {1, 3}, {1, 2}, {1, 1}, {1, 0}} {
		inA, _ := p.Cached(text(128, 1, 2))
		inB, _ := p.Cached(text(192, 3, 4, 5))
		if inA != left.a || inB != left.b {
			t.Errorf("with %d pages taken, %d and %d are left of the texts, want %d and %d", n, inA, inB, left.a, left.b)
		}
		if err := taker.Grow(64 * (n + 1)); err != nil {
			t.Fatal(err)
		}
		verify(t, p, taker)
	}
	if u := p.Usage(); u.EvictedTokens != 5*pageTokens || u.Cached != 0 {
		t.Errorf("%+v, want 5 pages evicted", u)
	}
}

func TestCap(t *testing.T) {
	p := NewPool(10, 3)
	for i := range int32(4) {
		filled(t, p, text(128, 10*i, 10*i+1)).Free()
		if u := p.Usage(); u.Cached != min(2*int(i+1), 3) || u.Used != 0 || p.Available() != 10 {
			t.Errorf("after %d texts: %+v", i+1, u)
		}
		verify(t, p)
	}
	if found, _ := p.Cached(text(128, 30, 31)); found != 2 {
		t.Errorf("%d pages of the newest text, want 2", found)
	}
	if found, _ := p.Cached(text(128, 20, 21)); found != 1 {
		t.Errorf("%d pages of the one before it, want 1", found)
	}
}

// TestCollisions: with hashes that say nothing, tokens and what precedes them still decide.
func TestCollisions(t *testing.T) {
	p := NewPool(24, 24)
	p.cache.hash = func(uint64, []int32) uint64 { return 7 }
	var tables []*Table
	texts := [][]int32{text(128, 1, 2), text(128, 1, 3), text(128, 2, 2), text(128, 2, 1), text(128, 3, 2)}
	for _, ids := range texts {
		tables = append(tables, filled(t, p, ids))
		verify(t, p, tables...)
	}
	for i, ids := range texts {
		tb, found := p.NewTable(ids, 128, true)
		if found != 128 || !slices.Equal(tb.Pages(), tables[i].Pages()) {
			t.Errorf("text %d: %d positions in %v, want those of %v", i, found, tb.Pages(), tables[i].Pages())
		}
		tb.Free()
	}
	for _, tb := range tables {
		tb.Free()
	}
	taker, _ := p.NewTable(nil, 24*64, false)
	if err := taker.Grow(24 * 64); err != nil {
		t.Fatal(err)
	}
	verify(t, p, taker)
}

// TestHashIsKeyed: two processes don't share collisions.
func TestHashIsKeyed(t *testing.T) {
	a, b := NewPool(1, 1), NewPool(1, 1)
	ids := text(64, 1)
	if a.cache.hash(0, ids) == b.cache.hash(0, ids) {
		t.Error("two pools hash alike")
	}
	first := a.cache.hash(0, ids)
	if other := a.cache.hash(1, ids); other == first {
		t.Error("the hash says nothing of what precedes a page")
	}
	if again := a.cache.hash(0, ids); again != first {
		t.Error("the hash of the same page has changed")
	}
}

func TestMisusePanics(t *testing.T) {
	for name, misuse := range map[string]func(*Pool){
		"release of a free page": func(p *Pool) { p.release(0) },
		"retain of a free page":  func(p *Pool) { p.retain(0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse(NewPool(1, 1))
		})
	}
}

func TestNothingIsAllocated(t *testing.T) {
	p := NewPool(8, 8)
	tokens := text(512, 1, 2, 3, 4)
	tb, _ := p.NewTable(nil, 512, true)
	salt := int32(0)
	if n := testing.AllocsPerRun(50, func() {
		salt++
		tokens[0] = salt // another text each time, so that all pages are evicted each time
		if err := tb.Grow(512); err != nil {
			t.Fatal(err)
		}
		tb.Enter(tokens)
		tb.Free()
		p.Cached(tokens)
		tb.Adopt(tokens)
		tb.Free()
	}); n != 0 {
		t.Errorf("%v allocations a run, want none", n)
	}
	if p.Usage().EvictedTokens == 0 {
		t.Error("nothing was evicted")
	}
}
