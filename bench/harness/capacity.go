package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/suites/spec"
)

// Finding out what a target can do at most: a closed loop with so many requests in flight that every batch is full, for a
// short while.
const (
	fullSlots    = 64
	capacityTime = 5 * time.Second
)

// errCapacity is why a cell whose rate is a share of the maximum can't be run.
var errCapacity = errors.New("the maximum rate could not be measured")

// atRate turns a share of the maximum into a rate; the maximum is measured once a start for requests of one kind. The
// value is what it was; nil: the cell has a rate of its own.
func (r *round) atRate(ctx context.Context, c spec.Cell) (spec.Cell, *result.Value, error) {
	if c.Load.RateOfMax <= 0 {
		return c, nil, nil
	}
	full := c
	full.Load = spec.Load{Type: "closed", Concurrency: min(c.Load.Slots(), fullSlots)}
	full.Warmup = spec.Warmup{Mode: "until_stable", Requests: full.Load.Concurrency, CV: 0.05, Max: 2 * capacityTime}
	full.Trials.Count = 1
	full.Window = spec.Window{MinDuration: capacityTime, MinRequests: 2 * full.Load.Concurrency, Max: c.Window.Max}
	full.Cancel, full.SLO = spec.Cancel{}, spec.SLO{}
	full.Seed = child(c.Seed, "capacity")
	kind, err := json.Marshal(struct {
		Request spec.Request
		Data    spec.Data
		Slots   int
	}{c.Request, c.Data, full.Load.Concurrency})
	if err != nil {
		return c, nil, fmt.Errorf("name the requests of workload %q: %w", c.Workload, err)
	}
	rate, known := r.capacity[string(kind)]
	if !known {
		r.progress.phase("maximum rate")
		e, err := execute(ctx, full, r.target, r.tok, r.clock, fmt.Sprintf("%s/%d capacity", r.order.Run, r.order.Index), r.deps.Dataset, nil)
		if err != nil {
			return c, nil, err
		}
		if e.gaveUp != nil || e.trials() == 0 {
			return c, nil, fmt.Errorf("%w with %d requests in flight: %w", errCapacity, full.Load.Concurrency, e.gaveUp)
		}
		values, _ := Values(e.window(1, nil))
		var ok bool
		if rate, ok = find(values, "request_rate"); !ok || rate <= 0 {
			return c, nil, fmt.Errorf("%w: no request ended in %v", errCapacity, capacityTime)
		}
		if r.capacity == nil {
			r.capacity = map[string]float64{}
		}
		r.capacity[string(kind)] = rate
	}
	c.Load.Rate = rate * c.Load.RateOfMax
	return c, &result.Value{Metric: "max_rate", Value: rate, N: 1}, nil
}
