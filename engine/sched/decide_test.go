package sched

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	limits := Limits{MaxRows: 4, MaxTokens: 64, MixedTokens: 16}
	for _, c := range []struct {
		name  string
		state State
		want  Decision
	}{
		{"nothing to do", State{}, Decision{}},
		{
			"a prompt that fits",
			State{Waiting: []Waiting{{Pages: 1, Tokens: 20}}, FreePages: 1},
			Decision{Admit: 1, Chunks: []Chunk{{0, 20}}},
		},
		{
			"a long prompt in chunks",
			State{Running: []Running{{Pending: 100}}},
			Decision{Chunks: []Chunk{{0, 64}}},
		},
		{
			"two prompts share the budget, the first admitted first",
			State{Running: []Running{{Pending: 40}, {Pending: 40}, {Pending: 40}}},
			Decision{Chunks: []Chunk{{0, 40}, {1, 24}}},
		},
		{
			"decode rows come first and bound the prompt",
			State{Running: []Running{{Pending: 100}, {Pending: 1, Decode: true}}},
			Decision{Chunks: []Chunk{{1, 1}, {0, 15}}},
		},
		{
			"a prompt of one token isn't a decode row",
			State{Running: []Running{{Pending: 1}}},
			Decision{Chunks: []Chunk{{0, 1}}},
		},
		{
			"out of pages: waits",
			State{Waiting: []Waiting{{Pages: 3, Tokens: 20}}, FreePages: 2},
			Decision{},
		},
		{
			"nobody overtakes the first, who waits for pages",
			State{Waiting: []Waiting{{Pages: 3, Tokens: 20}, {Pages: 1, Tokens: 1}}, FreePages: 2},
			Decision{},
		},
		{
			"places run out",
			State{
				Running: []Running{{1, true}, {1, true}, {1, true}},
				Waiting: []Waiting{{Pages: 1, Tokens: 2}, {Pages: 1, Tokens: 2}}, FreePages: 9,
			},
			Decision{Admit: 1, Chunks: []Chunk{{0, 1}, {1, 1}, {2, 1}, {3, 2}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.state.Limits = limits
			if d := cmp.Diff(c.want, Decide(c.state)); d != "" {
				t.Errorf("−want +got:\n%s", d)
			}
		})
	}
}

func TestPromptsGoOnUnderFullDecode(t *testing.T) {
	limits := Limits{MaxRows: 4, MaxTokens: 4, MixedTokens: 1}
	got := Decide(State{Running: []Running{{Pending: 9}, {1, true}, {1, true}, {1, true}}, Limits: limits})
	want := Decision{Chunks: []Chunk{{1, 1}, {2, 1}, {3, 1}, {0, 1}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("−want +got:\n%s", d)
	}
}

// TestDecideInvariants holds random states against what every step must keep.
func TestDecideInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		var s State
		s.Limits.MaxRows = 1 + rng.IntN(8)
		s.Limits.MaxTokens = s.Limits.MaxRows + rng.IntN(40)
		s.Limits.MixedTokens = 1 + rng.IntN(s.Limits.MaxTokens)
		s.FreePages = rng.IntN(20)
		for range rng.IntN(s.Limits.MaxRows + 1) {
			r := Running{Pending: 1 + rng.IntN(60)}
			if rng.IntN(2) == 0 {
				r = Running{Pending: 1, Decode: true}
			}
			s.Running = append(s.Running, r)
		}
		for range rng.IntN(5) {
			s.Waiting = append(s.Waiting, Waiting{Pages: 1 + rng.IntN(8), Tokens: 1 + rng.IntN(60)})
		}
		d := Decide(s)
		tokens, pages, seen := 0, 0, map[int]bool{}
		for _, c := range d.Chunks {
			pending := 0
			if c.Seq < len(s.Running) {
				pending = s.Running[c.Seq].Pending
			} else {
				pending = s.Waiting[c.Seq-len(s.Running)].Tokens
			}
			if c.Tokens < 1 || c.Tokens > pending || seen[c.Seq] {
				t.Fatalf("bad chunk %+v of %+v", c, s)
			}
			seen[c.Seq] = true
			tokens += c.Tokens
		}
		for _, w := range s.Waiting[:d.Admit] {
			pages += w.Pages
		}
		if tokens > s.Limits.MaxTokens || len(s.Running)+d.Admit > s.Limits.MaxRows || pages > s.FreePages {
			t.Fatalf("limits broken: %+v for %+v", d, s)
		}
		for i, r := range s.Running {
			if r.Decode && !seen[i] {
				t.Fatalf("a sequence waits for its next token and got no row: %+v for %+v", d, s)
			}
		}
		if len(s.Running)+d.Admit > 0 && len(d.Chunks) == 0 {
			t.Fatalf("nothing runs: %+v for %+v", d, s)
		}
	}
}
