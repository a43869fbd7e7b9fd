package harness

import (
	"context"
	"fmt"
	"slices"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// Whether a subject keeps memory that it should have given back. In a sequential load nothing is in flight between two
// requests, so what is in use there is what is kept; how it grows with the number of requests is the leak.

// leakReadings are how often memory is read in a trial, at most.
const leakReadings = 200

// kept is the memory in use after a number of requests.
type kept struct {
	requests int // since the first trial began
	bytes    int64
}

// keeper reads memory between requests. It serves the only slot of a sequential load.
type keeper struct {
	target   target.Target
	every    int
	requests int
	list     []kept
	err      error
}

// newKeeper is nil where the cell doesn't ask for it.
func newKeeper(c spec.Cell, t target.Target) *keeper {
	if !slices.Contains(c.Collect, "leak") {
		return nil
	}
	return &keeper{target: t, every: max(c.Load.Requests/leakReadings, 1)}
}

// after reads the memory after a request of a trial.
func (k *keeper) after(ctx context.Context) {
	if k == nil || k.err != nil {
		return
	}
	if k.requests++; k.requests%k.every != 0 {
		return
	}
	u, err := k.target.Usage(ctx)
	switch {
	case err != nil:
		k.err = err
	case u.InUse != nil:
		k.list = append(k.list, kept{k.requests, *u.InUse})
	}
}

// value is the leak: the lower bound of the 95 % interval of the slope, and 0 where that holds 0.
func (k *keeper) value() (result.Value, *result.Reason) {
	if k.err != nil || len(k.list) < 2*leastPoints {
		why := fmt.Sprintf("memory between requests was read %d times, which is too few", len(k.list))
		if k.err != nil {
			why = "memory between requests is not known: " + k.err.Error()
		}
		return result.Value{}, &result.Reason{Code: "usage", Warn: true, Detail: why}
	}
	var x, y []float64
	for _, p := range k.list {
		x, y = append(x, float64(p.requests)), append(y, float64(p.bytes))
	}
	slope, half, ok := growth(x, y)
	if !ok {
		return result.Value{}, &result.Reason{Code: "usage", Warn: true, Detail: "no line goes through the memory that was read"}
	}
	return result.Value{Metric: "mem_leak", Value: max(slope-half, 0), N: len(k.list), Spread: half}, nil
}
