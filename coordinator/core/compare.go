package core

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// comparison is every check of a run with what came of it.
type comparison struct {
	suite  *spec.Suite
	base   string    // branch whose level is read
	asOf   time.Time // up to when; zero: all of it
	rounds []ledger.Round
	checks []check
}

// check is one rule on one series, against one level.
type check struct {
	cell   spec.Cell
	rule   gate.Rule
	key    result.Key // zero where the metric was measured in no round
	pinned string     // name of the pinned level; empty: the branch's

	candidate gate.Candidate
	out       gate.Outcome
}

// name says which check it is, for people.
func (k check) name() string {
	var b strings.Builder
	b.WriteString(k.cell.Workload)
	for _, axis := range slices.Sorted(maps.Keys(k.cell.Point)) {
		fmt.Fprintf(&b, " %s=%s", axis, k.cell.Point[axis])
	}
	b.WriteString(" " + string(k.rule.Metric))
	if k.pinned != "" {
		b.WriteString(" against " + k.pinned)
	}
	return b.String()
}

// ruleOf is the gate's rule for a suite's.
func ruleOf(g spec.Gate) gate.Rule {
	return gate.Rule{
		Metric: g.Metric, Severity: gate.Severity(g.Severity), MaxDrop: g.MaxDrop, MaxRise: g.MaxRise, MaxRatio: g.MaxRatio, Min: g.Min, Max: g.Max,
	}
}

// compare applies every gate of the suite to the run's rounds.
func (c *Core) compare(ctx context.Context, r ledger.Run, s *spec.Suite, rounds []ledger.Round) (*comparison, error) {
	cmp := &comparison{suite: s, rounds: rounds}
	var err error
	if cmp.base, cmp.asOf, err = c.baseOf(ctx, r); err != nil {
		return nil, err
	}
	if len(rounds) == 0 {
		return cmp, nil // nothing was measured: the run's problems say why
	}
	pins, err := c.cfg.Ledger.Baselines().Pins(ctx, r.Project, r.Suite)
	if err != nil {
		return nil, err
	}
	for _, cell := range s.Expand() {
		if cell.Target != r.Subject.Target {
			continue
		}
		for _, g := range cell.Gates {
			rule := ruleOf(g)
			if err := rule.Validate(); err != nil {
				return nil, fmt.Errorf("workload %s: %w", cell.Workload, err)
			}
			for _, m := range measured(r, rounds, cell, rule.Metric) {
				k := check{cell: cell, rule: rule, key: m.key, candidate: m.candidate}
				b, err := c.level(ctx, r, cmp, m.key)
				if err != nil {
					return nil, err
				}
				k.out = gate.Decide(rule, b, m.candidate)
				cmp.checks = append(cmp.checks, k)
				if len(pins) == 0 || !rule.Relative() || m.digest == "" {
					continue
				}
				vs, err := c.cfg.Ledger.Baselines().PinnedValues(ctx, pins[0], m.digest)
				if err != nil {
					return nil, err
				}
				if len(vs) == 0 {
					continue // measured in another class or not at all then
				}
				k.pinned = "pinned " + pins[0].Name
				level := baseline.Pinned(records(vs, r.Project), pins[0].Runs)
				b = baseline.Gate(k.pinned, level, 0)
				if len(level) < baseline.Enough {
					if b.Pooled, err = c.pooled(ctx, r, cmp, m.key); err != nil {
						return nil, err
					}
				}
				k.out = gate.Decide(rule, b, m.candidate)
				cmp.checks = append(cmp.checks, k)
			}
		}
	}
	return cmp, nil
}

// measurement is what the run's rounds say of one series.
type measurement struct {
	digest    string
	key       result.Key
	candidate gate.Candidate
}

// measured groups a cell's values of a metric by series: rounds on machines of
// another class are another series. A metric that no round has is one measurement
// without a series.
func measured(r ledger.Run, rounds []ledger.Round, cell spec.Cell, id metric.ID) []measurement {
	var out []measurement
	of := func(key result.Key) *gate.Candidate {
		digest := key.Digest()
		for i := range out {
			if out[i].digest == digest {
				return &out[i].candidate
			}
		}
		out = append(out, measurement{digest: digest, key: key, candidate: gate.Candidate{StartBound: startBound(r.Subject)}})
		return &out[len(out)-1].candidate
	}
	lost, why := 0, ""
	for i := range rounds {
		x := &rounds[i].Round
		j := slices.IndexFunc(x.Cells, func(c result.CellResult) bool { return c.Cell == cell.Digest && c.Workload == cell.Workload })
		if j < 0 {
			lost, why = lost+1, whyInvalid(x, nil, fmt.Sprintf("round %d has no result of workload %s", x.Index, cell.Workload))
			continue
		}
		cr := &x.Cells[j]
		cand := of(result.KeyOf(x, r.Subject, cr, id))
		v := slices.IndexFunc(cr.Values, func(v result.Value) bool { return v.Metric == id })
		if x.Valid && cr.Valid && v < 0 {
			cand.Absent++
			cand.Reason = fmt.Sprintf("%s could not be measured in round %d", id, x.Index)
			continue
		}
		if !x.Valid || !cr.Valid {
			cand.Invalid++
			cand.Reason = whyInvalid(x, cr, fmt.Sprintf("round %d doesn't say why it is invalid", x.Index))
			continue
		}
		cand.Rounds = append(cand.Rounds, gate.Round{ID: x.ID, Value: cr.Values[v].Value})
	}
	if len(out) == 0 {
		return []measurement{{candidate: gate.Candidate{Invalid: lost, Reason: why}}}
	}
	out[0].candidate.Invalid += lost
	if out[0].candidate.Reason == "" {
		out[0].candidate.Reason = why
	}
	return out
}

// whyInvalid is the first reason that invalidates a round or a cell of it.
func whyInvalid(x *result.Round, c *result.CellResult, otherwise string) string {
	reasons := x.Reasons
	if c != nil {
		reasons = slices.Concat(reasons, c.Reasons)
		for _, t := range c.Trials {
			reasons = slices.Concat(reasons, t.Reasons)
		}
	}
	for _, r := range reasons {
		if !r.Warn {
			return r.Detail
		}
	}
	return otherwise
}

// need is how many more rounds the checks ask for, and why; 0 when enough is known:
// something failed already, or nothing more can be run.
func (m *comparison) need(stop bool) (n int, why string) {
	if stop {
		return 0, ""
	}
	for _, k := range m.checks {
		switch {
		case k.out.Verdict != nil && k.out.Verdict.Kind == gate.Fail:
			return 0, ""
		case k.out.Need != nil && k.out.Need.Rounds > n:
			n, why = k.out.Need.Rounds, k.name()+": "+k.out.Need.Why
		}
	}
	return n, why
}

// verdicts gives every check's verdict with its name. One that asked for rounds
// which were not run is inconclusive.
func (m *comparison) verdicts() (vs []gate.Verdict, names []string) {
	for _, k := range m.checks {
		v := gate.Verdict{Kind: gate.Inconclusive, Rule: k.rule}
		switch {
		case k.out.Verdict != nil:
			v = *k.out.Verdict
		case k.out.Need != nil:
			v.Reason = fmt.Sprintf("%d more rounds were asked for and not run, because the run was decided without them: %s", k.out.Need.Rounds, k.out.Need.Why)
		}
		vs, names = append(vs, v), append(names, k.name())
	}
	return vs, names
}
