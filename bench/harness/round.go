package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// round is one RunRound under way.
type round struct {
	order     Order
	deps      Deps
	clock     load.Clock
	emit      *emitter
	progress  *tracker
	telemetry *telemetry
	started   time.Time
	notes     []string // of what was measured

	// What is started at this moment.
	target  target.Target
	tok     target.Tokenizer
	spawned time.Time // of its process; zero: not known
	first   bool      // nothing was started before it

	capacity map[string]float64 // requests a second at most, by kind of request
}

// ErrUnsupported is wrapped by the error of a cell that asks for what the subject can't
// do at all.
var ErrUnsupported = errors.New("the target can't do this")

// RunRound starts the subject, sends it its first request, runs every cell and
// closes it; then the same for each variant of the subject that cells ask for. A result
// is returned whatever the figures are, valid or not; an error means that there is
// none: the subject didn't start or didn't answer its first request, the order can't be
// run, or ctx ended.
func RunRound(ctx context.Context, o Order, deps Deps) (result.Round, error) {
	if err := o.check(); err != nil {
		return result.Round{}, err
	}
	r := &round{order: o, deps: deps, clock: deps.Clock}
	if r.clock == nil {
		r.clock = load.System{}
	}
	r.started = r.clock.Now()
	r.emit = &emitter{to: deps.Emit}
	r.progress = newTracker(o, r.clock, r.emit)
	defer r.progress.stop()

	out := result.Round{
		ID: fmt.Sprintf("%s.%d", o.Attempt, o.Index), RunID: o.Run, AttemptID: o.Attempt, Index: o.Index,
		Started: r.started.Round(0), Environment: deps.Environment, Cells: make([]result.CellResult, len(o.Cells)),
	}
	defer func() {
		if r.telemetry != nil {
			r.telemetry.close(ctx)
		}
	}()
	for i, p := range parts(o) {
		r.first = i == 0
		if err := r.start(ctx, p, &out); err != nil {
			return result.Round{}, err
		}
	}
	warmRatios(o.Cells, out.Cells)
	fits(o.Cells, out.Cells)
	r.progress.finished()
	out.Probes = append(out.Probes, r.probe(ctx, "after")...)
	out.Reasons = append(out.Reasons, r.warnings()...)
	out.Valid = valid(out.Reasons) && slices.ContainsFunc(out.Cells, func(c result.CellResult) bool { return c.Valid })
	if err := ctx.Err(); err != nil {
		return result.Round{}, fmt.Errorf("round %d: %w", o.Index, err)
	}
	out.Ended = r.clock.Now().Round(0)
	r.progress.phase("done")
	return out, nil
}

// measure does everything between start and end of what a part measures.
func (r *round) measure(ctx context.Context, p part, out *result.Round) error {
	ready := r.clock.Now()
	for _, i := range p.cells {
		if c := r.order.Cells[i]; c.Request.NoKV && !target.TraitsOf(r.target).TurnsKVOff {
			return fmt.Errorf("workload %s has kv_cache: off: %w: only Paceline's own engine can compute without a KV cache", c.Workload, ErrUnsupported)
		}
	}
	r.progress.phase("first request")
	first := r.firstCell(p.cells)
	cold, err := r.firstRequest(ctx, first, ready)
	if err != nil {
		return err
	}
	if r.first {
		r.telemetry = startTelemetry(ctx, r.clock, r.deps.Samplers)
		out.Probes = r.probe(ctx, "before")
	}
	// The cell whose request came first goes first: the others follow in order.
	cells := append([]int{first}, slices.DeleteFunc(slices.Clone(p.cells), func(i int) bool { return i == first })...)
	for _, i := range cells {
		r.progress.cell(i)
		res, err := r.runCell(ctx, r.order.Cells[i])
		if err != nil {
			return err
		}
		res.Values = append(startValues(cold, i == first), res.Values...)
		out.Cells[i] = res
	}
	id, err := r.target.Identity(ctx)
	if err != nil {
		return err
	}
	if r.first {
		out.Subject = id
		if len(out.Subject.Faults) == 0 {
			out.Subject.Faults = r.order.Faults // whatever the subject says of itself
		}
	}
	if p.variant != "" {
		for _, i := range p.cells {
			out.Cells[i].Target, out.Cells[i].DType = p.variant, id.DType
		}
	}
	return nil
}

func (r *round) probe(ctx context.Context, when string) []result.Probe {
	if r.deps.Probe == nil {
		return nil
	}
	r.progress.phase("probe")
	return r.deps.Probe(ctx, when)
}

// warnings are what to know about the round as a whole.
func (r *round) warnings() []result.Reason {
	var reasons []result.Reason
	for _, err := range r.telemetry.errors() {
		reasons = append(reasons, result.Reason{Code: "telemetry", Warn: true, Detail: err.Error()})
	}
	for _, note := range slices.Compact(r.notes) {
		reasons = append(reasons, result.Reason{Code: "unsupported", Warn: true, Detail: note})
	}
	env := r.deps.Environment
	if cores := cmp.Or(env.Hardware.Cores, runtime.NumCPU()); env.Load1 > float64(cores)/2 {
		reasons = append(reasons, result.Reason{
			Code: "busy", Warn: true,
			Detail: fmt.Sprintf("the machine had a load of %.2f on %d cores before the round", env.Load1, cores),
		})
	}
	return reasons
}

// coldStart is what only the start of a subject shows.
type coldStart struct {
	load, process, first *float64 // s, ms, ms
}

// firstCell is that of the cells whose request is sent first: one that is gated on a cold
// start, else the first.
func (r *round) firstCell(cells []int) int {
	for _, i := range cells {
		c := r.order.Cells[i]
		if slices.ContainsFunc(c.Gates, func(g spec.Gate) bool {
			def, ok := g.Metric.Def()
			return ok && (def.Name == "ttft_process_cold" || def.Name == "ttft_first_request")
		}) {
			return i
		}
	}
	return cells[0]
}

// firstTokens is how long the first answer is: enough for a first piece of text.
const firstTokens = 8

// firstRequest sends the first request that the subject ever gets. It is one of the
// cell's shape with a prompt of its own.
func (r *round) firstRequest(ctx context.Context, cell int, ready time.Time) (coldStart, error) {
	var cold coldStart
	c := r.order.Cells[cell]
	p, err := newPrompts(c, r.tok, target.TraitsOf(r.target), fmt.Sprintf("%s/%d first", r.order.Run, r.order.Index), r.deps.Dataset)
	if err != nil {
		return cold, err
	}
	q, err := p.request(-1, 0)
	if err != nil {
		return cold, err
	}
	q.MaxTokens = min(q.MaxTokens, firstTokens)
	admitted := r.clock.Now()
	x := newExchange(r.clock, admitted, q, load.Ticket{Scheduled: admitted, Admitted: admitted}, nil)
	if x.do(ctx, r.target); x.err != nil {
		if ctx.Err() != nil {
			return cold, context.Cause(ctx)
		}
		return cold, fmt.Errorf("the subject's first request: %w", x.err)
	}
	if events := x.rec.Events(); len(events) > 0 {
		cold.first = new(ms(events[0]))
	}
	// Two processes share the wall clock only. One that was set back in between makes
	// the time unknown.
	if spawned := r.spawned.Round(0); !r.spawned.IsZero() && spawned.Before(ready.Round(0)) {
		cold.load = new(ready.Round(0).Sub(spawned).Seconds())
		if cold.first != nil {
			cold.process = new(ms(admitted.Round(0).Sub(spawned).Nanoseconds()) + *cold.first)
		}
	}
	return cold, nil
}

// startValues are the values of a start: the load time belongs to every cell, the
// first request to the one whose request it was.
func startValues(cold coldStart, first bool) []result.Value {
	var values []result.Value
	add := func(id metric.ID, v *float64) {
		if v != nil {
			values = append(values, result.Value{Metric: id, Value: *v, N: 1})
		}
	}
	if first {
		add("ttft_process_cold", cold.process)
		add("ttft_first_request", cold.first)
	}
	add("load_time", cold.load)
	return values
}
