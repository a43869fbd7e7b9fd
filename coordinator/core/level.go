package core

import (
	"context"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/gate"
)

// levelRead is how many values of a series are read to find the last ten rounds of
// different runs and machines.
const levelRead = 200

// baseOf finds the branch whose level a run is compared with. A candidate names the
// branch, or a commit that was measured on it: then the level is read as of that
// commit, so that what came after it says nothing about the change.
func (c *Core) baseOf(ctx context.Context, r ledger.Run) (branch string, asOf time.Time, err error) {
	if r.Lane != result.LaneCandidate {
		return r.Branch, time.Time{}, nil
	}
	runs, err := c.cfg.Ledger.Runs().List(ctx, ledger.RunFilter{
		Project: r.Project, Suite: r.Suite, Commit: r.BaseRef, Lane: result.LaneBase, States: []ledger.RunState{ledger.RunDecided},
	})
	if err != nil {
		return "", time.Time{}, err
	}
	if len(runs) == 0 {
		return r.BaseRef, time.Time{}, nil
	}
	for _, x := range runs {
		rounds, err := c.cfg.Ledger.Rounds().OfRun(ctx, x.ID)
		if err != nil {
			return "", time.Time{}, err
		}
		for _, y := range rounds {
			if end := y.At.Add(time.Millisecond); end.After(asOf) { // values of a round lie within its millisecond
				asOf = end
			}
		}
	}
	return runs[0].Branch, asOf, nil
}

// levels reads the levels of a suite on a branch from a ledger.
type levels struct {
	ledger  ledger.Ledger
	project string
	suite   string
	branch  string
	run     string       // that is judged: never compared with itself
	asOf    time.Time    // up to when; zero: all of it
	pins    []ledger.Pin // the newest first
}

// Level implements compare.Levels.
func (l *levels) Level(ctx context.Context, key result.Key) (gate.Baseline, error) {
	b := gate.Baseline{Name: l.branch}
	if key.Cell == "" {
		return b, nil
	}
	vs, err := l.values(ctx, key.Digest())
	if err != nil {
		return b, err
	}
	b = baseline.Gate(l.branch, vs, 0)
	switch {
	case len(vs) == 0:
		b.Incomparable, err = l.otherClass(ctx, key)
	case len(vs) < baseline.Enough:
		b.Pooled, err = l.pooled(ctx, key)
	}
	return b, err
}

// Pinned implements compare.Levels. A series that was measured in another class then,
// or not at all, has no pinned level.
func (l *levels) Pinned(ctx context.Context, key result.Key) (gate.Baseline, bool, error) {
	if len(l.pins) == 0 {
		return gate.Baseline{}, false, nil
	}
	pin := l.pins[0]
	vs, err := l.ledger.Baselines().PinnedValues(ctx, pin, key.Digest())
	if err != nil || len(vs) == 0 {
		return gate.Baseline{}, false, err
	}
	level := baseline.Pinned(records(vs, l.project), pin.Runs)
	b := baseline.Gate("pinned "+pin.Name, level, 0)
	if len(level) < baseline.Enough {
		b.Pooled, err = l.pooled(ctx, key)
	}
	return b, true, err
}

// values reads the rounds that make a series' level, oldest first.
func (l *levels) values(ctx context.Context, digest string) ([]baseline.Record, error) {
	vs, err := l.ledger.Rounds().Values(ctx, ledger.ValueFilter{
		Series: digest, Branch: l.branch, Joins: []ledger.Join{ledger.JoinBase}, NotRun: l.run, Before: l.asOf, Limit: levelRead,
	})
	if err != nil {
		return nil, err
	}
	return baseline.Level(records(vs, l.project), baseline.Query{Branch: l.branch, Run: l.run, AsOf: l.asOf}), nil
}

// records are a project's values as judge/baseline takes them.
func records(vs []ledger.Value, project string) []baseline.Record {
	var out []baseline.Record
	for _, v := range vs {
		if v.Project != project {
			continue
		}
		out = append(out, baseline.Record{
			RunID: v.Run, RoundID: v.Round, Machine: v.Machine, Branch: v.Branch, Lane: v.Lane, Faults: v.Faults, Valid: v.Valid,
			State: baseline.State(v.Join), At: v.At, CommitTime: v.CommitTime, Value: v.Value,
		})
	}
	return out
}

// maxPooled bounds the series over which a spread is pooled.
const maxPooled = 50

// pooled is the spread of logs over the other series of the suite and class with the
// metric that have enough rounds. It is 0 where there are none.
func (l *levels) pooled(ctx context.Context, key result.Key) (float64, error) {
	all, err := l.ledger.Rounds().Series(ctx, ledger.SeriesFilter{
		Project: l.project, Suite: l.suite, Metric: string(key.Metric), Target: key.Target, Limit: 1000,
	})
	if err != nil {
		return 0, err
	}
	var levels [][]baseline.Record
	for _, s := range all {
		if s.Digest == key.Digest() || s.Key.Hardware != key.Hardware || len(levels) == maxPooled {
			continue
		}
		vs, err := l.values(ctx, s.Digest)
		if err != nil {
			return 0, err
		}
		if len(vs) >= baseline.Enough {
			levels = append(levels, vs)
		}
	}
	return baseline.Pooled(levels), nil
}

// otherClass names how a series with the same cell and metric differs that does have
// a level on the branch; "" if there is none.
func (l *levels) otherClass(ctx context.Context, key result.Key) (string, error) {
	all, err := l.ledger.Rounds().Series(ctx, ledger.SeriesFilter{
		Project: l.project, Suite: l.suite, Metric: string(key.Metric), Target: key.Target, Limit: 1000,
	})
	if err != nil {
		return "", err
	}
	best, newest := "", time.Time{}
	for _, s := range all {
		if s.Key.Cell != key.Cell || s.Digest == key.Digest() || !s.LastAt.After(newest) {
			continue
		}
		vs, err := l.ledger.Rounds().Values(ctx, ledger.ValueFilter{
			Series: s.Digest, Branch: l.branch, Joins: []ledger.Join{ledger.JoinBase}, NotRun: l.run, Limit: 1,
		})
		if err != nil {
			return "", err
		}
		if len(vs) > 0 {
			best, newest = strings.Join(baseline.Differences(s.Key, key), "; "), s.LastAt
		}
	}
	return best, nil
}
