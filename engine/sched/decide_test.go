package sched

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	limits := Limits{MaxRows: 4, MaxTokens: 64, MixedTokens: 16}
	decode := Running{Pending: 1, Decode: true}
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
			State{Running: []Running{{Pending: 100}, decode}},
			Decision{Chunks: []Chunk{{1, 1}, {0, 15}}},
		},
		{
			"a prompt of one token isn't a decode row",
			State{Running: []Running{{Pending: 1}}},
			Decision{Chunks: []Chunk{{0, 1}}},
		},
		{
			"out of pages: waits",
			State{Running: []Running{decode}, Waiting: []Waiting{{Pages: 3, Tokens: 20}}, FreePages: 2},
			Decision{Chunks: []Chunk{{0, 1}}},
		},
		{
			"nobody overtakes the first, who waits for pages",
			State{Running: []Running{decode}, Waiting: []Waiting{{Pages: 3, Tokens: 20}, {Pages: 1, Tokens: 1}}, FreePages: 2},
			Decision{Chunks: []Chunk{{0, 1}}},
		},
		{
			"a page is left for each that may grow",
			State{
				Running: []Running{{Pending: 1, Decode: true, Grows: true}},
				Waiting: []Waiting{{Pages: 3, Tokens: 20, Grows: true}}, FreePages: 4,
			},
			Decision{Chunks: []Chunk{{0, 1}}},
		},
		{
			"and admitted with one more",
			State{
				Running: []Running{{Pending: 1, Decode: true, Grows: true}},
				Waiting: []Waiting{{Pages: 3, Tokens: 15, Grows: true}}, FreePages: 5,
			},
			Decision{Admit: 1, Chunks: []Chunk{{0, 1}, {1, 15}}},
		},
		{
			"alone it needs its own pages only",
			State{Waiting: []Waiting{{Pages: 3, Tokens: 20, Grows: true}}, FreePages: 3},
			Decision{Admit: 1, Chunks: []Chunk{{0, 20}}},
		},
		{
			"a page for one of two: the last gives way",
			State{Running: []Running{{Pending: 1, Decode: true, Lacks: 1}, {Pending: 1, Decode: true, Lacks: 1}}, FreePages: 1},
			Decision{Preempt: true},
		},
		{
			"the last may be another than who lacks pages",
			State{Running: []Running{{Pending: 1, Decode: true, Lacks: 1}, decode}},
			Decision{Preempt: true},
		},
		{
			"guesses take what prompts leave",
			State{Running: []Running{{Pending: 9}, {Pending: 1, Decode: true, Draft: 4}, {Pending: 1, Decode: true, Draft: 4}}},
			Decision{Chunks: []Chunk{{1, 5}, {2, 2}, {0, 9}}},
		},
		{
			"places run out",
			State{
				Running: []Running{decode, decode, decode},
				Waiting: []Waiting{{Pages: 1, Tokens: 2}, {Pages: 1, Tokens: 2}}, FreePages: 9,
			},
			Decision{Admit: 1, Chunks: []Chunk{{0, 1}, {1, 1}, {2, 1}, {3, 2}}},
		},
		{
			"a higher priority takes a place",
			State{Running: []Running{decode, decode, decode, decode}, Waiting: []Waiting{{Priority: 1, Pages: 1, Tokens: 2}}, FreePages: 9},
			Decision{Preempt: true},
		},
		{
			"a higher priority takes pages",
			State{
				Running: []Running{{Priority: 1, Pending: 1, Decode: true, Gives: 9}, {Pending: 1, Decode: true, Gives: 2}},
				Waiting: []Waiting{{Priority: 1, Pages: 4, Tokens: 2}}, FreePages: 2,
			},
			Decision{Preempt: true},
		},
		{
			"but not in vain",
			State{
				Running: []Running{{Priority: 1, Pending: 1, Decode: true, Gives: 9}, {Pending: 1, Decode: true, Gives: 2}},
				Waiting: []Waiting{{Priority: 1, Pages: 5, Tokens: 2}}, FreePages: 2,
			},
			Decision{Chunks: []Chunk{{0, 1}, {1, 1}}},
		},
		{
			"an equal priority takes nothing",
			State{Running: []Running{{Priority: 1, Pending: 1, Decode: true, Gives: 9}}, Waiting: []Waiting{{Priority: 1, Pages: 4, Tokens: 2}}},
			Decision{Chunks: []Chunk{{0, 1}}},
		},
		{
			"a new prompt of higher priority is computed before an old one",
			State{Running: []Running{{Pending: 50}}, Waiting: []Waiting{{Priority: 1, Pages: 1, Tokens: 40}}, FreePages: 9},
			Decision{Admit: 1, Chunks: []Chunk{{1, 40}, {0, 24}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.state.Limits = limits
			if d := cmp.Diff(c.want, Decide(c.state, nil)); d != "" {
				t.Errorf("−want +got:\n%s", d)
			}
		})
	}
}

func TestPromptsGoOnUnderFullDecode(t *testing.T) {
	limits := Limits{MaxRows: 4, MaxTokens: 4, MixedTokens: 1}
	decode := Running{Pending: 1, Decode: true}
	got := Decide(State{Running: []Running{{Pending: 9}, decode, decode, decode}, Limits: limits}, nil)
	want := Decision{Chunks: []Chunk{{1, 1}, {2, 1}, {3, 1}, {0, 1}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("−want +got:\n%s", d)
	}
}

// randomState is any state that core can build: its sequences are in order.
func randomState(rng *rand.Rand) State {
	var s State
	s.Limits.MaxRows = 1 + rng.IntN(8)
	s.Limits.MaxTokens = s.Limits.MaxRows + rng.IntN(40)
	s.Limits.MixedTokens = 1 + rng.IntN(s.Limits.MaxTokens)
	s.FreePages = rng.IntN(20)
	for range rng.IntN(s.Limits.MaxRows + 1) {
		r := Running{Priority: rng.IntN(3), Pending: 1 + rng.IntN(60), Grows: rng.IntN(2) == 0, Gives: rng.IntN(5)}
		if rng.IntN(2) == 0 {
			r.Pending, r.Decode = 1, true
			r.Lacks, r.Draft = rng.IntN(8)/7, rng.IntN(5)
		}
		s.Running = append(s.Running, r)
	}
	for range rng.IntN(5) {
		s.Waiting = append(s.Waiting, Waiting{Priority: rng.IntN(3), Pages: 1 + rng.IntN(8), Tokens: 1 + rng.IntN(60), Grows: rng.IntN(2) == 0})
	}
	slices.SortStableFunc(s.Running, func(a, b Running) int { return b.Priority - a.Priority })
	slices.SortStableFunc(s.Waiting, func(a, b Waiting) int { return b.Priority - a.Priority })
	return s
}

// TestDecideInvariants holds random states against what every step must keep.
func TestDecideInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	preempted := 0
	for range 20_000 {
		s := randomState(rng)
		d := Decide(s, nil)
		if again := Decide(s, make([]Chunk, 3, 9)); !cmp.Equal(d.Chunks, again.Chunks) && len(d.Chunks) > 0 || again.Admit != d.Admit || again.Preempt != d.Preempt {
			t.Fatalf("decided %+v, then %+v for %+v", d, again, s)
		}
		free, growing := s.FreePages, 0
		for _, r := range s.Running {
			free -= r.Lacks
			if r.Grows {
				growing++
			}
		}
		if d.Preempt {
			preempted++
			higher := len(s.Waiting) > 0 && len(s.Running) > 0 && s.Waiting[0].Priority > s.Running[len(s.Running)-1].Priority
			if len(s.Running) == 0 || free >= 0 && !higher || d.Admit > 0 || len(d.Chunks) > 0 {
				t.Fatalf("preempts without need: %+v for %+v", d, s)
			}
			continue
		}
		tokens, seen := 0, map[int]bool{}
		for _, c := range d.Chunks {
			pending := 0
			if c.Seq < len(s.Running) {
				pending = s.Running[c.Seq].Pending + s.Running[c.Seq].Draft
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
			free -= w.Pages
			if w.Grows {
				growing++
			}
		}
		if tokens > s.Limits.MaxTokens || len(s.Running)+d.Admit > s.Limits.MaxRows || free < 0 {
			t.Fatalf("limits broken: %+v for %+v", d, s)
		}
		if d.Admit > 0 && len(s.Running)+d.Admit > 1 && free < growing {
			t.Fatalf("%d pages left for %d that may grow: %+v for %+v", free, growing, d, s)
		}
		for i, r := range s.Running {
			if r.Decode && !seen[i] {
				t.Fatalf("a sequence waits for its next token and got no row: %+v for %+v", d, s)
			}
		}
		if len(s.Running)+d.Admit > 0 && len(d.Chunks) == 0 {
			t.Fatalf("nothing runs: %+v for %+v", d, s)
		}
		if first := slices.IndexFunc(s.Running, func(r Running) bool { return !r.Decode }); first >= 0 && !seen[first] {
			if d.Admit == 0 || s.Waiting[0].Priority <= s.Running[first].Priority {
				t.Fatalf("the first prompt got nothing: %+v for %+v", d, s)
			}
		}
	}
	if preempted == 0 {
		t.Error("no state needed a preemption")
	}
}
