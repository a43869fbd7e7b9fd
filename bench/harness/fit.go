package harness

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/suites/spec"
)

// fits adds what the points of a workload's matrix say together to the cell of its last point: how its latencies grow with the
// length of prompts. results are parallel to cells. A point that is invalid is left out; with fewer than three there is
// no fit.
func fits(cells []spec.Cell, results []result.CellResult) {
	for i, c := range cells {
		if !c.Fitted {
			continue
		}
		var x, ttft, tpot []float64
		for k, o := range cells {
			a, b := maps.Clone(o.Point), maps.Clone(c.Point)
			delete(a, c.Fit)
			delete(b, c.Fit)
			if o.Workload != c.Workload || o.Target != c.Target || o.Variant != c.Variant || !maps.Equal(a, b) || !results[k].Valid {
				continue
			}
			at, err := strconv.ParseFloat(o.Point[c.Fit], 64)
			first, ok1 := find(results[k].Values, "ttft.p50")
			each, ok2 := find(results[k].Values, "tpot.p50")
			if err != nil || !ok1 {
				continue
			}
			x, ttft = append(x, at/1000), append(ttft, first) // thousands of tokens
			if ok2 {
				tpot = append(tpot, each)
			}
		}
		out := &results[i].Values
		*out = append(*out, coefficient("ttft_slope", x, ttft, 1)...)
		*out = append(*out, coefficient("ttft_curvature", x, ttft, 2)...)
		if len(tpot) == len(x) {
			*out = append(*out, coefficient("tpot_slope", x, tpot, 1)...)
		}
	}
}

// leastPoints are those that a fit needs.
const leastPoints = 3

// coefficient is the highest one of a fit, with half of its 95 % interval as spread.
func coefficient(id metric.ID, x, y []float64, degree int) []result.Value {
	f, ok := stat.Polynomial(x, y, degree)
	if !ok || len(x) < leastPoints || slices.ContainsFunc(f.Of, math.IsNaN) {
		return nil
	}
	v := result.Value{Metric: id, Value: f.Of[degree], N: len(x)}
	if half := f.Half[degree]; !math.IsNaN(half) {
		v.Spread = half
	}
	return []result.Value{v}
}

// growth is the slope of a line through points that are enough for an interval, and half of its 95 % interval.
func growth(x, y []float64) (slope, half float64, ok bool) {
	f, ok := stat.Polynomial(x, y, 1)
	if !ok || len(x) < 2*leastPoints || math.IsNaN(f.Half[1]) {
		return 0, 0, false
	}
	return f.Of[1], f.Half[1], true
}
