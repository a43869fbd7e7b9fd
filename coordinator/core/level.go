package core

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/level"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/gate"
)

// levels reads the levels of a suite on a branch from a ledger.
type levels struct {
	ledger  ledger.Ledger
	project string
	suite   string
	branch  string
	run     string       // that is judged: never compared with itself
	judged  []string     // more such runs
	asOf    time.Time    // up to when; zero: all of it
	history *history     // what had been committed then; nil: unknown
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
		if b.Incomparable, err = l.otherClass(ctx, key); err == nil && b.Incomparable == "" {
			b.Incomparable, err = l.laterOnly(ctx, key.Digest())
		}
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
	pinned := baseline.Pinned(level.Records(vs, l.project), pin.Runs)
	b := baseline.Gate("pinned "+pin.Name, pinned, 0)
	if len(pinned) < baseline.Enough {
		b.Pooled, err = l.pooled(ctx, key)
	}
	return b, true, err
}

// values reads the rounds that make a series' level, oldest first.
func (l *levels) values(ctx context.Context, digest string) ([]baseline.Record, error) {
	vs, err := l.ledger.Rounds().Values(ctx, ledger.ValueFilter{
		Series: digest, Branch: l.branch, Joins: []ledger.Join{ledger.JoinBase}, NotRun: l.run, Before: l.asOf, Limit: level.Read,
	})
	if err != nil {
		return nil, err
	}
	if l.history != nil {
		vs = l.history.of(vs)
	}
	rs := slices.DeleteFunc(level.Records(vs, l.project), func(r baseline.Record) bool { return slices.Contains(l.judged, r.RunID) })
	return baseline.Level(rs, baseline.Query{Branch: l.branch, Run: l.run, AsOf: l.asOf}), nil
}

// laterOnly says so where the series has a level, but only of commits that the
// candidate's history has not.
func (l *levels) laterOnly(ctx context.Context, digest string) (string, error) {
	if l.history == nil {
		return "", nil
	}
	vs, err := l.ledger.Rounds().Values(ctx, ledger.ValueFilter{
		Series: digest, Project: l.project, Branch: l.branch, Joins: []ledger.Join{ledger.JoinBase}, NotRun: l.run, Limit: 1,
	})
	if err != nil || len(vs) == 0 {
		return "", err
	}
	return fmt.Sprintf("commits of %s that this change doesn't have; none of the %d up to its merge base %.12s was measured",
		l.branch, len(l.history.Commits), l.history.Commits[0]), nil
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
