package sched

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
	"github.com/paceline/paceline/engine/sample"
)

// record is a Sink that keeps everything. Its fields may be read once done is closed.
type record struct {
	ids     []int32
	at      []time.Time
	last    []bool
	stopAt  int // stop at this many tokens; 0: never
	onToken func(n int)
	result  Result
	done    chan struct{}
}

func newRecord() *record { return &record{done: make(chan struct{})} }

func (r *record) Token(id int32, at time.Time, last bool) bool {
	r.ids, r.at, r.last = append(r.ids, id), append(r.at, at), append(r.last, last)
	if r.onToken != nil {
		r.onToken(len(r.ids))
	}
	return len(r.ids) == r.stopAt
}

func (r *record) Done(res Result) { r.result = res; close(r.done) }

func (r *record) wait(t *testing.T) Result {
	t.Helper()
	select {
	case <-r.done:
		return r.result
	case <-time.After(20 * time.Second):
		t.Fatal("the job didn't end")
		panic("unreachable")
	}
}

func TestStop(t *testing.T) {
	l := New(newFake(4), Options{})
	defer l.Close()
	for _, stopAt := range []int{1, 3, 5} {
		r := newRecord()
		r.stopAt = stopAt
		if err := l.Submit(t.Context(), Job{Prompt: []int32{1}, MaxTokens: 5, Sink: r}); err != nil {
			t.Fatal(err)
		}
		if res := r.wait(t); res.Reason != ReasonStop || res.OutputTokens != stopAt {
			t.Errorf("got %+v, want a stop after %d", res, stopAt)
		}
	}
}

func TestCancelWithinOneToken(t *testing.T) {
	l := New(newFake(64), Options{})
	defer l.Close()
	cause := errors.New("the client left")
	ctx, cancel := context.WithCancelCause(context.Background())
	r := newRecord()
	r.onToken = func(n int) {
		if n == 7 {
			cancel(cause)
		}
	}
	if err := l.Submit(ctx, Job{Prompt: []int32{1, 2}, MaxTokens: 4000, Sink: r}); err != nil {
		t.Fatal(err)
	}
	res := r.wait(t)
	if res.Reason != ReasonCancel || !errors.Is(res.Err, cause) || res.OutputTokens != 7 {
		t.Errorf("got %+v, want a cancel with its cause after 7 tokens", res)
	}
	if c := l.Counters(); c.Cancelled != 1 || c.OutputTokens != 7 {
		t.Errorf("counters %+v", c)
	}
	if u := l.Usage(); u.Used != 0 {
		t.Errorf("%d pages still used", u.Used)
	}
}

// TestCancelDuringAStep: the token of the step under way isn't handed out, nor counted.
func TestCancelDuringAStep(t *testing.T) {
	f := newFake(4)
	ctx, cancel := context.WithCancel(context.Background())
	f.before = func(step int) error {
		if step == 3 {
			cancel()
		}
		return nil
	}
	l := New(f, Options{})
	defer l.Close()
	r := newRecord()
	if err := l.Submit(ctx, Job{Prompt: []int32{1}, MaxTokens: 100, Sink: r}); err != nil {
		t.Fatal(err)
	}
	if res := r.wait(t); res.Reason != ReasonCancel || res.OutputTokens != 3 || len(r.ids) != 3 {
		t.Errorf("got %+v with %d tokens, want a cancel after 3", res, len(r.ids))
	}
	if c := l.Counters(); c.OutputTokens != 3 {
		t.Errorf("%d output tokens counted, want 3", c.OutputTokens)
	}
}

// TestCancelWhileWaiting: a job without pages ends too, while another one runs.
func TestCancelWhileWaiting(t *testing.T) {
	f := newFake(2)
	hold := make(chan struct{})
	f.before = func(int) error { <-hold; return nil }
	l := New(f, Options{})
	first, second := newRecord(), newRecord()
	if err := l.Submit(t.Context(), Job{Prompt: []int32{1}, MaxTokens: 127, Sink: first}); err != nil {
		t.Fatal(err)
	}
	hold <- struct{}{} // the first job has both pages now
	ctx, cancel := context.WithCancel(context.Background())
	if err := l.Submit(ctx, Job{Prompt: []int32{1}, MaxTokens: 2, Sink: second}); err != nil {
		t.Fatal(err)
	}
	hold <- struct{}{}
	cancel()
	close(hold)
	if res := second.wait(t); res.Reason != ReasonCancel || !res.PrefillStart.IsZero() {
		t.Errorf("got %+v, want a cancel before any step", res)
	}
	if res := first.wait(t); res.Reason != ReasonLength {
		t.Errorf("the other job: %+v", res)
	}
	l.Close()
}

// TestFairness: with room for one sequence at a time, jobs finish in the order they came, and
// with room for all each gets its token in every step.
func TestFairness(t *testing.T) {
	for _, c := range []struct {
		name    string
		maxRows int
	}{{"one place", 1}, {"places for all", 8}} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(16)
			hold := make(chan struct{})
			f.before = func(int) error { <-hold; return nil }
			l := New(f, Options{MaxRows: c.maxRows})
			defer l.Close()
			var ended []int
			var records []*record
			for i := range 6 {
				r := newRecord()
				r.onToken = func(n int) {
					if n == 10 {
						ended = append(ended, i) // by the loop's goroutine only
					}
				}
				records = append(records, r)
				if err := l.Submit(t.Context(), Job{Prompt: []int32{int32(i)}, MaxTokens: 10, Sink: r}); err != nil {
					t.Fatal(err)
				}
			}
			close(hold)
			for _, r := range records {
				r.wait(t)
			}
			if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(ended, want) {
				t.Errorf("ended in the order %v, want %v", ended, want)
			}
			// Six jobs of ten steps each, together or one after the other; the first step
			// may have begun before the others came.
			if n := len(f.steps); c.maxRows == 1 && n != 60 || c.maxRows == 8 && n > 11 {
				t.Errorf("%d steps: %v", n, f.steps)
			}
		})
	}
}

func TestScore(t *testing.T) {
	f := newFake(8)
	l := New(f, Options{})
	defer l.Close()
	for _, n := range []int{1, 2, 63, 64, 65, 200} { // steps have at most 64 tokens
		prompt := make([]int32, n)
		for i := range prompt {
			prompt[i] = int32(sample.Bits(1, 2, int32(i)) % fakeVocab)
		}
		r := newRecord()
		if err := l.Submit(t.Context(), Job{Prompt: prompt, Sink: r}); err != nil {
			t.Fatal(err)
		}
		res := r.wait(t)
		ref := newFake(8)
		pages := []backend.PageID{0, 1, 2, 3}
		for p, id := range prompt {
			ref.pages[p/backend.PageTokens][p%backend.PageTokens] = id
		}
		want := 0.0
		for p := 1; p < n; p++ {
			want += sample.LogProb(ref.logits(pages, p), prompt[p])
		}
		if res.Reason != ReasonScored || math.Abs(res.SumLogProb-want) > 1e-4 {
			t.Errorf("%d ids: %v, sum %v, want %v", n, res.Reason, res.SumLogProb, want)
		}
		if !slices.Equal(res.Logits, ref.logits(pages, n)) {
			t.Errorf("%d ids: other logits at the end", n)
		}
	}
}

func TestSubmitRefuses(t *testing.T) {
	f := newFake(4)
	f.info.MaxContext = 200
	l := New(f, Options{})
	for _, c := range []struct {
		name string
		job  Job
		want string
	}{
		{"no prompt", Job{MaxTokens: 1}, "no tokens"},
		{"negative count", Job{Prompt: []int32{1}, MaxTokens: -1}, "-1 tokens"},
		{"id outside the vocabulary", Job{Prompt: []int32{1, fakeVocab}, MaxTokens: 1}, "prompt token 1 is 97"},
		{"negative id", Job{Prompt: []int32{-1}, MaxTokens: 1}, "is -1"},
		{"beyond the context", Job{Prompt: make([]int32, 100), MaxTokens: 101}, "context of 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.job.Sink = newRecord()
			err := l.Submit(t.Context(), c.job)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	f.info.MaxContext = 1000 // seen by check through l.info only, so make a new loop
	l.Close()
	l = New(f, Options{})
	if err := l.Submit(t.Context(), Job{Prompt: make([]int32, 200), MaxTokens: 100, Sink: newRecord()}); !errors.Is(err, kv.ErrNoPages) {
		t.Errorf("more pages than there are: error %v, want ErrNoPages", err)
	}
	l.Close()
	if err := l.Submit(t.Context(), Job{Prompt: []int32{1}, MaxTokens: 1, Sink: newRecord()}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: error %v, want ErrClosed", err)
	}
}

func TestBackendErrors(t *testing.T) {
	broken := errors.New("the device went away")
	for _, c := range []struct {
		name   string
		err    error
		usable bool
	}{
		{"one step", broken, true},
		{"for good", errors.Join(broken, backend.ErrFault), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(8)
			f.before = func(step int) error {
				if step == 2 {
					f.before = nil
					return c.err
				}
				return nil
			}
			l := New(f, Options{})
			defer l.Close()
			r := newRecord()
			if err := l.Submit(t.Context(), Job{Prompt: []int32{1}, MaxTokens: 9, Sink: r}); err != nil {
				t.Fatal(err)
			}
			if res := r.wait(t); res.Reason != ReasonError || !errors.Is(res.Err, broken) || res.OutputTokens != 2 {
				t.Errorf("got %+v, want the backend's error after 2 tokens", res)
			}
			if u := l.Usage(); u.Used != 0 {
				t.Errorf("%d pages still used", u.Used)
			}
			again := newRecord()
			err := l.Submit(t.Context(), Job{Prompt: []int32{1}, MaxTokens: 9, Sink: again})
			if (err == nil) != c.usable {
				t.Fatalf("the next job: error %v, want it taken %v", err, c.usable)
			}
			if c.usable {
				if res := again.wait(t); res.Reason != ReasonLength {
					t.Errorf("the next job: %+v", res)
				}
			} else if !errors.Is(err, backend.ErrFault) {
				t.Errorf("error %v, want ErrFault", err)
			}
		})
	}
}

// TestClose ends running and waiting jobs, and leaves no goroutine.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	f := newFake(3)
	hold := make(chan struct{})
	f.before = func(step int) error {
		if step == 3 {
			<-hold // until the loop was told to close
		}
		return nil
	}
	l := New(f, Options{})
	var records []*record
	for range 3 { // each takes all pages
		r := newRecord()
		records = append(records, r)
		if err := l.Submit(t.Context(), Job{Prompt: []int32{1}, MaxTokens: 190, Sink: r}); err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan struct{})
	go func() { l.Close(); close(closed) }()
	for told := false; !told; runtime.Gosched() {
		l.mu.Lock()
		told = l.closing
		l.mu.Unlock()
	}
	close(hold)
	<-closed
	l.Close()
	for i, r := range records {
		res := r.wait(t)
		if want := map[bool]int{true: 4}[i == 0]; res.Reason != ReasonCancel || !errors.Is(res.Err, ErrClosed) || res.OutputTokens > want {
			t.Errorf("job %d: %+v, want a cancel by ErrClosed after at most %d tokens", i, res, want)
		}
	}
	if u := l.Usage(); u.Used != 0 {
		t.Errorf("%d pages still used", u.Used)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestHooks(t *testing.T) {
	var steps int
	l := New(newFake(4), Options{Hooks: Hooks{
		Stepped: func(took time.Duration) {
			if took < 0 {
				t.Errorf("a step took %v", took)
			}
			steps++
		},
		Token: func(id int32, s backend.Sampling) int32 { return int32(s.Position) },
	}})
	r := newRecord()
	if err := l.Submit(t.Context(), Job{Prompt: []int32{1, 2, 3}, MaxTokens: 4, Sink: r}); err != nil {
		t.Fatal(err)
	}
	r.wait(t)
	l.Close()
	if want := []int32{3, 4, 5, 6}; !slices.Equal(r.ids, want) || steps != 4 {
		t.Errorf("tokens %v in %d steps, want the positions %v in 4", r.ids, steps, want)
	}
}
