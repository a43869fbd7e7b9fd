package sched

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
)

// ErrClosed is returned by Submit, and given to jobs that were under way, after Close.
var ErrClosed = errors.New("the loop is closed")

// Hooks let the facade plant faults. Nil ones do nothing.
type Hooks struct {
	// Stepped is called after each step is collected and before its tokens are handed
	// out, with the time since the step before was handed out (or since the loop woke up).
	Stepped func(took time.Duration)
	// Token may replace a drawn token before anybody sees it.
	Token func(id int32, s backend.Sampling) int32
}

// Options of a Loop. The zero value is valid.
type Options struct {
	Hooks Hooks
	// MaxRows bounds the sequences that run at a time, so that 1 turns batching off; 0 or more
	// than the backend's own limit: that limit.
	MaxRows int
	// MixedTokens is Limits.MixedTokens; 0: 128.
	MixedTokens int
	// CachedPages bounds the pages that only the prefix cache holds; 0: no bound, negative: the
	// cache is off.
	CachedPages int
	// Speculate is how many tokens of a sequence are guessed at most in a step; more than the
	// backend's MaxDraft: that.
	Speculate int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Loop runs jobs on a backend. It owns the backend between New and Close.
type Loop struct {
	core *core // of the goroutine only, but for its meter and Pool.Usage
	info backend.Info

	wake chan struct{} // capacity 1: something changed
	done chan struct{} // closed when the goroutine has ended
	left atomic.Bool   // some job was cancelled since the last sweep

	fresh []*seq // of the goroutine only: what it took from inbox

	mu      sync.Mutex
	inbox   []*seq // guarded by mu
	closing bool   // guarded by mu
	fault   error  // guarded by mu: the backend can't be used any more
}

// New starts the loop. The caller must Close it, and then the backend.
func New(b backend.Backend, o Options) *Loop {
	l := &Loop{
		core: newCore(b, o), info: b.Info(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go l.run()
	return l
}

// Submit queues a job; it never waits. ctx ends the job: within one step it gets Done with
// ReasonCancel. The error says what of the job can't be done, or wraps ErrClosed or
// backend.ErrFault; then Done isn't called.
func (l *Loop) Submit(ctx context.Context, j Job) error {
	if err := check(&j, l.info, l.Usage().Total); err != nil {
		return err
	}
	s := newSeq(ctx, j, l.core.now())
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return err
	}
	s.unwatch = context.AfterFunc(ctx, func() {
		l.left.Store(true)
		l.poke()
	})
	l.inbox = append(l.inbox, s)
	l.core.meter.change(func(k *Counters) { k.Jobs++; k.Waiting++ })
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

// check says what of a job can't be done on a backend with so many pages.
func check(j *Job, info backend.Info, pages int) error {
	switch total := len(j.Prompt) + j.MaxTokens; {
	case len(j.Prompt) == 0:
		return errors.New("the prompt has no tokens")
	case j.Logits != nil && j.MaxTokens != 0:
		return errors.New("only a scoring job gives logits")
	case j.MaxTokens < 0:
		return fmt.Errorf("%d tokens to generate", j.MaxTokens)
	case total > info.MaxContext:
		return fmt.Errorf("%d prompt tokens and %d to generate exceed the context of %d positions", len(j.Prompt), j.MaxTokens, info.MaxContext)
	case kv.PagesFor(j.positions()) > pages:
		return fmt.Errorf("%d prompt tokens and %d to generate need %d KV pages, the backend has %d: %w",
			len(j.Prompt), j.MaxTokens, kv.PagesFor(j.positions()), pages, kv.ErrNoPages)
	}
	for i, id := range j.Prompt {
		if id < 0 || int(id) >= info.VocabSize {
			return fmt.Errorf("prompt token %d is %d, not an id of the vocabulary of %d", i, id, info.VocabSize)
		}
	}
	return nil
}

// Counters is a snapshot. Any goroutine may call it.
func (l *Loop) Counters() Counters { return l.core.meter.read() }

// Usage counts KV pages. Any goroutine may call it.
func (l *Loop) Usage() kv.Usage { return l.core.pool.Usage() }

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
	for l.receive() {
		if !l.core.plan() {
			l.core.lap(&l.core.phases.Plan)
			<-l.wake
			l.core.rest()
			continue
		}
		if err := l.core.step(); err != nil {
			l.broke(err)
		}
	}
	l.core.drain()
	l.core.abandon(Result{Reason: ReasonCancel, Err: ErrClosed})
}

// receive takes new jobs in and ends cancelled ones. It is false when the loop must close.
func (l *Loop) receive() bool {
	left := l.left.Swap(false) // before the inbox is read: who is in neither now sets it again
	l.mu.Lock()
	closing := l.closing
	l.empty()
	l.mu.Unlock()
	l.core.submit(l.fresh)
	if closing {
		return false
	}
	l.core.sweep(left)
	return true
}

// empty moves the inbox to fresh. It is called with mu held.
func (l *Loop) empty() {
	clear(l.fresh)
	l.fresh, l.inbox = l.inbox, l.fresh[:0]
}

// broke ends the jobs that an error of the backend hits. Later ones are refused if it is for
// good.
func (l *Loop) broke(err error) {
	if errors.Is(err, backend.ErrFault) {
		l.mu.Lock()
		l.fault = err
		l.empty()
		l.mu.Unlock()
		l.core.submit(l.fresh)
	}
	l.core.fail(err)
}
