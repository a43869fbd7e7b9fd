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

// level reads the level that a series is compared with.
func (c *Core) level(ctx context.Context, r ledger.Run, cmp *comparison, key result.Key) (gate.Baseline, error) {
	b := gate.Baseline{Name: cmp.base}
	if key.Cell == "" {
		return b, nil
	}
	vs, err := c.levelValues(ctx, r, cmp, key.Digest())
	if err != nil {
		return b, err
	}
	b = baseline.Gate(cmp.base, vs, 0)
	switch {
	case len(vs) == 0:
		b.Incomparable, err = c.otherClass(ctx, r, cmp.base, key)
	case len(vs) < baseline.Enough:
		b.Pooled, err = c.pooled(ctx, r, cmp, key)
	}
	return b, err
}

// levelValues reads the rounds that make a series' level, oldest first.
func (c *Core) levelValues(ctx context.Context, r ledger.Run, cmp *comparison, digest string) ([]baseline.Record, error) {
	vs, err := c.cfg.Ledger.Rounds().Values(ctx, ledger.ValueFilter{
		Series: digest, Branch: cmp.base, Joins: []ledger.Join{ledger.JoinBase}, NotRun: r.ID, Before: cmp.asOf, Limit: levelRead,
	})
	if err != nil {
		return nil, err
	}
	return baseline.Level(records(vs, r.Project), baseline.Query{Branch: cmp.base, Run: r.ID, AsOf: cmp.asOf}), nil
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
func (c *Core) pooled(ctx context.Context, r ledger.Run, cmp *comparison, key result.Key) (float64, error) {
	all, err := c.cfg.Ledger.Rounds().Series(ctx, ledger.SeriesFilter{
		Project: r.Project, Suite: r.Suite, Metric: string(key.Metric), Target: key.Target, Limit: 1000,
	})
	if err != nil {
		return 0, err
	}
	var levels [][]baseline.Record
	for _, s := range all {
		if s.Digest == key.Digest() || s.Key.Hardware != key.Hardware || len(levels) == maxPooled {
			continue
		}
		vs, err := c.levelValues(ctx, r, cmp, s.Digest)
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
func (c *Core) otherClass(ctx context.Context, r ledger.Run, branch string, key result.Key) (string, error) {
	all, err := c.cfg.Ledger.Rounds().Series(ctx, ledger.SeriesFilter{
		Project: r.Project, Suite: r.Suite, Metric: string(key.Metric), Target: key.Target, Limit: 1000,
	})
	if err != nil {
		return "", err
	}
	best, newest := "", time.Time{}
	for _, s := range all {
		if s.Key.Cell != key.Cell || s.Digest == key.Digest() || !s.LastAt.After(newest) {
			continue
		}
		vs, err := c.cfg.Ledger.Rounds().Values(ctx, ledger.ValueFilter{
			Series: s.Digest, Branch: branch, Joins: []ledger.Join{ledger.JoinBase}, NotRun: r.ID, Limit: 1,
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
