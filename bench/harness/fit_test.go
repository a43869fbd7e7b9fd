package harness

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// The figures of a fit are those of the target: 20 ms and 10 ms a thousand tokens, and twice as much of each further token's
// time at twice the length. They stand in the last point's cell.
func TestFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := steady()
		f.prefillOf = func(r target.Request) time.Duration {
			return 20*time.Millisecond + time.Duration(len(r.IDs))*10*time.Microsecond
		}
		var cells []spec.Cell
		for i, isl := range []int{100, 400, 800, 2000} {
			cells = append(cells, cellOf(func(c *spec.Cell) {
				c.Digest, c.Point = fmt.Sprint(i), map[string]string{"isl": fmt.Sprint(isl)}
				c.Data = spec.Data{Type: "synthetic", ISL: isl}
				c.Fit, c.Fitted = "isl", i == 3
			}))
		}
		round := mustRun(t, f, Deps{}, cells...)
		slope, _ := find(round.Cells[3].Values, "ttft_slope")
		curve, there := find(round.Cells[3].Values, "ttft_curvature")
		tpot, _ := find(round.Cells[3].Values, "tpot_slope")
		if slope < 9.999 || slope > 10.001 || !there || curve < -1e-6 || curve > 1e-6 || tpot < -1e-6 || tpot > 1e-6 {
			t.Errorf("slope %v, curvature %v, slope of tpot %v; want 10, 0, 0", slope, curve, tpot)
		}
		want(t, "another point", round.Cells[0].Values, map[metric.ID]*float64{"ttft_slope": nil, "ttft_curvature": nil, "tpot_slope": nil})
	})
}

// Two valid points are no fit.
func TestFitOfTooFewPoints(t *testing.T) {
	cells := make([]spec.Cell, 3)
	results := mustFit(cells, []bool{true, false, true})
	want(t, "two points", results[2].Values, map[metric.ID]*float64{"ttft_slope": nil})
	results = mustFit(cells, []bool{true, true, true})
	want(t, "three points", results[2].Values, map[metric.ID]*float64{"ttft_slope": new(1000.0)})
}

// mustFit fits cells of 1, 2, 3 tokens with a ttft of as many ms.
func mustFit(cells []spec.Cell, valid []bool) []result.CellResult {
	results := make([]result.CellResult, len(cells))
	for i := range cells {
		cells[i].Point, cells[i].Fit, cells[i].Fitted = map[string]string{"isl": fmt.Sprint(i + 1)}, "isl", i == len(cells)-1
		results[i] = result.CellResult{Valid: valid[i], Values: []result.Value{{Metric: "ttft.p50", Value: float64(i + 1), N: 3}}}
	}
	fits(cells, results)
	return results
}
