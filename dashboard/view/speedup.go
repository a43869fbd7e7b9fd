package view

import (
	"fmt"
	"strings"
)

// speedups makes a row of each speed-up of the report.
func (r *Run) speedups() {
	for i := range r.Report.Speedups {
		s := &r.Report.Speedups[i]
		def, _ := s.Metric.Def()
		row := SpeedupRow{
			Workload: s.Workload, Point: PointText(s.Point), Metric: string(s.Metric), Meaning: def.Meaning + "; " + def.Better.String(), Over: s.Over,
		}
		if s.Rounds == 0 {
			why := None(orElse(s.Missing, "no valid round has both"))
			row.This, row.Other, row.Times = why, why, why
			r.Speedups = append(r.Speedups, row)
			continue
		}
		row.This = OfRounds(s.This, 0, s.Rounds, 0, s.Metric, "")
		row.Other = OfRounds(s.Other, 0, s.Rounds, 0, s.Metric, "")
		text, spread, _ := strings.Cut(s.Text(), " ± ")
		row.Times = Quantity{Text: text, Title: fmt.Sprintf("median of what %s give", plural(s.Rounds, "round"))}
		if s.Rounds == 1 {
			row.Times.Title = "of one round"
		}
		if spread != "" {
			row.Times.Spread = "± " + spread
			of := "the rounds"
			if s.Rounds == 1 {
				of = "the trials of both"
			}
			row.Times.Title += "; ± is half the range of " + of
		}
		r.Speedups = append(r.Speedups, row)
	}
}
