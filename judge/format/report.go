// Package format shows a run's verdict: to a person at a terminal, in Markdown, as
// JUnit, as annotations and outputs of a GitHub job, as OpenMetrics, as JSON. What
// each form looks like and who reads it stands in docs/outputs.md.
//
// All forms are made of one Report, which is data and is stored as it is. What the
// verdict is is judge/gate's; pages show the same Report (dashboard/page).
package format

import (
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

// Report is a decided run, ready to be shown.
type Report struct {
	RunID    string    `json:"run_id"`
	Suite    string    `json:"suite"`
	Subject  string    `json:"subject"` // "engine · robot-stories (bf16/f32, cpu avx512)"
	Branch   string    `json:"branch"`
	Commit   string    `json:"commit,omitempty"`
	Machine  string    `json:"machine,omitempty"` // host and hardware, in words
	Base     string    `json:"base,omitempty"`    // branch or level that it is compared with
	Decided  time.Time `json:"decided,omitzero"`
	Rounds   int       `json:"rounds"`             // valid ones
	Trials   int       `json:"trials"`             // of a round, of the largest workload
	Badges   []string  `json:"badges,omitempty"`   // "synthetic", "fault-injected: slow=1.43"
	Warnings []string  `json:"warnings,omitempty"` // what to know about the measurement
	Lines    []Line    `json:"lines"`              // gated series first, then the rest
	Speedups []Speedup `json:"speedups,omitempty"` // never judged
	Overall  gate.Run  `json:"overall"`
	PageURL  string    `json:"page_url,omitempty"`
	Repeat   string    `json:"repeat,omitempty"` // a command that repeats the run
	// Source is the suite's file as a path from the root of the repository that it lies
	// in, with slashes; empty where it doesn't lie in one or isn't known.
	Source string `json:"source,omitempty"`
}

// Speedup is how much better one cell of a run is than another of the same rounds.
type Speedup struct {
	Workload string            `json:"workload"`
	Point    map[string]string `json:"point,omitempty"`
	Over     string            `json:"over"` // the other workload
	Metric   metric.ID         `json:"metric"`
	// Value is how often better: over 1 is faster, or sooner, whichever way the metric
	// counts. It is the median of what each valid round gives; 0: none does, see Missing.
	Value   float64 `json:"value,omitempty"`
	Spread  float64 `json:"spread,omitempty"` // half the range of the rounds; of one round, what its trials' half ranges make of it
	Rounds  int     `json:"rounds"`
	This    float64 `json:"this,omitempty"` // medians of the rounds, in the metric's unit
	Other   float64 `json:"other,omitempty"`
	Missing string  `json:"missing,omitempty"`
}

// Line is one metric of one cell, with the verdict on it where it is gated.
type Line struct {
	Workload string            `json:"workload"`
	Point    map[string]string `json:"point,omitempty"`
	Metric   metric.ID         `json:"metric"`
	Unit     string            `json:"unit"`
	Series   string            `json:"series,omitempty"` // digest of the key
	Value    float64           `json:"value"`            // median of the valid rounds
	Spread   float64           `json:"spread"`           // half their range
	Rounds   int               `json:"rounds"`           // 0: no value, see Missing
	Missing  string            `json:"missing,omitempty"`
	Verdict  *gate.Verdict     `json:"verdict,omitempty"` // nil: not gated, only shown
	// SourceLine is where in Source the rule stands, or the workload; 0: not known.
	SourceLine int `json:"source_line,omitempty"`
}
