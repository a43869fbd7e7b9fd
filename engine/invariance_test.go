package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// mix is requests that share beginnings, of all kinds: long prompts with short answers, and short
// prompts whose answers outgrow the memory.
func mix(rng *rand.Rand, n, longest int) []Request {
	shared := make([]int32, longest)
	for i := range shared {
		shared[i] = int32(rng.IntN(500))
	}
	requests := make([]Request, n)
	for i := range requests {
		r := &requests[i]
		length, most := longest, 15
		if i%3 == 0 {
			length, most = 40, 200
		}
		r.Prompt = slices.Clone(shared[:rng.IntN(length)])
		for range 1 + rng.IntN(20) {
			r.Prompt = append(r.Prompt, int32(rng.IntN(500)))
		}
		r.MaxTokens, r.IgnoreEOS = most/2+rng.IntN(most/2), true
		r.Sampling = backend.Sampling{Seed: rng.Uint64()}
		if rng.IntN(3) > 0 {
			r.Sampling.Temperature, r.Sampling.TopP = 0.3+rng.Float32(), 0.5+rng.Float32()/2
		}
		r.Priority, r.Owner = rng.IntN(2), string(rune('a'+rng.IntN(2)))
		r.NoCache, r.NoKV = rng.IntN(5) == 0, i%8 == 2
		if i%2 == 1 {
			r.Penalties = sample.Penalties{Repetition: 1.2, Frequency: 0.3, Bias: []sample.Bias{{ID: int32(i), Add: 2}}}
			r.StopTokens, r.MinTokens, r.LogProbs = shared[:3], r.MaxTokens/2, 2
		}
	}
	return requests
}

// holdInvariant runs random mixes on a backend: what each request gives alone, computed anew, must
// come out of any batch, in chunks, with a part of it from the prefix cache, after preemptions,
// without KV cache and with guesses.
func holdInvariant(t *testing.T, dir, name string, mixes, longest, guesses int) {
	alone := open(t, Options{ModelDir: dir, Backend: name, MaxContext: 512, NoPrefixCache: true})
	const pages = 8 // fewer than the requests want at a time
	kv := alone.Stats().BytesPerPage * pages
	together := open(t, Options{ModelDir: dir, Backend: name, MaxContext: 512, KVBytes: kv, Speculate: guesses})
	shown := func() bool { // what a mix meets depends on the machine's mood too
		s := together.Stats()
		return s.CachedTokens > 0 && s.Preemptions > 0 && s.PrefixCache.Evictions > 0 && s.RecomputedTokens > 0
	}
	for seed := 0; seed < mixes || !shown() && seed < 10*mixes; seed++ {
		requests := mix(rand.New(rand.NewPCG(uint64(seed), 8)), 10, longest)
		streams, cancels := make([]*Stream, len(requests)), make([]context.CancelFunc, len(requests))
		for i, r := range requests {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := together.Submit(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			streams[i], cancels[i] = s, cancel
		}
		for i, r := range requests {
			var got []int32
			var likely []float32
			for ev := range streams[i].Events() {
				if ev.Token >= 0 {
					got = append(got, ev.Token)
				}
				if ev.LogProbs != nil {
					likely = append(likely, ev.LogProbs.Token)
				}
				if i%6 == 5 && len(got) > r.MaxTokens/2 { // these leave in the middle
					cancels[i]()
				}
			}
			r.NoKV = false
			events := submit(t, alone, r)
			want := ids(events)
			if i%6 == 5 {
				want = want[:len(got)]
			}
			for k, p := range likely {
				if p != events[k].LogProbs.Token {
					t.Errorf("mix %d, request %d: the log-probability of token %d is %v together, %v alone", seed, i, k, p, events[k].LogProbs.Token)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("mix %d, request %d: %v together, %v alone", seed, i, got, want)
			}
		}
	}
	s := together.Stats()
	if !shown() {
		t.Errorf("the mixes show nothing of caching or preemption: %+v", s)
	}
	if s.PagesUsed != 0 || s.Running != 0 || s.Waiting != 0 {
		t.Errorf("left behind: %+v", s)
	}
	if a := alone.Stats(); a.CachedTokens != 0 || a.Preemptions != 0 || a.PagesCached != 0 {
		t.Errorf("alone nothing is cached nor preempted: %+v", a)
	}
}

// TestInvarianceOnRef: the shared beginning is longer than a step's tokens beside others, so that it
// is cut into chunks.
func TestInvarianceOnRef(t *testing.T) { holdInvariant(t, tiny(t), "ref", 1, 200, 3) }
