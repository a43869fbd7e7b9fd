package view

import (
	"strings"
	"testing"

	"github.com/paceline/paceline/judge/format"
)

// TestSpeedupRows: a figure has its spread and where it comes from; none says why.
func TestSpeedupRows(t *testing.T) {
	r, err := NewRun(Source{State: "decided", Report: &format.Report{Speedups: []format.Speedup{
		{Workload: "warm", Point: map[string]string{"isl": "80"}, Over: "cold", Metric: "ttft.p50", Value: 2.5, Spread: 0.25, Rounds: 1, This: 4, Other: 10},
		{Workload: "warm", Over: "cold", Metric: "ttft.p50", Value: 2.5, Spread: 0.1, Rounds: 3, This: 4, Other: 10},
		{Workload: "w4", Over: "both", Metric: "output_rate", Missing: "it was throttled"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ this, times, spread, title string }{
		{"4 ms", "2.50 ×", "± 0.25", "of one round; ± is half the range of the trials of both"},
		{"4 ms", "2.50 ×", "± 0.10", "median of what 3 rounds give; ± is half the range of the rounds"},
		{Missing, Missing, "", "it was throttled"},
	} {
		got := r.Speedups[i]
		if got.This.Text != want.this || got.Times.Text != want.times || got.Times.Spread != want.spread || got.Times.Title != want.title || got.Over == "" {
			t.Errorf("row %d: %+v", i, got)
		}
	}
	if r.Speedups[0].Point == "" || !strings.Contains(r.Speedups[0].Meaning, "lower is better") {
		t.Errorf("row 0 lacks its point or meaning: %+v", r.Speedups[0])
	}
}
