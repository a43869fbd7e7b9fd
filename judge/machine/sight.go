package machine

import (
	"fmt"

	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/judge/gate"
)

// leastRounds is how few rounds still show a spread.
const leastRounds = 3

// Sight asks the commit gate what it could see with these rounds as its baseline. The
// rule must be a relative one; values are the valid rounds', in the metric's unit.
//
// The candidate is one round at the baseline's own median: the gate passes it at
// once, whatever the noise, and its verdict says what it could have failed.
func Sight(workload string, r gate.Rule, values []float64) (Gate, error) {
	def, _ := r.Metric.Def()
	g := Gate{Workload: workload, Metric: r.Metric, Unit: def.Unit, Rule: r, Values: values}
	if !r.Relative() {
		return g, fmt.Errorf("what a gate on %s could see: its limit is no change from a baseline", r.Metric)
	}
	if len(values) < leastRounds {
		return g, fmt.Errorf("what a gate on %s could see: %d valid rounds are too few to tell, %d are needed", r.Metric, len(values), leastRounds)
	}
	out := gate.Decide(r, gate.Baseline{Values: values, Name: "these rounds"}, gate.Candidate{Rounds: []gate.Round{{ID: "median", Value: stat.Median(values)}}})
	v := out.Verdict
	if v == nil || v.Kind != gate.Pass {
		reason := "it asks for more rounds"
		if v != nil {
			reason = v.Reason
		}
		return g, fmt.Errorf("what a gate on %s could see: %s", r.Metric, reason)
	}
	g.Median, g.Noise, g.CanSee, g.SmallestFail = v.BaselineValue, v.S, v.CanSee, v.SmallestFail
	// Only where the noise hides the threshold is the smallest fail larger than it.
	g.Safe = v.CanSee <= threshold(r)
	g.Text = g.words()
	if r.MaxDrop != nil {
		g.Odds = odds(g.Noise, *r.MaxDrop, v.N)
	}
	return g, nil
}

// The scenario of docs/gate.md: with its share of rounds that something slowed.
const (
	simulated = 5000
	slowed    = 0.03
	seed      = 1
)

// odds simulates the gate on unchanged builds, and on builds that are slower by one and
// a half times the threshold.
func odds(noise, threshold float64, baseline int) *Odds {
	run := func(drop float64) gate.Rates {
		return gate.Simulate(gate.Scenario{Sigma: noise, Drop: drop, Baseline: baseline, Slowed: slowed}, threshold, simulated, seed)
	}
	o := Odds{Drop: min(1.5*threshold, 0.95)}
	same, slower := run(0), run(o.Drop)
	o.FalseFail, o.FalseUnclear, o.Caught = same.Fail, same.Inconclusive, slower.Fail
	return &o
}

func (o *Odds) words() string {
	return fmt.Sprintf("Simulated with this noise, %s of unchanged builds fail and %s are inconclusive; of builds that are %s slower, %s fail.",
		chance(o.FalseFail), chance(o.FalseUnclear), percent(o.Drop), chance(o.Caught))
}

// chance writes a simulated share, which is never exactly none.
func chance(share float64) string {
	if share < 0.001 {
		return "under 0.1 %"
	}
	return percent(share)
}

// threshold is the rule's limit as a share of the baseline.
func threshold(r gate.Rule) float64 {
	switch {
	case r.MaxDrop != nil:
		return *r.MaxDrop
	case r.MaxRise != nil:
		return *r.MaxRise
	default:
		return *r.MaxRatio - 1
	}
}

func (g *Gate) direction() string {
	if g.Rule.MaxDrop != nil {
		return "drop"
	}
	return "rise"
}

func (g *Gate) words() string {
	limit := percent(threshold(g.Rule))
	if g.Safe {
		return fmt.Sprintf("A gate on this machine can see a %s of %s or more of %s (%s); %s gates are safe here.",
			g.direction(), percent(g.CanSee), g.Metric, g.Workload, limit)
	}
	return fmt.Sprintf("This machine is too noisy for a %s gate on %s (%s): the smallest %s that it could fail is %s.",
		limit, g.Metric, g.Workload, g.direction(), percent(g.SmallestFail))
}

func percent(share float64) string { return gate.Figure(share, "1") }
