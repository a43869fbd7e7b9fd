package compare

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// TestSpeedups: values of one round are divided, the right way round, and one that is
// missing says why.
func TestSpeedups(t *testing.T) {
	of := func(workload string, valid bool, v, spread float64, id metric.ID) result.CellResult {
		c := result.CellResult{Cell: workload, Workload: workload, Valid: valid, Values: []result.Value{{Metric: id, Value: v, Spread: spread, N: 3}}}
		if !valid {
			c.Reasons = []result.Reason{{Detail: "it was cold"}}
		}
		return c
	}
	x := func(n int, cells ...result.CellResult) result.Round {
		return result.Round{Index: n, Valid: true, Cells: cells}
	}
	fast, slow := of("fast", true, 300, 30, "output_rate"), of("slow", true, 100, 4, "output_rate")
	cells := func(id metric.ID) []Cell {
		return []Cell{
			{Digest: "slow", Workload: "slow"},
			{Digest: "fast", Workload: "fast", Point: map[string]string{"isl": "9"}, Speedups: []spec.Speedup{{Metric: id, Over: "slow"}}},
		}
	}
	base := format.Speedup{Workload: "fast", Point: map[string]string{"isl": "9"}, Over: "slow", Metric: "output_rate"}
	for _, c := range []struct {
		name   string
		metric metric.ID
		rounds []result.Round
		want   func(*format.Speedup)
	}{
		{"one round", "output_rate", []result.Round{x(1, fast, slow)}, func(s *format.Speedup) {
			s.Value, s.Spread, s.Rounds, s.This, s.Other = 3, 3*math.Hypot(0.1, 0.04), 1, 300, 100
		}},
		{"each round by itself", "output_rate", []result.Round{x(1, fast, slow), x(2, of("fast", true, 900, 0, "output_rate"), of("slow", true, 200, 0, "output_rate"))}, func(s *format.Speedup) {
			s.Value, s.Spread, s.Rounds, s.This, s.Other = 3.75, 0.75, 2, 600, 150
		}},
		{"a latency is better when lower", "ttft.p50", []result.Round{x(1, of("fast", true, 5, 0, "ttft.p50"), of("slow", true, 20, 0, "ttft.p50"))}, func(s *format.Speedup) {
			s.Metric, s.Value, s.Rounds, s.This, s.Other = "ttft.p50", 4, 1, 5, 20
		}},
		{"the other is invalid", "output_rate", []result.Round{x(1, fast, of("slow", false, 100, 0, "output_rate"))}, func(s *format.Speedup) { s.Missing = "it was cold" }},
		{"an invalid round beside a valid one", "output_rate", []result.Round{invalid(x(1, fast, slow)), x(2, fast, slow)}, func(s *format.Speedup) {
			s.Value, s.Spread, s.Rounds, s.This, s.Other = 3, 3*math.Hypot(0.1, 0.04), 1, 300, 100
		}},
		{"not measured", "output_rate", []result.Round{x(4, slow)}, func(s *format.Speedup) { s.Missing = "round 4 has no result of workload fast" }},
		{"nothing to divide by", "output_rate", []result.Round{x(4, fast, of("slow", true, 0, 0, "output_rate"))}, func(s *format.Speedup) {
			s.Missing = "output_rate of workload slow could not be measured in round 4"
		}},
		{"no round", "output_rate", nil, func(s *format.Speedup) { s.Missing = "no round was measured" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := base
			c.want(&want)
			cmp0 := &Comparison{Input: Input{Rounds: c.rounds, Cells: cells(c.metric)}}
			got := cmp0.Report(gate.Run{}).Speedups
			if diff := cmp.Diff([]format.Speedup{want}, got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
