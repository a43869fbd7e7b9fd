package harness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// Why a cell was given up.
var (
	errWindow  = errors.New("a trial passed its longest time")
	errFailing = errors.New("the subject's requests fail")
)

// execution is one cell's load, done.
type execution struct {
	cell   spec.Cell
	driver *driver
	late   func(span) []time.Duration // lateness of timers inside a window
	gaveUp error                      // wraps errWindow or errFailing where the cell was cut short
	offset int                        // of its trials' indices
}

// pulsePeriod is how often the generator's own timers are checked.
const pulsePeriod = 5 * time.Millisecond

// execute runs a cell's warm-up and trials against a target. watch, if not nil, is
// told the driver before the load begins. The error is that of ctx or of making the
// requests; a subject that fails or is too slow is execution.gaveUp.
func execute(ctx context.Context, c spec.Cell, t target.Target, tok target.Tokenizer, clock load.Clock, nonce string, dataset func(name, digest string) ([]string, error), watch func(*driver)) (*execution, error) {
	p, err := newPrompts(c, tok, target.TraitsOf(t), nonce, dataset)
	if err != nil {
		return nil, err
	}
	inner, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	phases := c.Trials.Count + 1
	if c.Load.Open() {
		phases++ // the load goes on until the last trial's requests have ended
	}
	feeds := make([]*feed, phases)
	for phase := range feeds {
		limit := c.Load.Requests
		if phase == 0 || phase > c.Trials.Count {
			limit = 0
		}
		feeds[phase] = newFeed(inner, p, phase, limit)
		defer feeds[phase].close()
	}
	for _, f := range feeds {
		if err := f.fill(ctx); err != nil {
			return nil, err
		}
	}
	d := newDriver(c, t, clock, feeds, stop)
	d.texts = tok != nil
	if watch != nil {
		watch(d)
	}
	pulse := load.StartPulse(inner, clock, pulsePeriod)
	defer pulse.Stop()
	err = d.run(inner)
	e := &execution{cell: c, driver: d, late: func(s span) []time.Duration { return pulse.Between(s.start, s.end) }}
	switch cause := context.Cause(inner); {
	case err == nil:
		return e, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(cause, errWindow), errors.Is(cause, errFailing):
		e.gaveUp = cause
		return e, nil
	default:
		return nil, fmt.Errorf("run workload %q: %w", c.Workload, cause)
	}
}

// trials is how many trials came to their end.
func (e *execution) trials() int { return max(len(e.driver.windows)-1, 0) }

// base is the time axis of a phase: 1 ns before its first instant.
func (e *execution) base(phase int) time.Time {
	if phase < len(e.driver.windows) {
		return e.driver.windows[phase].start.Add(-time.Nanosecond)
	}
	return e.driver.started.Add(-time.Nanosecond) // cut short
}

// window gathers a trial's requests; truth, if not nil, completes each sample.
func (e *execution) window(trial int, truth func(*exchange, *result.Sample)) Window {
	w := e.driver.windows[trial]
	base := e.base(trial)
	out := Window{Nanos: w.end.Sub(w.start).Nanoseconds(), Exact: e.cell.Request.IgnoreEOS, Scheduled: e.cell.Load.Open(), SLO: e.cell.SLO}
	for _, x := range e.driver.exchanges {
		carried := x.phase < trial && x.reply.End.After(w.start)
		if x.phase != trial && !carried {
			continue
		}
		s := x.sample(base)
		if truth != nil {
			truth(x, &s)
		}
		if carried {
			out.Carried = append(out.Carried, s)
		} else {
			out.Own = append(out.Own, s)
			if out.Scheduled && x.ticket.Lateness > 0 {
				out.LagMs = append(out.LagMs, ms(x.ticket.Lateness.Nanoseconds()))
			}
		}
	}
	for _, l := range e.late(w) {
		out.LagMs = append(out.LagMs, ms(l.Nanoseconds()))
	}
	return out
}
