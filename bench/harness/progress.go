package harness

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/suites/spec"
)

// emitter keeps the callbacks from being called at the same time.
type emitter struct {
	mu sync.Mutex
	to Emit
}

func (e *emitter) progress(p Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.to.Progress != nil {
		e.to.Progress(p)
	}
}

func (e *emitter) trial(c spec.Cell, t result.Trial) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.to.Trial != nil {
		e.to.Trial(c, t)
	}
}

func (e *emitter) samples(s []result.Sample) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.to.Samples != nil {
		e.to.Samples(s)
	}
}

// progressPeriod is how often progress is told.
const progressPeriod = 250 * time.Millisecond

// guessedWarmup is how long a warm-up is taken to last before one has been seen.
const guessedWarmup = time.Second

// tracker tells how far a round is.
type tracker struct {
	order Order
	clock load.Clock
	emit  *emitter
	halt  context.CancelFunc
	done  sync.WaitGroup

	mu       sync.Mutex // guards all below
	text     string
	at       int          // cell under way; -1 before the first
	finish   map[int]bool // cells that are over
	began    time.Time    // of the cell
	spent    time.Duration
	share    float64 // most told so far
	perToken time.Duration
	driver   *driver
	last     standing
	lastRead time.Time
}

func newTracker(o Order, clock load.Clock, emit *emitter) *tracker {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tracker{order: o, clock: clock, emit: emit, halt: cancel, at: -1, finish: map[int]bool{}}
	if emit.to.Progress == nil {
		return t
	}
	t.done.Go(func() {
		for t.clock.Sleep(ctx, t.clock.Now().Add(progressPeriod)) == nil {
			t.emit.progress(t.read())
		}
	})
	return t
}

func (t *tracker) stop() {
	t.halt()
	t.done.Wait()
}

// phase names what is done outside of a cell's load, and tells at once.
func (t *tracker) phase(text string) {
	t.mu.Lock()
	t.text = text
	t.mu.Unlock()
	t.emit.progress(t.read())
}

// cell begins the i-th cell and ends the one before.
func (t *tracker) cell(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.close()
	t.at, t.began, t.text = i, t.clock.Now(), "warm-up"
}

func (t *tracker) finished() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.close()
}

func (t *tracker) close() {
	if t.at >= 0 && !t.finish[t.at] {
		t.finish[t.at] = true
		t.spent += t.clock.Now().Sub(t.began)
	}
}

// watch follows a driver; nil: its load is over.
func (t *tracker) watch(d *driver) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.driver, t.last, t.lastRead = d, standing{}, time.Time{}
	if d == nil {
		t.text = "checking"
	}
}

// mean guesses a cell's request time from what a token took in another; 0 unknown.
func (t *tracker) mean(c spec.Cell) time.Duration {
	return t.perToken * time.Duration(c.Request.MaxTokens)
}

// read makes the progress of this moment.
func (t *tracker) read() Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	p := Progress{Phase: t.text, At: now.Round(0)}
	if t.text == "done" {
		p.Done = 1
		return p
	}
	var left, spent time.Duration
	for i, c := range t.order.Cells {
		if i != t.at && !t.finish[i] {
			left += expected(c, t.mean(c))
		}
	}
	spent = t.spent
	if t.at >= 0 {
		c := t.order.Cells[t.at]
		p.Workload, p.Cell, p.Point = c.Workload, c.Digest, c.Point
		if !t.finish[t.at] {
			spent += now.Sub(t.began)
			left += t.current(c, now, &p)
		}
	} else if len(t.order.Cells) > 0 {
		p.Workload = t.order.Cells[0].Workload
	}
	p.Left = left
	if spent > 0 {
		p.Done = min(spent.Seconds()/(spent+left).Seconds(), 0.999)
	}
	// An estimate that grows must not look like work undone.
	t.share = max(t.share, p.Done)
	p.Done = t.share
	return p
}

// current gives the time that the cell under way has left, and completes p.
func (t *tracker) current(c spec.Cell, now time.Time, p *Progress) time.Duration {
	if t.driver == nil {
		if t.text == "warm-up" {
			return expected(c, t.mean(c))
		}
		return 0
	}
	c = t.driver.cell // fewer trials where they are repeated
	s := t.driver.standing()
	if !t.lastRead.IsZero() {
		if took := now.Sub(t.lastRead).Seconds(); took > 0 && s.tokens >= t.last.tokens {
			p.Rate = float64(s.tokens-t.last.tokens) / took
		}
	}
	t.last, t.lastRead = s, now
	if s.mean > 0 {
		t.perToken = s.mean / time.Duration(c.Request.MaxTokens)
	} else {
		s.mean = t.mean(c)
	}
	trial := expectedTrial(c, s.mean)
	p.Phase = "warm-up"
	left := time.Duration(c.Trials.Count) * trial
	switch {
	case s.phase > c.Trials.Count:
		p.Phase = "checking"
		left = 0
	case s.phase > 0:
		p.Phase = fmt.Sprintf("trial %d of %d", s.phase, c.Trials.Count)
		left = time.Duration(c.Trials.Count-s.phase)*trial + max(trial-s.elapsed, 0)
	case c.Warmup.Mode != "none":
		left += max(expectedWarmup(c, s.mean)-s.elapsed, 0)
	}
	return left
}

// expected is a whole cell's time with requests of a mean duration (0: unknown).
func expected(c spec.Cell, mean time.Duration) time.Duration {
	d := time.Duration(c.Trials.Count) * expectedTrial(c, mean)
	if c.Warmup.Mode != "none" {
		d += expectedWarmup(c, mean)
	}
	return d
}

func expectedWarmup(c spec.Cell, mean time.Duration) time.Duration {
	n := max(c.Warmup.Requests, 1)
	if c.Warmup.Mode == "until_stable" {
		n = max(n, warmWindows)
	}
	d := max(guessedWarmup, time.Duration(n)*mean)
	if c.Warmup.Mode == "until_stable" && c.Warmup.Max > 0 {
		d = min(d, c.Warmup.Max+mean) // it ends with the request that passes its time
	}
	return d
}

func expectedTrial(c spec.Cell, mean time.Duration) time.Duration {
	n := c.Window.MinRequests
	if c.Load.Requests > 0 {
		n = c.Load.Requests
	}
	slots := c.Load.Slots()
	if c.Load.Open() {
		return max(time.Duration(float64(n)/c.Load.Rate*float64(time.Second)), c.Window.MinDuration) + mean
	}
	byCount := time.Duration((n+slots-1)/slots) * mean
	if c.Load.Requests > 0 {
		return byCount
	}
	return max(byCount, c.Window.MinDuration)
}
