package sched

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
)

// Hooks let the facade plant faults. Nil ones do nothing.
type Hooks struct {
	// Stepped is called after each step is collected and before its tokens are handed
	// out, with the time since the step before was handed out (or since the loop woke up).
	Stepped func(took time.Duration)
	// Token may replace a drawn token before anybody sees it.
	Token func(id int32, s backend.Sampling) int32
}

// Counters count since New. Prompt tokens are counted when computed, output
// tokens when handed out.
type Counters struct {
	Steps, Jobs, PromptTokens, OutputTokens, Cancelled uint64
}

// Loop runs jobs on a backend. It owns the backend between New and Close.
type Loop struct {
	back   backend.Backend
	info   backend.Info
	pool   *kv.Pool
	limits Limits
	hooks  Hooks

	wake chan struct{} // capacity 1: something changed
	done chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex
	inbox    []*seq   // guarded by mu
	counters Counters // guarded by mu
	closing  bool     // guarded by mu
	fault    error    // guarded by mu: the backend can't be used any more

	// Of the goroutine only:
	waiting []*seq
	running []*seq
	state   State
	batch   backend.Batch
}

// Options of a Loop. The zero value is valid.
type Options struct {
	Hooks Hooks
	// MaxRows bounds the sequences that run at a time; 0 or more than the backend's own
	// limit: that limit.
	MaxRows int
	// MixedTokens is Limits.MixedTokens; 0: 128.
	MixedTokens int
}

// New starts the loop. The caller must Close it, and then the backend.
func New(b backend.Backend, o Options) *Loop {
	info := b.Info()
	l := &Loop{
		back: b, info: info, pool: kv.NewPool(b.Pages().Count()), hooks: o.Hooks,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	rows := min(info.MaxRows, info.MaxTokens)
	if o.MaxRows > 0 {
		rows = min(rows, o.MaxRows)
	}
	mixed := o.MixedTokens
	if mixed <= 0 {
		mixed = 128
	}
	l.limits = Limits{MaxRows: rows, MaxTokens: info.MaxTokens, MixedTokens: min(mixed, info.MaxTokens)}
	go l.run()
	return l
}

// Submit queues a job; it never waits. ctx ends the job: within one step it gets Done with
// ReasonCancel. The error says what of the job can't be done, or wraps ErrClosed or
// backend.ErrFault; then Done isn't called.
func (l *Loop) Submit(ctx context.Context, j Job) error {
	if err := l.check(j); err != nil {
		return err
	}
	s := newSeq(ctx, j, time.Now())
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return err
	}
	s.unwatch = context.AfterFunc(ctx, l.poke)
	l.inbox = append(l.inbox, s)
	l.counters.Jobs++
	l.mu.Unlock()
	l.poke()
	return nil
}

// usable is called with mu held.
func (l *Loop) usable() error {
	if l.closing {
		return ErrClosed
	}
	return l.fault
}

func (l *Loop) check(j Job) error {
	switch total := len(j.Prompt) + j.MaxTokens; {
	case len(j.Prompt) == 0:
		return errors.New("the prompt has no tokens")
	case j.Logits != nil && j.MaxTokens != 0:
		return errors.New("only a scoring job gives logits")
	case j.MaxTokens < 0:
		return fmt.Errorf("%d tokens to generate", j.MaxTokens)
	case total > l.info.MaxContext:
		return fmt.Errorf("%d prompt tokens and %d to generate exceed the context of %d positions", len(j.Prompt), j.MaxTokens, l.info.MaxContext)
	case kv.PagesFor(j.positions()) > l.pool.Usage().Total:
		return fmt.Errorf("%d prompt tokens and %d to generate need %d KV pages, the backend has %d: %w",
			len(j.Prompt), j.MaxTokens, kv.PagesFor(j.positions()), l.pool.Usage().Total, kv.ErrNoPages)
	}
	for i, id := range j.Prompt {
		if id < 0 || int(id) >= l.info.VocabSize {
			return fmt.Errorf("prompt token %d is %d, not an id of the vocabulary of %d", i, id, l.info.VocabSize)
		}
	}
	return nil
}

// Counters is a snapshot. Any goroutine may call it.
func (l *Loop) Counters() Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counters
}

// Usage counts KV pages. Any goroutine may call it.
func (l *Loop) Usage() kv.Usage { return l.pool.Usage() }

// Close ends all jobs with ReasonCancel after the step under way, and waits for the goroutine.
// It doesn't close the backend. Closing twice is allowed.
func (l *Loop) Close() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.poke()
	<-l.done
}

func (l *Loop) poke() {
	select {
	case l.wake <- struct{}{}:
	default: // somebody else's poke is still unread and will do
	}
}

// run is the loop's goroutine. A thread of its own keeps its caches warm, and lets a device
// bind to it.
func (l *Loop) run() {
	defer close(l.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mark := time.Now()
	for {
		if !l.receive() {
			l.abandon()
			return
		}
		d := l.decide()
		if len(d.Chunks) == 0 {
			<-l.wake
			mark = time.Now()
			continue
		}
		mark = l.step(d, mark)
	}
}

// receive takes new jobs in and ends cancelled ones. It is false when the loop must close.
func (l *Loop) receive() bool {
	l.mu.Lock()
	l.waiting = append(l.waiting, l.inbox...)
	l.inbox = nil
	closing := l.closing
	l.mu.Unlock()
	if closing {
		return false
	}
	cancelled := func(s *seq) bool {
		if s.ctx.Err() == nil {
			return false
		}
		l.end(s, Result{Reason: ReasonCancel, Err: context.Cause(s.ctx), End: time.Now()})
		return true
	}
	l.waiting = slices.DeleteFunc(l.waiting, cancelled)
	l.running = slices.DeleteFunc(l.running, cancelled)
	return true
}

// abandon ends everything when the loop closes.
func (l *Loop) abandon() {
	for _, s := range slices.Concat(l.running, l.waiting) {
		l.end(s, Result{Reason: ReasonCancel, Err: ErrClosed, End: time.Now()})
	}
	l.running, l.waiting = nil, nil
}

// end gives a job's pages back and tells its sink. r has the reason; the job's own
// counts and instants are filled in.
func (l *Loop) end(s *seq, r Result) {
	s.unwatch()
	if s.table != nil {
		s.table.Free()
	}
	r.OutputTokens = len(s.tokens) - len(s.Prompt)
	r.Queued, r.PrefillStart, r.PrefillEnd = s.result.Queued, s.result.PrefillStart, s.result.PrefillEnd
	r.SumLogProb = s.result.SumLogProb
	if r.Reason == ReasonCancel {
		l.mu.Lock()
		l.counters.Cancelled++
		l.mu.Unlock()
	}
	s.Sink.Done(r)
}
