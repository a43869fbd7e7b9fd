package series

import (
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
)

// GPUName is a hardware class's value of the tag gpu: the model, or "cpu".
func GPUName(h result.Hardware) string {
	if h.GPUModel == "" {
		return "cpu"
	}
	return h.GPUModel
}

// FromLedger makes the point of a value of a series.
func FromLedger(s ledger.Series, v ledger.Value) Point {
	return Point{
		Tags: Tags{
			Series: s.Digest, Project: v.Project, Suite: s.Suite, Workload: s.Workload, Metric: string(s.Key.Metric), Target: s.Key.Target,
			GPU: GPUName(s.Key.Hardware), Precision: s.Key.DType, Lane: v.Lane,
		},
		At: v.At, Value: v.Value, Spread: v.Spread, N: v.N, Valid: v.Valid, Branch: v.Branch, Commit: v.Commit, Run: v.Run,
		Attempt: v.Attempt, Round: v.Round, Build: v.Build, Machine: v.Machine, Faults: v.Faults,
	}
}
