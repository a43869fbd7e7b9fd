package harness

import (
	"context"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/suites/spec"
)

// opened is what the load of a cell has that doesn't wait for answers.
//
// Arrivals follow one schedule from the first warm-up request to the last. Windows begin and end at arrivals, so that none
// has part of a gap too much: the first one at the first arrival after the warm-up, the next at the first that is due after
// the time of the one before. What is in flight then stays so. After the last trial the load goes on,
// unmeasured, until the last request of that trial has ended, so that none of them ends on an idler target than the others.
type opened struct {
	arrivals  *load.Arrivals
	turnstile chan struct{} // one slot waits for the next arrival, the others for it

	tail    context.Context // of requests after the last trial
	endTail context.CancelFunc

	// Guarded by driver.mu.
	warm   bool  // the warm-up is over with the next arrival
	count  []int // arrivals by phase
	flying []int // requests in flight by phase
}

// newOpened is nil for loads that aren't open.
func newOpened(c spec.Cell) *opened {
	l := c.Load
	if !l.Open() {
		return nil
	}
	o := &opened{turnstile: make(chan struct{}, 1), count: make([]int, c.Trials.Count+2), flying: make([]int, c.Trials.Count+2)}
	switch seed := child(c.Seed, "arrivals"); l.Type {
	case "constant":
		o.arrivals = load.Constant(l.Rate)
	case "poisson":
		o.arrivals = load.Poisson(l.Rate, seed)
	default:
		o.arrivals = load.Gamma(l.Rate, l.Burstiness, seed)
	}
	return o
}

// arrival gives a slot the next request once it is due. Where every slot was busy then, it is given late, and its time
// counts from when it was due.
func (d *driver) arrival(ctx context.Context, slot int) (load.Turn, bool) {
	select {
	case d.open.turnstile <- struct{}{}:
		defer func() { <-d.open.turnstile }()
	case <-d.open.tail.Done():
		return load.Turn{}, false
	}
	if ctx.Err() != nil {
		return load.Turn{}, false
	}
	turn := load.Turn{Due: d.base.Add(d.open.arrivals.Next())}
	if turn.Due.After(d.clock.Now()) {
		if d.clock.Sleep(d.open.tail, turn.Due) != nil {
			return load.Turn{}, false
		}
		turn.Late = d.clock.Now().Sub(turn.Due)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due(turn.Due)
	if d.open.tail.Err() != nil { // that was all
		return load.Turn{}, false
	}
	phase := d.phase
	turn.Seq = d.open.count[phase]
	r, err := d.feeds[phase].next(ctx)
	if err != nil {
		d.stop(err)
		return load.Turn{}, false
	}
	d.open.count[phase]++
	d.open.flying[phase]++
	d.pending[slot], d.places[slot] = r, place{phase, turn.Seq}
	return turn, true
}

// due ends a phase if the arrival at an instant isn't its own any more.
func (d *driver) due(at time.Time) {
	if d.over() {
		return
	}
	if d.phase == 0 {
		if d.open.warm {
			d.advance(at)
		}
		return
	}
	w, n := d.cell.Window, d.open.count[d.phase]
	full := at.Sub(d.started) >= w.MinDuration && n >= max(w.MinRequests, 1)
	if q := d.quota(d.phase); q > 0 {
		full = n >= q
	}
	if full {
		d.advance(at)
		d.settle()
	}
}

// gone notes that a request of a phase has ended.
func (d *driver) gone(phase int) {
	d.open.flying[phase]--
	d.settle()
}

// settle ends the load once the last trial's last request has ended.
func (d *driver) settle() {
	if d.over() && d.open.flying[d.cell.Trials.Count] == 0 {
		d.open.endTail()
	}
}

// atOnce is how many requests may fail for one reason: those in flight together.
func (d *driver) atOnce() int {
	if d.open == nil {
		return len(d.pending)
	}
	n := 1
	for _, f := range d.open.flying {
		n += f
	}
	return n
}
