package kv

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

func TestPagesFor(t *testing.T) {
	for positions, want := range map[int]int{0: 0, 1: 1, 63: 1, 64: 1, 65: 2, 128: 2, 129: 3} {
		if got := PagesFor(positions); got != want {
			t.Errorf("PagesFor(%d) = %d, want %d", positions, got, want)
		}
	}
}

func TestPromisesAreKept(t *testing.T) {
	p := NewPool(4)
	a, err := p.NewTable(129) // 3 pages
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.NewTable(65); !errors.Is(err, ErrNoPages) {
		t.Fatalf("2 pages promised of the 1 left: error %v, want ErrNoPages", err)
	}
	b, err := p.NewTable(64)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Usage(); got.Used != 0 {
		t.Errorf("%d pages used before anything grew", got.Used)
	}
	for _, positions := range []int{1, 64, 65, 129} {
		if err := a.Grow(positions); err != nil {
			t.Fatal(err)
		}
		if got := len(a.Pages()); got != PagesFor(positions) {
			t.Errorf("%d pages for %d positions", got, positions)
		}
	}
	if err := a.Grow(193); !errors.Is(err, ErrNoPages) {
		t.Errorf("growing beyond the promise: error %v, want ErrNoPages", err)
	}
	if err := b.Grow(64); err != nil {
		t.Errorf("the promise to the other was broken: %v", err)
	}
	a.Free()
	a.Free()
	b.Free()
	if got, want := p.Usage(), (Usage{Total: 4, Used: 0, Peak: 4}); got != want {
		t.Errorf("usage %+v, want %+v", got, want)
	}
	if got := p.Available(); got != 4 {
		t.Errorf("%d available, want 4", got)
	}
}

func TestSharedPages(t *testing.T) {
	p := NewPool(3)
	a, _ := p.NewTable(128)
	if err := a.Grow(128); err != nil {
		t.Fatal(err)
	}
	shared := a.Pages()[0]
	b, err := p.NewTable(100, shared)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Grow(100); err != nil {
		t.Fatal(err)
	}
	if got := p.References(shared); got != 2 {
		t.Errorf("%d references, want 2", got)
	}
	a.Free()
	if got := p.References(shared); got != 1 {
		t.Errorf("%d references after the first owner left, want 1", got)
	}
	if got := p.Usage().Used; got != 2 {
		t.Errorf("%d pages used, want 2", got)
	}
	b.Free()
	if got := p.Available(); got != 3 {
		t.Errorf("%d available at the end, want 3", got)
	}
	if _, err := p.NewTable(1, 0, 1); err == nil {
		t.Error("more shared pages than positions: no error")
	}
}

func TestMisusePanics(t *testing.T) {
	for name, misuse := range map[string]func(*Pool){
		"release of a free page": func(p *Pool) { p.Release(0) },
		"retain of a free page":  func(p *Pool) { p.Retain(0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			misuse(NewPool(1))
		})
	}
}

// TestRandomHistories holds the pool against a plain model of itself: no page has two
// owners unless shared, promises are always kept, and counts add up.
func TestRandomHistories(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := NewPool(32)
	type owner struct {
		t   *Table
		max int
	}
	var owners []owner
	for step := range 20_000 {
		switch rng.IntN(3) {
		case 0:
			positions := 1 + rng.IntN(600)
			var shared []backend.PageID
			if len(owners) > 0 && rng.IntN(3) == 0 {
				from := owners[rng.IntN(len(owners))].t.Pages()
				shared = from[:rng.IntN(min(len(from), PagesFor(positions))+1)]
			}
			available := p.Available()
			tb, err := p.NewTable(positions, shared...)
			if fits := PagesFor(positions)-len(shared) <= available; fits != (err == nil) {
				t.Fatalf("step %d: %d positions with %d available: %v", step, positions, available, err)
			}
			if err == nil {
				owners = append(owners, owner{tb, positions})
			}
		case 1:
			if len(owners) > 0 {
				o := owners[rng.IntN(len(owners))]
				if err := o.t.Grow(1 + rng.IntN(o.max)); err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
			}
		case 2:
			if len(owners) > 0 {
				i := rng.IntN(len(owners))
				owners[i].t.Free()
				owners = append(owners[:i], owners[i+1:]...)
			}
		}
		refs := map[backend.PageID]int{}
		promised := 0
		for _, o := range owners {
			promised += PagesFor(o.max) - len(o.t.Pages())
			for _, id := range o.t.Pages() {
				refs[id]++
			}
		}
		if got := p.Usage().Used; got != len(refs) {
			t.Fatalf("step %d: %d used, want %d", step, got, len(refs))
		}
		if got, want := p.Available(), 32-len(refs)-promised; got != want {
			t.Fatalf("step %d: %d available, want %d", step, got, want)
		}
		for id, n := range refs {
			if p.References(id) != n {
				t.Fatalf("step %d: page %d has %d references, want %d", step, id, p.References(id), n)
			}
		}
	}
}
