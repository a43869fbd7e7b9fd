package harness

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// driver is the source of one cell's load. The slots go through its phases without
// a pause: phase 0 is the warm-up, 1… are the trials. A phase ends at the
// completion of one of its own requests, and the next begins at that instant, so
// that nothing is drained and no ramp lies in a window. Only a trial of a fixed
// number of requests waits for its last one before the next trial begins. Open loads
// have phases too; open.go says how theirs end.
type driver struct {
	cell   spec.Cell
	target target.Target
	clock  load.Clock
	feeds  []*feed
	meter  load.Meter
	stop   context.CancelCauseFunc // of the cell's context
	base   time.Time
	open   *opened // of an open load; else nil
	keeper *keeper // of cells that ask for it; else nil
	texts  bool    // what was answered is looked at later

	mu        sync.Mutex // guards all below
	turn      *sync.Cond // on mu: the phase changed, or the context ended
	phase     int
	started   time.Time // of the phase
	admitted  int       // requests of the phase
	completed int       // without error
	ended     int
	pending   []target.Request // by slot
	places    []place          // by slot
	exchanges []*exchange
	windows   []span
	stability stability
	failures  int // one after another
	lastErr   error
	took      time.Duration // of all requests that ended well
	tookN     int
}

type place struct{ phase, index int }

// span is a phase's window.
type span struct{ start, end time.Time }

// maxFailures is how many requests in a row may fail before a cell is given up.
const maxFailures = 10

func newDriver(c spec.Cell, t target.Target, clock load.Clock, feeds []*feed, stop context.CancelCauseFunc) *driver {
	n := c.Load.Slots()
	d := &driver{
		open: newOpened(c), keeper: newKeeper(c, t),
		cell: c, target: t, clock: clock, feeds: feeds, stop: stop,
		pending: make([]target.Request, n), places: make([]place, n),
	}
	d.turn = sync.NewCond(&d.mu)
	return d
}

// run executes all phases and returns when every request has ended.
func (d *driver) run(ctx context.Context) error {
	// Under the lock, as the slots' waits end when the context does.
	defer context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.turn.Broadcast()
	})()
	d.mu.Lock()
	d.base = d.clock.Now()
	d.started = d.base
	d.stability = stability{limit: d.cell.Warmup.CV, from: d.base, every: len(d.pending)}
	if d.open != nil {
		d.open.warm = d.cell.Warmup.Mode == "none"
	} else if d.cell.Warmup.Mode == "none" {
		d.windows = append(d.windows, span{d.base, d.base})
		d.phase = 1
	}
	d.mu.Unlock()
	watch, end := context.WithCancel(ctx)
	defer end()
	if d.open != nil {
		d.open.tail, d.open.endTail = context.WithCancel(ctx)
		defer d.open.endTail()
	}
	var guard sync.WaitGroup
	guard.Go(func() { d.watch(watch) })
	err := load.Run(ctx, d.clock, len(d.pending), d)
	end()
	guard.Wait()
	return err
}

// quota is how many requests a phase has; 0: as many as its window takes.
func (d *driver) quota(phase int) int {
	if phase == 0 {
		return 0
	}
	return d.cell.Load.Requests
}

func (d *driver) over() bool { return d.phase > d.cell.Trials.Count }

// Next gives a slot the phase's next request.
func (d *driver) Next(ctx context.Context, slot int, free time.Time) (load.Turn, bool) {
	if d.open != nil {
		return d.arrival(ctx, slot)
	}
	d.mu.Lock()
	for !d.over() && ctx.Err() == nil && d.quota(d.phase) > 0 && d.admitted >= d.quota(d.phase) {
		d.turn.Wait()
		if d.started.After(free) {
			free = d.started
		}
	}
	if d.over() || ctx.Err() != nil {
		d.mu.Unlock()
		return load.Turn{}, false
	}
	phase := d.phase
	d.admitted++
	// The feed is asked under the lock, so that requests keep their order; it has
	// them ready.
	r, err := d.feeds[phase].next(ctx)
	index := d.admitted - 1
	if d.cell.Load.Type == "burst" && phase > 0 {
		free = d.started // all of them are due at once
	}
	d.mu.Unlock()
	if err != nil {
		d.stop(err)
		return load.Turn{}, false
	}
	d.pending[slot], d.places[slot] = r, place{phase, index}
	return load.Turn{Seq: index, Due: free}, true
}

// Send makes the request and, at its end, moves on to the next phase if it is time.
func (d *driver) Send(ctx context.Context, t load.Ticket) {
	x := newExchange(d.clock, d.base, d.pending[t.Slot], t, &d.meter)
	x.phase, x.index = d.places[t.Slot].phase, d.places[t.Slot].index
	if d.open != nil && x.phase > d.cell.Trials.Count {
		x.do(d.open.tail, d.target) // it keeps the load up, and is nobody's
		return
	}
	if c := d.cell.Cancel; c.Rate > 0 && share(x.index, c.Rate) {
		x.cancelAfter = max(c.AfterTokens, 1)
	}
	x.do(ctx, d.target)
	if x.phase > 0 {
		d.keeper.after(ctx)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.texts {
		x.reply.Text = ""
	}
	d.exchanges = append(d.exchanges, x)
	if d.open != nil {
		defer d.gone(x.phase)
	}
	if x.failed() {
		d.failures++
		d.lastErr = x.err
		if d.failures >= maxFailures+d.atOnce()-1 && ctx.Err() == nil {
			d.stop(fmt.Errorf("%w: %d in a row, the last one: %w", errFailing, d.failures, x.err))
		}
	} else {
		d.failures = 0
		d.took += x.reply.End.Sub(t.Admitted)
		d.tookN++
	}
	if x.phase != d.phase || ctx.Err() != nil {
		return
	}
	d.ended++
	if !x.failed() {
		d.completed++
	}
	if end := latest(x.reply.End, d.started); d.phaseOver(end) {
		d.advance(end)
	}
}

// share says whether the index-th of a sequence belongs to the given share of it,
// evenly spread.
func share(index int, rate float64) bool {
	return int(float64(index+1)*rate+1e-9) > int(float64(index)*rate+1e-9)
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// phaseOver decides at the completion of one of the phase's requests.
func (d *driver) phaseOver(now time.Time) bool {
	if d.open != nil { // an arrival ends its phases
		d.open.warm = d.open.warm || d.phase == 0 && d.warm(now)
		return false
	}
	if d.phase == 0 {
		return d.warm(now)
	}
	if q := d.quota(d.phase); q > 0 {
		return d.ended >= q
	}
	w := d.cell.Window
	return now.Sub(d.started) >= w.MinDuration && d.completed >= max(w.MinRequests, 1)
}

func (d *driver) warm(now time.Time) bool {
	w := d.cell.Warmup
	if w.Mode == "requests" {
		return d.ended >= max(w.Requests, 1)
	}
	_, tokens := d.meter.Read()
	d.stability.completion(now, tokens)
	if limit := cmp.Or(w.Max, time.Minute); now.Sub(d.started) >= limit {
		return true // cell.go warns of it
	}
	return d.ended >= w.Requests && d.stability.stable()
}

func (d *driver) advance(now time.Time) {
	d.windows = append(d.windows, span{d.started, now})
	d.phase++
	d.started, d.admitted, d.completed, d.ended = now, 0, 0, 0
	d.turn.Broadcast()
}

// watch ends the cell when one of its trials takes longer than Window.Max, or its
// warm-up longer than Warmup.Max and then Window.Max.
func (d *driver) watch(ctx context.Context) {
	limit := d.cell.Window.Max
	if limit <= 0 {
		return
	}
	for {
		d.mu.Lock()
		due := d.started.Add(limit)
		if d.phase == 0 {
			due = due.Add(d.cell.Warmup.Max)
		}
		over := d.over()
		if over {
			// What is still in flight began inside the last window; it gets as long.
			due = d.started.Add(limit)
		}
		d.mu.Unlock()
		if !d.clock.Now().Before(due) {
			d.stop(fmt.Errorf("%w of %v", errWindow, limit))
			return
		}
		if d.clock.Sleep(ctx, due) != nil {
			return
		}
	}
}

// standing is what a progress display needs.
type standing struct {
	phase     int
	elapsed   time.Duration // of the phase
	completed int
	mean      time.Duration // of a request; 0 unknown
	tokens    int64
}

func (d *driver) standing() standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := standing{phase: d.phase, completed: d.completed}
	if !d.started.IsZero() {
		s.elapsed = d.clock.Now().Sub(d.started)
	}
	if d.tookN > 0 {
		s.mean = d.took / time.Duration(d.tookN)
	}
	_, s.tokens = d.meter.Read()
	return s
}
