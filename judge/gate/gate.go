// Package gate decides whether rounds of a candidate are worse than a baseline
// allows, and what a run's verdict and exit code follow from that.
//
// It is pure: no clock, no database, no network. Decide gives a verdict or says how
// many more rounds it needs; whoever runs rounds answers that. Which rounds make
// a baseline is judge/baseline's, how a verdict is shown judge/format's. The rule
// and its error rates, found by simulation, stand in docs/gate.md.
package gate

import (
	"fmt"
	"math"

	"github.com/paceline/paceline/bench/metric"
)

// Kind is a verdict on a series or a run.
type Kind string

// Verdicts.
const (
	Pass          Kind = "pass"
	Warn          Kind = "warn"
	Fail          Kind = "fail"
	Inconclusive  Kind = "inconclusive"
	Invalid       Kind = "invalid"
	NotComparable Kind = "not comparable"
	NoBaseline    Kind = "no baseline"
	Error         Kind = "error"
	Cancelled     Kind = "cancelled" // of runs only
)

// Severity says what a violated rule does.
type Severity string

// Severities.
const (
	Investigate Severity = "investigate" // never blocks: gives warn, asks for no more rounds
	Failing     Severity = "fail"        // confirmed by more rounds before it fails
	Critical    Severity = "critical"    // fails at once, on any round: for counts and assertions
)

// Rule is a limit on one metric. Exactly one of the limits is set.
type Rule struct {
	Metric   metric.ID `json:"metric"`
	Severity Severity  `json:"severity"`
	MaxDrop  *float64  `json:"max_drop,omitempty"`  // share of the baseline, in (0, 1), of a metric of which higher is better
	MaxRise  *float64  `json:"max_rise,omitempty"`  // share of the baseline, > 0, of one of which lower is better
	MaxRatio *float64  `json:"max_ratio,omitempty"` // of the baseline, > 1, of one of which lower is better
	Min      *float64  `json:"min,omitempty"`       // in the metric's unit
	Max      *float64  `json:"max,omitempty"`
	// Foreign defines a metric that is not in the table: a value that another program's
	// file gives a name of its own. Suites have none, so that a name they misspell stays
	// an error.
	Foreign *Foreign `json:"foreign,omitempty"`
}

// Foreign is what a rule must know of a metric outside of the table.
type Foreign struct {
	Unit   string `json:"unit,omitempty"`
	Better Better `json:"better"`
}

// Better says in a stored rule which way is better.
type Better string

// Directions.
const (
	Higher Better = "higher"
	Lower  Better = "lower"
)

// direction is that of the metric table; Neutral for anything else.
func (b Better) direction() metric.Direction {
	switch b {
	case Higher:
		return metric.HigherIsBetter
	case Lower:
		return metric.LowerIsBetter
	}
	return metric.Neutral
}

// def is the metric's definition: that of the table, or the rule's own.
func (r Rule) def() (metric.Def, error) {
	_, def, _, err := metric.Parse(string(r.Metric))
	switch {
	case r.Foreign == nil:
		return def, err
	case err == nil:
		return def, fmt.Errorf("the rule defines %s, which is in the table of metrics", r.Metric)
	case r.Metric == "" || r.Foreign.Better.direction() == metric.Neutral:
		return def, fmt.Errorf("metric %q is defined with direction %q, which is none of higher, lower", r.Metric, r.Foreign.Better)
	}
	return metric.Def{Name: string(r.Metric), Unit: r.Foreign.Unit, Better: r.Foreign.Better.direction()}, nil
}

// Validate says what is wrong with the rule, or nil.
func (r Rule) Validate() error {
	def, err := r.def()
	if err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	if r.Severity != Investigate && r.Severity != Failing && r.Severity != Critical {
		return fmt.Errorf("gate on %s: severity %q is none of investigate, fail, critical", r.Metric, r.Severity)
	}
	set := 0
	for _, p := range []*float64{r.MaxDrop, r.MaxRise, r.MaxRatio, r.Min, r.Max} {
		if p != nil {
			set++
			if math.IsNaN(*p) || math.IsInf(*p, 0) {
				return fmt.Errorf("gate on %s: a limit of %g is no number", r.Metric, *p)
			}
		}
	}
	switch {
	case set != 1:
		return fmt.Errorf("gate on %s: it has %d limits, exactly one of max_drop, max_rise, max_ratio, min, max is wanted", r.Metric, set)
	case r.MaxDrop != nil && def.Better != metric.HigherIsBetter:
		return fmt.Errorf("gate on %s: max_drop is for metrics of which higher is better; here %s: use max_rise or max_ratio", r.Metric, def.Better)
	case (r.MaxRise != nil || r.MaxRatio != nil) && def.Better != metric.LowerIsBetter:
		return fmt.Errorf("gate on %s: max_rise and max_ratio are for metrics of which lower is better; here %s: use max_drop", r.Metric, def.Better)
	case r.MaxDrop != nil && (*r.MaxDrop <= 0 || *r.MaxDrop >= 1):
		return fmt.Errorf("gate on %s: max_drop %g is outside (0, 1)", r.Metric, *r.MaxDrop)
	case r.MaxRise != nil && *r.MaxRise <= 0:
		return fmt.Errorf("gate on %s: max_rise %g is not above 0", r.Metric, *r.MaxRise)
	case r.MaxRatio != nil && *r.MaxRatio <= 1:
		return fmt.Errorf("gate on %s: max_ratio %g is not above 1", r.Metric, *r.MaxRatio)
	}
	return nil
}

// Relative says whether the rule compares with a baseline.
func (r Rule) Relative() bool { return r.Min == nil && r.Max == nil }

// limits are the rule's bounds on d, the natural logarithm of how much worse: hi is
// the threshold, lo lies at 0.6 of it.
func (r Rule) limits() (lo, hi float64) {
	switch {
	case r.MaxDrop != nil:
		return -math.Log(1 - 0.6**r.MaxDrop), -math.Log(1 - *r.MaxDrop)
	case r.MaxRise != nil:
		return math.Log(1 + 0.6**r.MaxRise), math.Log(1 + *r.MaxRise)
	default:
		return math.Log(1 + 0.6*(*r.MaxRatio-1)), math.Log(*r.MaxRatio)
	}
}

// HigherIsBetter says whether a higher value of the rule's metric is better.
func (r Rule) HigherIsBetter() bool {
	def, _ := r.def()
	return def.Better == metric.HigherIsBetter
}

// Baseline is the level that a candidate is compared with.
type Baseline struct {
	Values []float64 `json:"values"`           // rounds, newest last; of more than ten the last ten count
	Runs   []string  `json:"runs,omitempty"`   // parallel: where they come from
	Pooled float64   `json:"pooled,omitempty"` // spread of logs, pooled over suite and class; 0 unknown
	Name   string    `json:"name,omitempty"`   // "main", "pinned v1.2"; for messages
	// Incomparable names the difference where there are rounds, but of another class.
	Incomparable string `json:"incomparable,omitempty"`
	// Absent says why there are no rounds, where more is known than that.
	Absent string `json:"absent,omitempty"`
}

// maxBaseline is how many rounds of a baseline count.
const maxBaseline = 10

// Round is one round's value.
type Round struct {
	ID    string  `json:"id"`
	Value float64 `json:"value"` // in the metric's unit
}

// Candidate is what is judged.
type Candidate struct {
	Rounds []Round `json:"rounds"` // valid ones, oldest first
	// Invalid counts rounds that can't be used; Reason says why of the last.
	Invalid int    `json:"invalid,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Absent counts valid rounds that don't have the metric. Where all are so, the suite
	// gates what can't be measured: a configuration error.
	Absent int `json:"absent,omitempty"`
	// StartBound: the subject can't be restarted, so that its rounds share the error
	// of one start. Failing then needs five rounds of baseline.
	StartBound bool `json:"start_bound,omitempty"`
}

// Need asks for more rounds.
type Need struct {
	Rounds int    `json:"rounds"`
	Where  string `json:"where"` // "another machine of the class, else the same"
	Why    string `json:"why"`
}

// Outcome is a verdict or a need; exactly one is set.
type Outcome struct {
	Verdict *Verdict `json:"verdict,omitempty"`
	Need    *Need    `json:"need,omitempty"`
}

// Step is one look at the rounds.
type Step struct {
	Rounds int     `json:"rounds"` // k, of the candidate
	D      float64 `json:"d"`      // logarithm of how much worse the median is; negative: better
	Change float64 `json:"change"` // of the median: (candidate − baseline) / baseline
	Z      float64 `json:"z"`      // d over its standard error
	Under  int     `json:"under"`  // rounds that lie under 0.6 of the threshold
	Text   string  `json:"text"`   // what was found and what follows
}

// Verdict is what was found of one rule on one series, with all that is needed to
// find it again.
type Verdict struct {
	Kind   Kind   `json:"kind"`
	Reason string `json:"reason"` // one or two sentences with figures
	// Config: an Error of the suite or request, not of a machine.
	Config bool `json:"config,omitempty"`

	Value          float64 `json:"value"`           // median of the candidate's rounds; 0 without any
	Spread         float64 `json:"spread"`          // half their range
	K              int     `json:"k"`               // rounds
	BaselineValue  float64 `json:"baseline_value"`  // median; 0 without any
	BaselineSpread float64 `json:"baseline_spread"` // 1.4826 × MAD
	N              int     `json:"n"`               // rounds
	Change         float64 `json:"change"`          // (value − baseline) / baseline; 0 without baseline
	S              float64 `json:"s,omitempty"`     // noise of logs that was used
	Z              float64 `json:"z,omitempty"`

	// SmallestFail is the smallest change, as a positive share, that this gate could
	// have failed: the threshold, or more where the noise hides that. CanSee is the
	// noise's part alone. Both are 0 for absolute rules and without a baseline; the first
	// also where the subject can't be restarted and the baseline is too short to fail it.
	SmallestFail float64 `json:"smallest_fail,omitempty"`
	CanSee       float64 `json:"can_see,omitempty"`

	Steps []Step `json:"steps,omitempty"`

	// Need is what was asked for and not run (Unmet); nil for every other verdict.
	Need *Need `json:"need,omitempty"`

	Rule      Rule      `json:"rule"`
	Baseline  Baseline  `json:"baseline"`
	Candidate Candidate `json:"candidate"`
}
