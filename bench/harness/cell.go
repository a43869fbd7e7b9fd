package harness

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// runCell executes a cell and computes its result. A subject that fails makes the
// cell invalid; the error is of the round.
func (r *round) runCell(ctx context.Context, c spec.Cell) (result.CellResult, error) {
	out := result.CellResult{Cell: c.Digest, Workload: c.Workload, Point: c.Point}
	if c.Data.Type == "synthetic" && r.tok == nil {
		out.Reasons = append(out.Reasons, result.Reason{Code: "prompt_length", Warn: true, Detail: fmt.Sprintf(
			"prompts have %d words in place of %d tokens: counting tokens needs the model's tokenizer", c.Data.ISL, c.Data.ISL)})
	}
	runtime.GC() // the samples of the cell before are nobody's load
	var low floor
	if r.deps.Null != nil {
		var err error
		if low, err = calibrate(ctx, r.clock, r.deps.Null, c); err != nil {
			return out, err
		}
	}
	c, most, err := r.atRate(ctx, c)
	if errors.Is(err, errCapacity) && ctx.Err() == nil {
		out.Reasons = append(out.Reasons, result.Reason{Code: "errors", Detail: err.Error()})
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if most != nil {
		out.Values = append(out.Values, *most)
		r.progress.phase("warm-up")
	}
	if err := r.execute(ctx, c, 0, low, &out); err != nil {
		return out, err
	}
	// Trials that only the machine spoilt are run once more.
	if n := spoilt(out.Trials); n > 0 && len(out.Trials) == c.Trials.Count {
		again := c
		again.Trials.Count, again.Warmup, again.Seed = n, spec.Warmup{Mode: "none"}, child(c.Seed, "again")
		if again.Request.Cache == "shared" { // another seed has another beginning, which no cache has yet
			again.Warmup = spec.Warmup{Mode: "requests", Requests: 1}
		}
		if err := r.execute(ctx, again, len(out.Trials), low, &out); err != nil {
			return out, err
		}
	}
	r.usage(ctx, &out)
	summarise(&out, c.Trials.Count)
	return out, nil
}

// spoilt is how many trials are invalid for reasons that lie in the machine alone
// and may be gone by now.
func spoilt(trials []result.Trial) int {
	n := 0
	for _, t := range trials {
		passing := slices.ContainsFunc(t.Reasons, func(r result.Reason) bool {
			return !r.Warn && slices.Contains([]string{"client_lag", "client_cpu", "steal", "throttled", "foreign"}, r.Code)
		})
		lasting := slices.ContainsFunc(t.Reasons, func(r result.Reason) bool {
			return !r.Warn && slices.Contains([]string{"errors", "osl", "cache", "noise_floor", "ecc", "empty"}, r.Code)
		})
		if passing && !lasting {
			n++
		}
	}
	return n
}

// execute runs c's load and adds its trials to out; their indices begin after the
// offset.
func (r *round) execute(ctx context.Context, c spec.Cell, offset int, low floor, out *result.CellResult) error {
	nonce := fmt.Sprintf("%s/%d", r.order.Run, r.order.Index)
	e, err := execute(ctx, c, r.target, r.tok, r.clock, nonce, r.deps.Dataset, r.progress.watch)
	if err != nil {
		return err
	}
	r.progress.watch(nil)
	e.offset = offset
	truths, reasons := r.truths(ctx, e)
	out.Reasons = append(out.Reasons, reasons...)
	out.Reasons = append(out.Reasons, warmReasons(e)...)
	for i := range e.trials() {
		out.Trials = append(out.Trials, r.trial(e, i+1, low, truths))
	}
	out.Reasons = append(out.Reasons, saturated(out.Trials[len(out.Trials)-e.trials():])...)
	r.emitSamples(e, truths)
	if k := e.driver.keeper; k != nil && offset == 0 {
		v, reason := k.value()
		if reason == nil {
			out.Values = append(out.Values, v)
		} else {
			out.Reasons = append(out.Reasons, *reason)
		}
	}
	if e.gaveUp != nil {
		code := "errors"
		if errors.Is(e.gaveUp, errWindow) {
			code = "window"
		}
		out.Reasons = append(out.Reasons, result.Reason{Code: code, Detail: fmt.Sprintf("cut short in phase %d of %d: %v", e.driver.phase, c.Trials.Count, e.gaveUp)})
	}
	return nil
}

// truths completes samples with what is known of their tokens, outside of the
// measured path.
func (r *round) truths(ctx context.Context, e *execution) (func(*exchange, *result.Sample), []result.Reason) {
	wrong := map[*exchange]string{}
	var reasons []result.Reason
	if v, ok := r.target.(target.Verifier); ok {
		budget := verifyShort
		if slices.ContainsFunc(e.cell.Gates, func(g spec.Gate) bool { return g.Metric == "token_agreement" }) {
			budget = verifyLong
		}
		var err error
		if wrong, _, err = verify(ctx, r.clock, v, e.driver.exchanges, child(e.cell.Seed, "verify"), budget); err != nil {
			reasons = append(reasons, result.Reason{Code: "verify", Warn: true, Detail: err.Error()})
		}
	}
	retokenised := map[*exchange]*int{}
	for _, x := range e.driver.exchanges {
		if r.tok == nil || x.err != nil {
			continue
		}
		n, disagreement := retokenise(r.tok, &x.reply)
		retokenised[x] = n
		if wrong[x] == "" {
			wrong[x] = disagreement
		}
	}
	return func(x *exchange, s *result.Sample) {
		s.Round, s.Cell = r.order.Index, e.cell.Digest
		if s.Trial > 0 {
			s.Trial += e.offset
		}
		s.Tokens.Retokenised = retokenised[x]
		if s.Broken == "" {
			s.Broken = wrong[x]
		}
	}, reasons
}

// warmReasons warns of a warm-up that never settled.
func warmReasons(e *execution) []result.Reason {
	w := e.cell.Warmup
	if w.Mode != "until_stable" || e.trials() == 0 || e.driver.stability.stable() {
		return nil
	}
	detail := fmt.Sprintf("the warm-up ended after %v without three alike rates in a row", w.Max)
	if cv, ok := e.driver.stability.variation(); ok {
		detail += fmt.Sprintf(": the last three vary by %.1f %% (wanted %.1f %%)", 100*cv, 100*w.CV)
	}
	return []result.Reason{{Code: "warmup", Warn: true, Detail: detail}}
}

// trial computes one trial and tells of it.
func (r *round) trial(e *execution, index int, low floor, truth func(*exchange, *result.Sample)) result.Trial {
	s := e.driver.windows[index]
	w := e.window(index, truth)
	w.Steal = r.telemetry.steal(s)
	w.ClientCPU = r.clientCPU(w, low)
	values, reasons := Values(w)
	reasons = append(reasons, judgeTrial(e.cell, w, values)...)
	reasons = append(reasons, judgeCache(e.cell, w, headOf(e.cell, r.tok, target.TraitsOf(r.target)))...)
	reasons = append(reasons, oversaturated(w)...)
	reasons = append(reasons, r.telemetry.throttled(s)...)
	if r.deps.Environment.Hardware.GPUCount > 0 {
		reasons = append(reasons, judgeGPUs(r.telemetry.gpus(s), r.deps.Foreign)...)
	}
	reasons = append(reasons, low.under(values, e.cell.Validity.NoiseFloor)...)
	t := result.Trial{
		Index: e.offset + index, Started: r.wall(e.base(index)), WindowNanos: w.Nanos, Requests: len(w.Own),
		Values: values, Valid: valid(reasons), Reasons: reasons,
	}
	r.emit.trial(e.cell, t)
	return t
}

// clientCPU estimates the measuring code's share of a core: what its events cost
// when the null target made them. Where the subject runs in this process nothing
// better can be known; where it doesn't, this is still the generator's own part.
func (r *round) clientCPU(w Window, low floor) *float64 {
	if low.perEvent == 0 || w.Nanos <= 0 {
		return nil
	}
	events := 0
	for _, s := range slices.Concat(w.Carried, w.Own) {
		for _, at := range s.Events {
			if w.inside(at) {
				events++
			}
		}
	}
	share := float64(events) * float64(low.perEvent) / float64(w.Nanos)
	return &share
}

// wall is an instant's wall clock, exact to the ns against the round's other ones.
func (r *round) wall(t time.Time) time.Time { return r.started.Add(t.Sub(r.started)).Round(0) }

// eventBatch is how many events fill a batch, whatever its samples: some 2 MB as JSON.
const eventBatch = 1 << 17

// emitSamples hands all samples out, warm-up first.
func (r *round) emitSamples(e *execution, truth func(*exchange, *result.Sample)) {
	if r.deps.Emit.Samples == nil {
		return
	}
	ordered := slices.Clone(e.driver.exchanges)
	slices.SortStableFunc(ordered, func(a, b *exchange) int {
		if a.phase != b.phase {
			return a.phase - b.phase
		}
		return a.index - b.index
	})
	var batch []result.Sample
	events := 0
	for i, x := range ordered {
		s := x.sample(e.base(x.phase))
		truth(x, &s)
		batch = append(batch, s)
		events += len(s.Events)
		if len(batch) == SampleBatch || events >= eventBatch || i == len(ordered)-1 {
			r.emit.samples(batch)
			batch, events = nil, 0
		}
	}
}

// usage adds the subject's memory to a cell's values.
func (r *round) usage(ctx context.Context, out *result.CellResult) {
	u, err := r.target.Usage(ctx)
	if err != nil {
		out.Reasons = append(out.Reasons, result.Reason{Code: "usage", Warn: true, Detail: "memory is not known: " + err.Error()})
		return
	}
	bytes := func(id metric.ID, v *int64) {
		if v != nil {
			out.Values = append(out.Values, result.Value{Metric: id, Value: float64(*v), N: 1})
		}
	}
	bytes("mem_weights", u.Weights)
	bytes("mem_peak_alloc", u.PeakAlloc)
	if r.first { // the peak of a process that held another subject before is not this one's
		bytes("mem_peak_process", u.ProcessRSSPeak)
		if r.deps.Environment.Hardware.GPUCount > 0 {
			bytes("mem_peak_device", r.telemetry.devicePeak())
		}
	}
	if u.KVBytesPerToken != nil {
		out.Values = append(out.Values, result.Value{Metric: "kv_bytes_per_token", Value: *u.KVBytesPerToken, N: 1})
	}
}

// summarise makes the cell's values of its valid trials: the median, and half of
// the range as spread. The cell is valid if more than half as many are valid as were
// asked for.
func summarise(out *result.CellResult, asked int) {
	samples := map[metric.ID][]float64{}
	good := 0
	var codes []string
	example := ""
	for _, t := range out.Trials {
		if !t.Valid {
			for _, r := range t.Reasons {
				if !r.Warn && !slices.Contains(codes, r.Code) {
					codes = append(codes, r.Code)
					if example == "" {
						example = r.Detail
					}
				}
			}
			continue
		}
		good++
		for _, v := range t.Values {
			samples[v.Metric] = append(samples[v.Metric], v.Value)
		}
	}
	for _, def := range metric.Table() {
		for _, s := range def.Stats {
			if vs := samples[def.ID(s)]; len(vs) > 0 {
				out.Values = append(out.Values, result.Value{Metric: def.ID(s), Value: stat.Median(vs), N: len(vs), Spread: stat.HalfRange(vs)})
			}
		}
	}
	out.Valid = 2*good > asked
	if good < max(asked, len(out.Trials)) {
		detail := fmt.Sprintf("%d of %d trials are valid", good, max(asked, len(out.Trials)))
		if len(codes) > 0 {
			detail += "; the others: " + strings.Join(codes, ", ") + " (" + example + ")"
		}
		out.Reasons = append(out.Reasons, result.Reason{Code: "trials", Warn: out.Valid, Detail: detail})
	}
}
