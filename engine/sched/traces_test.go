package sched

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

func randomJob(rng *rand.Rand, maxPrompt, maxTokens int) Job {
	j := Job{MaxTokens: 1 + rng.IntN(maxTokens)}
	for range 1 + rng.IntN(maxPrompt) {
		j.Prompt = append(j.Prompt, int32(rng.IntN(fakeVocab)))
	}
	j.Sampling.Seed = rng.Uint64()
	if rng.IntN(3) > 0 {
		j.Sampling.Temperature = 0.2 + rng.Float32()
	}
	if rng.IntN(2) == 0 {
		j.Sampling.TopP = 0.9
	}
	return j
}

// TestAloneAndTogether runs random mixes over few pages: each job gets exactly the ids that the
// model gives it alone, and all pages come back.
func TestAloneAndTogether(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 5))
		f := newFake(10)
		f.info.MaxRows = 1 + rng.IntN(6)
		f.info.MaxTokens = f.info.MaxRows + rng.IntN(90)
		l := New(f, Options{MixedTokens: 1 + rng.IntN(40)})
		var jobs []Job
		var records []*record
		prompt, output := uint64(0), uint64(0)
		for range 25 {
			j, r := randomJob(rng, 150, 60), newRecord()
			j.Sink = r
			jobs, records = append(jobs, j), append(records, r)
			if err := l.Submit(context.Background(), j); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(4) == 0 {
				runtime.Gosched()
			}
		}
		for i, r := range records {
			res := r.wait(t)
			if res.Reason != ReasonLength || res.OutputTokens != jobs[i].MaxTokens {
				t.Errorf("job %d: %+v, want %d tokens", i, res, jobs[i].MaxTokens)
			}
			if want := generate(jobs[i]); !slices.Equal(r.ids, want) {
				t.Errorf("seed %d, job %d: got %v, want %v", seed, i, r.ids, want)
			}
			if !slices.Equal(r.last, append(make([]bool, len(r.ids)-1), true)) {
				t.Errorf("job %d: last is %v", i, r.last)
			}
			checkInstants(t, r)
			prompt += uint64(len(jobs[i].Prompt))
			output += uint64(len(r.ids))
		}
		l.Close()
		if u := l.Usage(); u.Used != 0 || u.Peak == 0 || u.Peak > 10 {
			t.Errorf("pages at the end: %+v", u)
		}
		if c := l.Counters(); c.PromptTokens != prompt || c.OutputTokens != output || c.Jobs != 25 || c.Steps != uint64(len(f.steps)) {
			t.Errorf("counters %+v, want %d prompt and %d output tokens in %d steps", c, prompt, output, len(f.steps))
		}
	}
}

// TestRandomTraces mixes generation, scoring, stops and cancellations at random moments. Whatever
// happens to the others, a job's tokens are the first ones that it would have got alone, each job
// ends exactly once, and all pages come back.
func TestRandomTraces(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 6))
		f := newFake(6)
		f.info.MaxRows = 1 + rng.IntN(5)
		f.info.MaxTokens = f.info.MaxRows + rng.IntN(50)
		l := New(f, Options{MixedTokens: 1 + rng.IntN(20)})
		var jobs []Job
		var records []*record
		want := make([]Reason, 30)
		for i := range want {
			j, r := randomJob(rng, 100, 40), newRecord()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			want[i] = ReasonLength
			switch rng.IntN(5) {
			case 0:
				at := 1 + rng.IntN(j.MaxTokens)
				if r.onToken = func(n int) {
					if n == at {
						cancel()
					}
				}; at < j.MaxTokens {
					want[i] = ReasonCancel
				}
			case 1:
				r.stopAt, want[i] = 1+rng.IntN(j.MaxTokens), ReasonStop
			case 2:
				j.MaxTokens, want[i] = 0, ReasonScored
			}
			j.Sink = r
			jobs, records = append(jobs, j), append(records, r)
			if err := l.Submit(ctx, j); err != nil {
				t.Fatal(err)
			}
		}
		cancelled := uint64(0)
		for i, r := range records {
			res := r.wait(t)
			if res.Reason != want[i] || res.OutputTokens != len(r.ids) {
				t.Errorf("seed %d, job %d: %+v with %d tokens, want reason %d", seed, i, res, len(r.ids), want[i])
			}
			if res.Reason == ReasonCancel {
				cancelled++
			}
			if jobs[i].MaxTokens = len(r.ids); !slices.Equal(r.ids, generate(jobs[i])) {
				t.Errorf("seed %d, job %d: other tokens than alone", seed, i)
			}
		}
		l.Close()
		if u := l.Usage(); u.Used != 0 {
			t.Errorf("seed %d: %d pages still used", seed, u.Used)
		}
		if c := l.Counters(); c.Cancelled != cancelled {
			t.Errorf("seed %d: %d cancelled counted, want %d", seed, c.Cancelled, cancelled)
		}
	}
}

func checkInstants(t *testing.T, r *record) {
	t.Helper()
	order := slices.Concat([]time.Time{r.result.Queued, r.result.PrefillStart, r.result.PrefillEnd}, r.at, []time.Time{r.result.End})
	if !slices.IsSortedFunc(order, time.Time.Compare) {
		t.Errorf("instants out of order: %v", order)
	}
	if !r.at[0].Equal(r.result.PrefillEnd) || !r.at[len(r.at)-1].Equal(r.result.End) {
		t.Errorf("first and last token at %v and %v, want the end of prefill and the end, %v and %v",
			r.at[0], r.at[len(r.at)-1], r.result.PrefillEnd, r.result.End)
	}
}
