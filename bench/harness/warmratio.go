package harness

import (
	"maps"
	"math"
	"slices"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/suites/spec"
)

// warmRatios adds warm_cold_ratio to every cell of shared prompts that is shown as a
// speed-up of ttft.p50 over a cell of new ones: both from one round, so that what a
// start does to all latencies is in neither. results are parallel to cells.
func warmRatios(cells []spec.Cell, results []result.CellResult) {
	const id = metric.ID("ttft.p50")
	for i, c := range cells {
		if c.Request.Cache != "shared" || !results[i].Valid {
			continue
		}
		for _, s := range c.Speedups {
			k := slices.IndexFunc(cells, func(o spec.Cell) bool {
				return o.Workload == s.Over && o.Request.Cache != "shared" && (len(o.Point) == 0 || maps.Equal(o.Point, c.Point))
			})
			if s.Metric != id || k < 0 || !results[k].Valid {
				continue
			}
			if v, ok := ratio(results[i].Values, results[k].Values, id); ok {
				v.Metric = "warm_cold_ratio"
				results[i].Values = append(results[i].Values, v)
			}
			break // one value a round
		}
	}
}

// ratio is a metric of one cell over that of another. Its spread is what those of both
// make of it, taken as independent; N is the smaller number of trials.
func ratio(of, over []result.Value, id metric.ID) (result.Value, bool) {
	a := slices.IndexFunc(of, func(v result.Value) bool { return v.Metric == id })
	b := slices.IndexFunc(over, func(v result.Value) bool { return v.Metric == id })
	if a < 0 || b < 0 || of[a].Value <= 0 || over[b].Value <= 0 {
		return result.Value{}, false
	}
	x, y := of[a], over[b]
	r := x.Value / y.Value
	return result.Value{Value: r, N: min(x.N, y.N), Spread: r * math.Hypot(x.Spread/x.Value, y.Spread/y.Value)}, true
}
