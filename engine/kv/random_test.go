package kv

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

// verify holds the pool's books against the tables that hold its pages.
func verify(t *testing.T, p *Pool, tables ...*Table) {
	t.Helper()
	refs := make([]int32, len(p.refs))
	for _, tb := range tables {
		for _, id := range tb.pages {
			refs[id]++
		}
	}
	if !slices.Equal(refs, p.refs) {
		t.Fatalf("references %v, the tables have %v", p.refs, refs)
	}
	const free, idle, used = 1, 2, 3
	state := make([]int, len(p.refs))
	for _, id := range p.free {
		if state[id] != 0 || refs[id] != 0 || p.cache.entered(id) {
			t.Fatalf("page %d is free twice, or free and used or cached", id)
		}
		state[id] = free
	}
	age := map[backend.PageID]int{}
	for id := p.cache.oldest; id != none; id = p.cache.nodes[id].next {
		if state[id] != 0 || refs[id] != 0 || !p.cache.entered(id) {
			t.Fatalf("page %d is idle twice, or idle and free or used or not cached", id)
		}
		state[id] = idle
		age[id] = len(age)
	}
	for id := range refs {
		if refs[id] > 0 {
			state[id] = used
		}
		if state[id] == 0 {
			t.Fatalf("page %d has leaked", id)
		}
		if id := backend.PageID(id); p.cache.entered(id) {
			n := &p.cache.nodes[id]
			if got, _ := p.cache.find(n.parent, n.tokens[:]); got != id {
				t.Fatalf("page %d can't be found: its place has %d", id, got)
			}
			siblings := 0
			for c := *p.cache.children(n.parent); c != none; c = p.cache.nodes[c].older {
				if p.cache.nodes[c].parent != n.parent || !p.cache.entered(c) {
					t.Fatalf("page %d is in the list of those behind %d", c, n.parent)
				}
				if c == id {
					siblings++
				}
			}
			if siblings != 1 {
				t.Fatalf("page %d is %d times in its parent's list", id, siblings)
			}
			if n.parent == none {
				continue
			}
			if !p.cache.entered(n.parent) || state[id] == idle && refs[n.parent] == 0 && age[n.parent] < age[id] || refs[id] > refs[n.parent] {
				t.Fatalf("page %d is behind page %d, which isn't cached, is older or held by fewer", id, n.parent)
			}
		}
	}
	u := p.Usage()
	count := func(what int) (n int) {
		for _, s := range state {
			if s == what {
				n++
			}
		}
		return n
	}
	if u.Used != count(used) || u.Cached != count(idle) || p.Available() != len(refs)-u.Used || u.Peak < u.Used || u.Cached > p.cache.limit {
		t.Fatalf("%+v and %d available, counted %d used and %d cached", u, p.Available(), count(used), count(idle))
	}
}

// ages holds the idle pages after a change against those before it: who stays keeps its place, new
// ones come last, and who was evicted was older than all that stay.
func ages(t *testing.T, p *Pool, before []backend.PageID) []backend.PageID {
	t.Helper()
	var now []backend.PageID
	for id := p.cache.oldest; id != none; id = p.cache.nodes[id].next {
		now = append(now, id)
	}
	kept, evicted := 0, true
	for _, id := range before {
		at := slices.Index(now, id)
		switch {
		case at == kept && at >= 0:
			kept++
			evicted = false
		case p.refs[id] > 0 || at > kept: // held again, and maybe let go since
		case !p.cache.entered(id) && !evicted:
			t.Fatalf("page %d was evicted, and an older one stays: %v, then %v", id, before, now)
		}
	}
	return now
}

// sequence is a table and what is computed of it.
type sequence struct {
	table    *Table
	tokens   []int32
	computed int
}

// TestRandomHistories starts, grows, computes, adopts and frees at random, with texts that share
// beginnings. What every page holds is written down apart, as a backend would have it: a table must
// always find the tokens of its own sequence in its pages, whoever computed them.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 2))
		limit := rng.IntN(13)
		p := NewPool(12, limit)
		if rng.IntN(3) == 0 && limit > 0 {
			p.cache.hash = func(_ uint64, tokens []int32) uint64 { return uint64(tokens[0] & 1) } // collides
		}
		store := make([][pageTokens]int32, 12)
		var live []*sequence
		tables := func() (all []*Table) {
			for _, s := range live {
				all = append(all, s.table)
			}
			return all
		}
		var idle []backend.PageID
		for range 400 {
			switch op := rng.IntN(5); {
			case op == 0 && len(live) < 5:
				n := 1 + rng.IntN(300)
				s := &sequence{tokens: text(n, int32(rng.IntN(2)), int32(rng.IntN(2)), int32(rng.IntN(2)), int32(rng.IntN(2)), 0)}
				available, needed := p.Available(), PagesFor(n)
				found, held := p.Cached(s.tokens)
				s.table, s.computed = p.NewTable(s.tokens, n, rng.IntN(4) > 0)
				if s.table.share && s.computed != found*pageTokens || !s.table.share && s.computed != 0 {
					t.Fatalf("%d positions found, %d pages were cached", s.computed, found)
				}
				if s.table.share && p.Available() != available-(found-held) {
					t.Fatalf("%d available, then %d, with %d pages found and %d held", available, p.Available(), found, held)
				}
				if s.table.share {
					needed -= held
				}
				if err := s.table.Grow(n); (err == nil) != (needed <= available) {
					t.Fatalf("%d pages needed of %d: error %v", needed, available, err)
				} else if err != nil {
					s.table.Free()
					break
				}
				if rng.IntN(2) == 0 {
					s.computed += s.table.Begin(s.tokens, func(dst, src backend.PageID, n int) error {
						if p.refs[dst] != 1 || !p.cache.entered(src) {
							t.Fatalf("page %d, held %d times, is copied from page %d", dst, p.refs[dst], src)
						}
						copy(store[dst][:n], store[src][:n])
						return nil
					})
				}
				live = append(live, s)
			case op == 1 && len(live) > 0:
				i := rng.IntN(len(live))
				live[i].table.Free()
				live = slices.Delete(live, i, i+1)
			case op == 2 && len(live) > 0:
				if s := live[rng.IntN(len(live))]; s.computed%pageTokens == 0 {
					s.computed += s.table.Adopt(s.tokens)
				}
			case len(live) > 0:
				s := live[rng.IntN(len(live))]
				for n := rng.IntN(100); n > 0 && s.computed < len(s.tokens); n-- {
					id := s.table.Pages()[s.computed/pageTokens]
					if p.refs[id] != 1 {
						t.Fatalf("page %d is written and held %d times", id, p.refs[id])
					}
					store[id][s.computed%pageTokens] = s.tokens[s.computed]
					s.computed++
				}
				s.table.Enter(s.tokens[:s.computed])
			}
			verify(t, p, tables()...)
			idle = ages(t, p, idle)
			for _, s := range live {
				for i := range s.computed {
					if got := store[s.table.Pages()[i/pageTokens]][i%pageTokens]; got != s.tokens[i] {
						t.Fatalf("seed %d: position %d holds token %d, want %d", seed, i, got, s.tokens[i])
					}
				}
			}
		}
		for _, s := range live {
			s.table.Free()
		}
		verify(t, p)
	}
}
