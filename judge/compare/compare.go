// Package compare holds the rounds of a run against levels: it groups what was
// measured by series, applies every rule to it, and gives the verdicts with their
// names and the report that shows them.
//
// It is pure. Where a level comes from is its caller's (Levels): the coordinator reads
// its ledger, a check reads files. What one rule finds is judge/gate's, which rounds
// are a level judge/baseline's, how a report looks judge/format's.
package compare

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// Levels gives what a series is compared with.
type Levels interface {
	// Level is the level of a series. One without values says in Incomparable what
	// differs, where something near has a level. The zero key is a metric that was
	// measured in no round.
	Level(ctx context.Context, key result.Key) (gate.Baseline, error)
	// Pinned is the series' level in a named release, beside the other one; ok is false
	// where there is none. Its Name begins with "pinned ".
	Pinned(ctx context.Context, key result.Key) (b gate.Baseline, ok bool, err error)
}

// Cell is a cell of a run with the rules on it.
type Cell struct {
	Digest   string
	Workload string
	Point    map[string]string
	Rules    []gate.Rule
	Speedups []spec.Speedup             // over other cells of the run, to be shown
	Foreign  map[metric.ID]gate.Foreign // its metrics that are not in the table
}

// Cells are a suite's cells on one target, with the suite's gates as rules.
func Cells(s *spec.Suite, target string) ([]Cell, error) {
	var out []Cell
	for _, c := range s.Expand() {
		if c.Target != target {
			continue
		}
		cell := Cell{Digest: c.Digest, Workload: c.Workload, Point: c.Point, Speedups: c.Speedups}
		for _, g := range c.Gates {
			r := ruleOf(g)
			if err := r.Validate(); err != nil {
				return nil, fmt.Errorf("workload %s: %w", c.Workload, err)
			}
			cell.Rules = append(cell.Rules, r)
		}
		out = append(out, cell)
	}
	return out, nil
}

// ruleOf is the gate's rule for a suite's.
func ruleOf(g spec.Gate) gate.Rule {
	return gate.Rule{
		Metric: g.Metric, Severity: gate.Severity(g.Severity), MaxDrop: g.MaxDrop, MaxRise: g.MaxRise, MaxRatio: g.MaxRatio, Min: g.Min, Max: g.Max,
	}
}

// Input is what is compared with what.
type Input struct {
	Run    result.Run
	Rounds []result.Round // of the run, oldest first
	Cells  []Cell
	Faults []string // planted defects that the run was asked to have
	Base   string   // name of the level, for people
	Levels Levels

	// Sparse: a round need not have every cell, as where rounds of several files are
	// laid together. Else a round without a cell is one that lost it.
	Sparse bool
	// Fit changes a rule to what it is held against; nil: rules hold as they are.
	Fit func(gate.Rule, gate.Baseline, gate.Candidate) gate.Rule
	// Unmet words the verdict on rounds that were asked for and not run; have is how
	// many there are. nil: that the run was decided without them.
	Unmet func(have int, n gate.Need) string
}

// Comparison is every check of a run with what came of it.
type Comparison struct {
	Input
	Checks []Check
}

// Check is one rule on one series, against one level.
type Check struct {
	Cell    Cell
	Rule    gate.Rule
	Key     result.Key // zero where the metric was measured in no round
	Pinned  string     // name of the pinned level; empty: the other one
	Outcome gate.Outcome

	level     gate.Baseline
	candidate gate.Candidate
}

// Name says which check it is, for people.
func (k Check) Name() string {
	var b strings.Builder
	b.WriteString(k.Cell.Workload)
	for _, axis := range slices.Sorted(maps.Keys(k.Cell.Point)) {
		fmt.Fprintf(&b, " %s=%s", axis, k.Cell.Point[axis])
	}
	b.WriteString(" " + string(k.Rule.Metric))
	if k.Pinned != "" {
		b.WriteString(" against " + k.Pinned)
	}
	return b.String()
}

// Compare applies every rule to the rounds. Rules must be valid (gate.Rule.Validate).
// Without any round there is no check: whoever ran the rounds knows why.
func Compare(ctx context.Context, in Input) (*Comparison, error) {
	cmp := &Comparison{Input: in}
	if len(in.Rounds) == 0 {
		return cmp, nil
	}
	for _, cell := range in.Cells {
		for _, rule := range cell.Rules {
			for _, m := range cmp.measured(cell, rule.Metric) {
				if err := cmp.apply(ctx, cell, rule, m); err != nil {
					return nil, err
				}
			}
		}
	}
	return cmp, nil
}

// apply makes the checks of one rule on one series: against the level and, where there
// is one, the pinned level, so that small steps can't add up.
func (m *Comparison) apply(ctx context.Context, cell Cell, rule gate.Rule, x measurement) error {
	b, err := m.Levels.Level(ctx, x.key)
	if err != nil {
		return err
	}
	m.check(Check{Cell: cell, Rule: rule, Key: x.key, level: b, candidate: x.candidate})
	if !rule.Relative() || x.digest == "" {
		return nil
	}
	b, ok, err := m.Levels.Pinned(ctx, x.key)
	if err != nil || !ok {
		return err
	}
	m.check(Check{Cell: cell, Rule: rule, Key: x.key, Pinned: b.Name, level: b, candidate: x.candidate})
	return nil
}

// check decides one check.
func (m *Comparison) check(k Check) {
	if m.Fit != nil {
		k.Rule = m.Fit(k.Rule, k.level, k.candidate)
	}
	k.Outcome = gate.Decide(k.Rule, k.level, k.candidate)
	m.Checks = append(m.Checks, k)
}

// Need is how many more rounds the checks ask for, and why; 0 when enough is known:
// something failed already.
func (m *Comparison) Need() (n int, why string) {
	for _, k := range m.Checks {
		switch {
		case k.Outcome.Verdict != nil && k.Outcome.Verdict.Kind == gate.Fail:
			return 0, ""
		case k.Outcome.Need != nil && k.Outcome.Need.Rounds > n:
			n, why = k.Outcome.Need.Rounds, k.Name()+": "+k.Outcome.Need.Why
		}
	}
	return n, why
}

// Verdicts gives every check's verdict with its name. One that asked for rounds
// which were not run is inconclusive, or invalid where there is no valid round at all.
func (m *Comparison) Verdicts() (vs []gate.Verdict, names []string) {
	unmet := m.Unmet
	if unmet == nil {
		unmet = func(_ int, n gate.Need) string {
			asked := "1 more round was"
			if n.Rounds != 1 {
				asked = fmt.Sprintf("%d more rounds were", n.Rounds)
			}
			return fmt.Sprintf("%s asked for and not run, because the run was decided without: %s", asked, n.Why)
		}
	}
	for _, k := range m.Checks {
		vs, names = append(vs, gate.Unmet(k.Rule, k.level, k.candidate, unmet)), append(names, k.Name())
	}
	return vs, names
}
