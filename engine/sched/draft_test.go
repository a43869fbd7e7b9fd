package sched

import (
	"context"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

func TestGuess(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []int32
		room   int
		want   []int32
	}{
		{"nothing came twice", []int32{1, 2, 3, 4, 5}, 4, nil},
		{"one token came twice", []int32{1, 2, 3, 1}, 4, nil},
		{"two tokens came twice", []int32{1, 2, 3, 4, 1, 2}, 4, []int32{3, 4, 1, 2}},
		{"room for less", []int32{1, 2, 3, 4, 1, 2}, 1, []int32{3}},
		{"the longer match counts", []int32{9, 1, 2, 7, 7, 1, 2, 5, 5, 9, 1, 2}, 2, []int32{7, 7}},
		{"of equals the last", []int32{1, 2, 7, 0, 1, 2, 5, 0, 1, 2}, 2, []int32{5, 0}},
		{"a run goes on", []int32{4, 4, 4}, 2, []int32{4}},
		{"no tokens", nil, 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			into := make([]int32, c.room)
			if n := guess(into, c.tokens); !slices.Equal(into[:n], c.want) {
				t.Errorf("guessed %v, want %v", into[:n], c.want)
			}
		})
	}
	far := make([]int32, 2*lookback)
	for i := range far {
		far[i] = int32(i)
	}
	far = append(far, 5, 6)
	if n := guess(make([]int32, 3), far); n != 0 {
		t.Errorf("guessed %d tokens from beyond the window", n)
	}
}

// TestGuessesChangeNothing: with guesses a job has the same tokens, in fewer steps where it repeats
// itself, and the hook of faults sees each token with its own position.
func TestGuessesChangeNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		hook  func(int32, backend.Sampling) int32
		fewer bool
	}{
		{"a text that repeats itself", func(_ int32, s backend.Sampling) int32 { return int32(s.Position % 5) }, true},
		{"now and then", func(id int32, s backend.Sampling) int32 {
			if s.Position%16 < 12 {
				return int32(s.Position % 4)
			}
			return id
		}, true},
		{"as the model draws", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want [][]int32
			var steps int
			for _, speculate := range []int{0, 1, 5, 100} {
				d := newDrive(t, 32, Options{Speculate: speculate, Hooks: Hooks{Token: c.hook}})
				var records []*record
				for i := range int32(4) {
					records = append(records, d.submit(Job{
						Prompt: prompt(30, i), MaxTokens: 150 + int(i), Sampling: backend.Sampling{Temperature: float32(i), Seed: uint64(i)},
					}))
				}
				d.all()
				k := d.core.meter.read()
				if speculate == 0 {
					for _, r := range records {
						want = append(want, r.ids)
					}
					steps = len(d.fake.steps)
					if k.DraftedTokens != 0 {
						t.Errorf("%d guesses of an engine that makes none", k.DraftedTokens)
					}
					continue
				}
				for i, r := range records {
					if !slices.Equal(r.ids, want[i]) || r.result.Reason != ReasonLength {
						t.Errorf("%d guesses: job %d got %v, without %v", speculate, i, r.ids, want[i])
					}
				}
				if c.fewer && (k.AcceptedTokens == 0 || k.AcceptedTokens > k.DraftedTokens || len(d.fake.steps) > steps*3/4) {
					t.Errorf("%d guesses: %d steps instead of %d, %d of %d guesses right", speculate, len(d.fake.steps), steps, k.AcceptedTokens, k.DraftedTokens)
				}
				if k.OutputTokens != 4*150+6 {
					t.Errorf("%d output tokens counted", k.OutputTokens)
				}
			}
		})
	}
}

// TestStopsInTheMiddle: a job that ends or is cancelled at one of several tokens of a step gets none
// behind it.
func TestStopsInTheMiddle(t *testing.T) {
	again := Hooks{Token: func(int32, backend.Sampling) int32 { return 3 }}
	for stop := 5; stop < 40; stop++ {
		d := newDrive(t, 32, Options{Speculate: 6, Hooks: again})
		ended, left := newRecord(), newRecord()
		ended.stopAt = stop
		ctx, cancel := context.WithCancel(context.Background())
		left.onToken = func(n int) {
			if n == stop {
				cancel()
			}
		}
		d.core.submit([]*seq{
			newSeq(context.Background(), Job{Prompt: prompt(9, 1), MaxTokens: 90, Sink: ended}, d.core.now()),
			newSeq(ctx, Job{Prompt: prompt(9, 2), MaxTokens: 90, Sink: left}, d.core.now()),
		})
		for range 100 {
			d.core.sweep(true)
			d.steps(1)
		}
		d.all()
		if len(ended.ids) != stop || len(left.ids) != stop || ended.result.Reason != ReasonStop || left.result.Reason != ReasonCancel {
			t.Errorf("at %d: %d tokens and %d, %+v and %+v", stop, len(ended.ids), len(left.ids), ended.result, left.result)
		}
		if k := d.core.meter.read(); k.OutputTokens != uint64(2*stop) {
			t.Errorf("at %d: %d output tokens counted", stop, k.OutputTokens)
		}
	}
}
