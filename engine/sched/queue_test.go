package sched

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func waiting(owner string, priority int) *seq {
	return &seq{Job: Job{Owner: owner, Priority: priority}}
}

// TestTurns: an owner with many jobs doesn't keep another from its turn.
func TestTurns(t *testing.T) {
	q := newQueue()
	for range 4 {
		q.push(waiting("a", 0))
	}
	q.push(waiting("b", 0))
	q.push(waiting("b", 0))
	q.push(waiting("c", 1))
	owners := func() (all string) {
		for _, s := range q.seqs {
			all += s.Owner
		}
		return all
	}
	if got := owners(); got != "cababaa" {
		t.Errorf("the order is %s, want cababaa", got)
	}
	first := q.seqs[1]
	q.started(3)            // c a b
	q.push(waiting("b", 0)) // behind what b has
	q.push(waiting("d", 0)) // the second turn is the next
	if got := owners(); got != "abdaba" {
		t.Errorf("then %s, want abdaba", got)
	}
	q.pushBack(first)
	if q.first() != first {
		t.Error("a preempted job isn't the first again")
	}
	q.remove(func(s *seq) bool { return s.Owner != "a" })
	q.started(len(q.seqs))
	if len(q.levels) != 0 {
		t.Errorf("%d levels remembered with nobody waiting", len(q.levels))
	}
}

// TestOvertaking holds random comings, starts and goings against what the package promises: who has
// k of its owner's jobs before it is overtaken by at most k later ones of each other owner, and
// each owner's jobs start as they came.
func TestOvertaking(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		q := newQueue()
		ahead := map[*seq]int{}
		overtook := map[*seq]map[string]int{}
		start := func(n int) {
			for _, s := range q.seqs[:n] {
				for _, w := range q.seqs[slices.Index(q.seqs, s)+1:] {
					switch {
					case w.Priority != s.Priority || w.came > s.came:
					case w.Owner == s.Owner:
						t.Fatalf("seed %d: job %d of owner %s starts before its job %d", seed, s.came, s.Owner, w.came)
					default:
						if overtook[w][s.Owner]++; overtook[w][s.Owner] > ahead[w] {
							t.Fatalf("seed %d: a job with %d before it was overtaken by %v", seed, ahead[w], overtook[w])
						}
					}
				}
			}
			q.started(n)
		}
		for range 120 {
			switch rng.IntN(5) {
			case 0, 1, 2:
				s := waiting(string(rune('a'+rng.IntN(4))), rng.IntN(2))
				for _, w := range q.seqs {
					if w.Owner == s.Owner && w.Priority == s.Priority {
						ahead[s]++
					}
				}
				overtook[s] = map[string]int{}
				q.push(s)
			case 3:
				start(rng.IntN(len(q.seqs)/4 + 1))
			case 4:
				if rng.IntN(3) == 0 {
					q.remove(func(*seq) bool { return rng.IntN(3) == 0 })
				}
			}
			if !slices.IsSortedFunc(q.seqs, before) {
				t.Fatalf("seed %d: out of order", seed)
			}
		}
	}
}
