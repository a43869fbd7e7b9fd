package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/suites/spec"
)

// speedups holds cells of each round against each other, as the suite asks. Only values
// of one round are divided: what a start does to everything is then in both.
func (in *Input) speedups() []format.Speedup {
	var out []format.Speedup
	for _, c := range in.Cells {
		for _, s := range c.Speedups {
			k := slices.IndexFunc(in.Cells, func(o Cell) bool {
				return o.Workload == s.Over && (len(o.Point) == 0 || maps.Equal(o.Point, c.Point))
			})
			if k >= 0 {
				out = append(out, in.speedup(c, in.Cells[k], s))
			}
		}
	}
	return out
}

func (in *Input) speedup(c, over Cell, s spec.Speedup) format.Speedup {
	out := format.Speedup{Workload: c.Workload, Over: s.Over, Metric: s.Metric}
	if len(c.Point) > 0 {
		out.Point = c.Point
	}
	def, _ := s.Metric.Def()
	var ratios, these, others []float64
	single := 0.0
	for i := range in.Rounds {
		x := &in.Rounds[i]
		a, why := valueOf(x, c, s.Metric)
		b, whyOther := valueOf(x, over, s.Metric)
		if why == "" {
			why = whyOther
		}
		if why != "" {
			out.Missing = why
			continue
		}
		r := a.Value / b.Value
		if def.Better == metric.LowerIsBetter {
			r = 1 / r
		}
		ratios, these, others = append(ratios, r), append(these, a.Value), append(others, b.Value)
		single = r * math.Hypot(a.Spread/a.Value, b.Spread/b.Value)
	}
	if out.Rounds = len(ratios); out.Rounds == 0 {
		if out.Missing == "" {
			out.Missing = "no round was measured"
		}
		return out
	}
	out.Missing = ""
	out.Value, out.This, out.Other = stat.Median(ratios), stat.Median(these), stat.Median(others)
	out.Spread = single
	if out.Rounds > 1 {
		out.Spread = stat.HalfRange(ratios)
	}
	return out
}

// valueOf is a round's value of a cell's metric; missing says why there is none that
// can be divided.
func valueOf(x *result.Round, c Cell, id metric.ID) (v result.Value, missing string) {
	i := slices.IndexFunc(x.Cells, func(r result.CellResult) bool { return r.Cell == c.Digest && r.Workload == c.Workload })
	if i < 0 {
		return v, fmt.Sprintf("round %d has no result of workload %s", x.Index, c.Workload)
	}
	r := &x.Cells[i]
	if !x.Valid || !r.Valid {
		return v, whyInvalid(x, r, fmt.Sprintf("workload %s is invalid in round %d", c.Workload, x.Index))
	}
	j := slices.IndexFunc(r.Values, func(v result.Value) bool { return v.Metric == id })
	if j < 0 || r.Values[j].Value <= 0 {
		return v, fmt.Sprintf("%s of workload %s could not be measured in round %d", id, c.Workload, x.Index)
	}
	return r.Values[j], ""
}
