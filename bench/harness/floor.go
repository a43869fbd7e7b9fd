package harness

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// floor is what the measuring code itself takes on this machine for a cell's shape:
// the same load on a target that answers at once.
type floor struct {
	latencies map[metric.ID]float64 // in the metric's unit
	perEvent  time.Duration         // CPU time of this process for one event; 0 unknown
}

// floorMetrics are the latencies that must lie well above the floor.
func floorMetrics() []metric.ID { return []metric.ID{"ttft.p50", "tpot.p50", "e2e.p50"} }

// Floor measures what the measuring code itself takes on this machine for a cell's
// load: the latencies of a target that answers at once, in the units of their
// metrics, and the CPU time for one event (0: not known). It takes a few ms.
func Floor(ctx context.Context, null func() target.Target, c spec.Cell) (latencies []result.Value, perEvent time.Duration, err error) {
	f, err := calibrate(ctx, load.System{}, null, c)
	if err != nil {
		return nil, 0, err
	}
	for _, id := range floorMetrics() {
		if v, ok := f.latencies[id]; ok {
			latencies = append(latencies, result.Value{Metric: id, Value: v, N: 1})
		}
	}
	return latencies, f.perEvent, nil
}

// Size of a calibration: a few ms.
const (
	floorRequests = 64 // at least, and four a slot
	floorTokens   = 256
	floorSlots    = 8
)

// calibrate measures the floor under a cell.
func calibrate(ctx context.Context, clock load.Clock, null func() target.Target, c spec.Cell) (floor, error) {
	c.Request.MaxTokens = min(c.Request.MaxTokens, floorTokens)
	c.Data = spec.Data{Type: "prompt", Prompts: []string{"null"}}
	if c.Load.Open() || c.Load.Type == "burst" { // what is in flight at once depends on the target
		c.Load = spec.Load{Type: "closed", Concurrency: min(c.Load.Slots(), floorSlots)}
	}
	c.Load.Requests = max(floorRequests, 4*c.Load.Slots())
	c.Warmup = spec.Warmup{Mode: "requests", Requests: 2 * c.Load.Slots()}
	c.Trials.Count = 1
	c.Window = spec.Window{}
	c.Cancel = spec.Cancel{}
	t := null()
	defer t.Close()
	before, known := processCPU()
	e, err := execute(ctx, c, t, nil, clock, "floor", nil, nil)
	if err != nil {
		return floor{}, fmt.Errorf("measure the noise floor: %w", err)
	}
	after, _ := processCPU()
	f := floor{latencies: map[metric.ID]float64{}}
	values, _ := Values(e.window(1, nil))
	for _, v := range values {
		f.latencies[v.Metric] = v.Value
	}
	if events, _ := e.driver.meter.Read(); known && events > 0 {
		f.perEvent = (after - before) / time.Duration(events)
	}
	return f, nil
}

// under gives a reason for every latency inside times × the floor.
func (f floor) under(values []result.Value, times float64) []result.Reason {
	if times <= 0 {
		return nil
	}
	var reasons []result.Reason
	for _, id := range floorMetrics() {
		least, ok := f.latencies[id]
		if !ok {
			continue
		}
		if v, ok := find(values, id); ok && v < times*least {
			def, _ := id.Def()
			reasons = append(reasons, result.Reason{
				Code:   "noise_floor",
				Detail: fmt.Sprintf("%s of %.4g %s is inside %g × what the measuring program itself takes here (%.4g %s)", id, v, def.Unit, times, least, def.Unit),
			})
		}
	}
	return reasons
}

// find looks a value up.
func find(values []result.Value, id metric.ID) (float64, bool) {
	for _, v := range values {
		if v.Metric == id {
			return v.Value, true
		}
	}
	return 0, false
}
