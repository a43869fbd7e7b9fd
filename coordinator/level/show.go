package level

import (
	"context"
	"fmt"
	"slices"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// Show gives a level with all that makes it, and what the gates of the newest run's
// suite could find with it.
func (s *Store) Show(ctx context.Context, which baseline.Which) (baseline.Shown, error) {
	w, err := s.choose(ctx, which, "level", func(ledger.Level) bool { return true })
	if err != nil {
		return baseline.Shown{}, err
	}
	out := baseline.Shown{Project: w.Project, Branch: w.Branch, Suite: w.Suite, Series: []baseline.ShownSeries{}, Pins: []baseline.Pin{}, Acceptances: []baseline.Acceptance{}}
	ls, err := s.levels(ctx, w)
	if err != nil {
		return out, err
	}
	rules, err := s.rules(ctx, ls)
	if err != nil {
		return out, err
	}
	for _, l := range ls {
		out.Series = append(out.Series, shown(l, ls, rules[cellOf{l.series.Key.Cell, l.series.Workload}]))
	}
	pins, err := s.ledger.Baselines().Pins(ctx, w.Project, w.Suite)
	if err != nil {
		return out, err
	}
	for _, p := range pins {
		if p.Project == w.Project {
			out.Pins = append(out.Pins, pinOf(p))
		}
	}
	as, err := s.ledger.Baselines().Acceptances(ctx, w.Project, w.Branch)
	if err != nil {
		return out, err
	}
	for _, a := range as {
		if a.Project == w.Project && (a.Suite == "" || a.Suite == w.Suite) {
			out.Acceptances = append(out.Acceptances, acceptanceOf(a))
		}
	}
	return out, nil
}

// cellOf names the cell that rules are on.
type cellOf struct{ digest, workload string }

// rules are those of the newest run that any of the levels has. A suite that this
// program can't read has none: what it measured is shown all the same.
func (s *Store) rules(ctx context.Context, ls []level) (map[cellOf][]gate.Rule, error) {
	var newest baseline.Record
	for _, l := range ls {
		for _, r := range slices.Concat(l.joined, l.pending) {
			if r.At.After(newest.At) {
				newest = r
			}
		}
	}
	out := map[cellOf][]gate.Rule{}
	if newest.RunID == "" {
		return out, nil
	}
	run, err := s.ledger.Runs().Get(ctx, newest.RunID)
	if err != nil {
		return nil, err
	}
	suite, err := spec.Parse(run.Suite+".yml", []byte(run.SuiteText))
	if err != nil {
		return out, nil //nolint:nilerr // as above
	}
	cells, err := compare.Cells(suite, run.Subject.Target)
	if err != nil {
		return out, nil //nolint:nilerr // as above
	}
	for _, c := range cells {
		out[cellOf{c.Digest, c.Workload}] = c.Rules
	}
	return out, nil
}

// shown is a series' level with what its gates could find.
func shown(l level, all []level, rules []gate.Rule) baseline.ShownSeries {
	def, _ := l.series.Key.Metric.Def()
	out := baseline.ShownSeries{
		Series: l.series.Digest, Workload: l.series.Workload, Point: l.series.Point, Metric: l.series.Key.Metric, Unit: def.Unit,
		Hardware: hardware(l.series.Key.Hardware), Rounds: roundsOf(l, l.joined), Pending: roundsOf(l, l.pending), Gates: []baseline.ShownGate{},
	}
	if len(l.joined) == 0 {
		return out
	}
	values := make([]float64, len(l.joined))
	for i, r := range l.joined {
		values[i] = r.Value
	}
	out.Value, out.Spread = stat.Median(values), stat.Spread(values)
	pooled := 0.0
	if len(l.joined) < baseline.Enough {
		pooled = pooledOf(l, all)
	}
	for _, r := range rules {
		if r.Metric != l.series.Key.Metric || !r.Relative() {
			continue
		}
		g := baseline.ShownGate{Limit: r.Limit(), Severity: r.Severity}
		// The level held against its own median: what the gate says of its sight doesn't
		// depend on the candidate.
		o := gate.Decide(r, baseline.Gate("", l.joined, pooled), gate.Candidate{Rounds: []gate.Round{{ID: "median", Value: out.Value}}})
		if o.Verdict != nil {
			g.SmallestFail, g.CanSee = o.Verdict.SmallestFail, o.Verdict.CanSee
		}
		out.Gates = append(out.Gates, g)
	}
	return out
}

// pooledOf is the noise of the suite's other series of the metric, target and class.
func pooledOf(l level, all []level) float64 {
	var levels [][]baseline.Record
	for _, o := range all {
		if o.series.Digest != l.series.Digest && o.series.Key.Metric == l.series.Key.Metric && o.series.Key.Target == l.series.Key.Target &&
			o.series.Key.Hardware == l.series.Key.Hardware {
			levels = append(levels, o.joined)
		}
	}
	return baseline.Pooled(levels)
}

func roundsOf(l level, rs []baseline.Record) []baseline.ShownRound {
	out := make([]baseline.ShownRound, 0, len(rs))
	for _, r := range rs {
		out = append(out, baseline.ShownRound{Round: r.RoundID, Run: r.RunID, Commit: l.commits[r.RunID], Machine: r.Machine, At: r.At, Value: r.Value})
	}
	return out
}

// hardware is a class of machine in words.
func hardware(h result.Hardware) string {
	if h.GPUModel != "" {
		return fmt.Sprintf("%d × %s", h.GPUCount, h.GPUModel)
	}
	return fmt.Sprintf("%s, %d cores", h.CPUModel, h.Cores)
}
