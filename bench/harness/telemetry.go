package harness

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
)

// samplePeriod is how often telemetry is read.
const samplePeriod = 100 * time.Millisecond

// telemetry reads the samplers in the background for as long as a round lasts.
type telemetry struct {
	samplers []probe.Sampler
	clock    load.Clock
	stop     context.CancelFunc
	done     sync.WaitGroup

	mu       sync.Mutex // guards all below
	readings []probe.Reading
	failures map[string]error // first error by sampler's name
}

func startTelemetry(ctx context.Context, clock load.Clock, samplers []probe.Sampler) *telemetry {
	ctx, cancel := context.WithCancel(ctx)
	t := &telemetry{samplers: samplers, clock: clock, stop: cancel, failures: map[string]error{}}
	if len(samplers) == 0 {
		return t
	}
	t.read(ctx)
	t.done.Go(func() {
		for t.clock.Sleep(ctx, t.clock.Now().Add(samplePeriod)) == nil {
			t.read(ctx)
		}
	})
	return t
}

// close ends the reading, with a last one.
func (t *telemetry) close(ctx context.Context) {
	t.stop()
	t.done.Wait()
	t.read(ctx)
}

func (t *telemetry) read(ctx context.Context) {
	for _, s := range t.samplers {
		r, err := s.Sample(ctx)
		t.mu.Lock()
		switch {
		case err == nil:
			t.readings = append(t.readings, r)
		case t.failures[s.Name()] == nil && ctx.Err() == nil:
			t.failures[s.Name()] = fmt.Errorf("read telemetry of %s: %w", s.Name(), err)
		}
		t.mu.Unlock()
	}
}

// cpu are the readings of CPU time around a window; ok is false where there are
// none.
func (t *telemetry) cpu(w span) (before, after probe.CPUTimes, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.readings {
		if r.CPU == nil {
			continue
		}
		if !ok || !r.At.After(w.start) {
			before = *r.CPU
		}
		after, ok = *r.CPU, true
		if !r.At.Before(w.end) {
			break
		}
	}
	return before, after, ok
}

// steal is the share of CPU time that the hypervisor took around a window; nil
// where that is not known.
func (t *telemetry) steal(w span) *float64 {
	before, after, ok := t.cpu(w)
	if !ok {
		return nil
	}
	share, ok := after.StealShare(before)
	if !ok {
		return nil
	}
	return &share
}

// throttled gives a reason where a core was throttled around a window.
func (t *telemetry) throttled(w span) []result.Reason {
	before, after, ok := t.cpu(w)
	if !ok || after.Throttled <= before.Throttled {
		return nil
	}
	return []result.Reason{{
		Code:   "throttled",
		Detail: fmt.Sprintf("the CPU was throttled for its temperature %d times", after.Throttled-before.Throttled),
	}}
}

// gpus are the GPU readings inside a window.
func (t *telemetry) gpus(w span) []probe.Reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	var in []probe.Reading
	for _, r := range t.readings {
		if len(r.GPUs) > 0 && !r.At.Before(w.start) && !r.At.After(w.end) {
			in = append(in, r)
		}
	}
	return in
}

// devicePeak is the most memory that was used on the GPUs together so far, in bytes;
// nil where they don't tell.
func (t *telemetry) devicePeak() *int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var peak *int64
	for _, r := range t.readings {
		var sum int64
		for _, g := range r.GPUs {
			if g.MemoryUsedBytes == nil {
				return nil
			}
			sum += *g.MemoryUsedBytes
		}
		if len(r.GPUs) > 0 && (peak == nil || sum > *peak) {
			peak = &sum
		}
	}
	return peak
}

func (t *telemetry) errors() []error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, s := range t.samplers {
		if err := t.failures[s.Name()]; err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
