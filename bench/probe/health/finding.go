package health

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says what a finding does to a measurement.
type Severity string

// Severities.
const (
	OK       Severity = "ok"
	Note     Severity = "note"     // worth knowing; results stay usable
	Disturbs Severity = "disturbs" // rounds differ more than they need to
	Blocks   Severity = "blocks"   // nothing can be measured
)

// rank orders severities, the worst first.
func (s Severity) rank() int { return slices.Index([]Severity{Blocks, Disturbs, Note, OK}, s) }

// Finding is one thing about the machine.
type Finding struct {
	ID       string   `json:"id"` // stable: "governor", "gpu.persistence"
	Severity Severity `json:"severity"`
	What     string   `json:"what"`               // in a few words, with its figure
	Why      string   `json:"why,omitempty"`      // it matters for measuring; empty with OK
	Do       string   `json:"do,omitempty"`       // what to do about it
	Command  string   `json:"command,omitempty"`  // that does it, where there is one
	Evidence string   `json:"evidence,omitempty"` // more of what was read
	Device   string   `json:"device,omitempty"`   // UUID of the GPU that it is about
}

// Sort puts the worst first and keeps the order of equals.
func Sort(f []Finding) {
	slices.SortStableFunc(f, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
}

// Worst is the severity of the worst finding; OK without any.
func Worst(f []Finding) Severity {
	worst := OK
	for _, x := range f {
		if x.Severity.rank() < worst.rank() {
			worst = x.Severity
		}
	}
	return worst
}

// Examine gives what is found of a machine, the worst first.
func Examine(h *Host, gpus []GPU) []Finding {
	var out []Finding
	for _, look := range []func(*Host) []Finding{
		disk, memory, swap, busy, load, pressure, steal, throttling, quota,
		governor, preference, profile, boost, ceiling, smt, cpuset, clock, numa, hugePages, virtual,
	} {
		out = append(out, look(h)...)
	}
	for i := range gpus {
		out = append(out, gpu(&gpus[i])...)
	}
	Sort(out)
	return out
}

func one(f Finding) []Finding { return []Finding{f} }

// percent writes a share.
func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }

// bytes writes a size with a power of 1000.
func bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d B", n)
}
