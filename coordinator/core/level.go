package core

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/coordinator/ledger"
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
	for _, v := range vs {
		b.Values, b.Runs = append(b.Values, v.Value), append(b.Runs, v.Run)
	}
	switch {
	case len(b.Values) == 0:
		b.Incomparable, err = c.otherClass(ctx, r, cmp.base, key)
	case len(b.Values) < fewRounds:
		b.Pooled, err = c.pooled(ctx, r, cmp, key)
	}
	return b, err
}

// levelValues reads the rounds that make a series' level, oldest first: of a run and
// machine the first one, because later ones exist only where it looked bad, which
// would bend the level.
func (c *Core) levelValues(ctx context.Context, r ledger.Run, cmp *comparison, digest string) ([]ledger.Value, error) {
	vs, err := c.cfg.Ledger.Rounds().Values(ctx, ledger.ValueFilter{
		Series: digest, Branch: cmp.base, Joins: []ledger.Join{ledger.JoinBase}, NotRun: r.ID, Before: cmp.asOf, Limit: levelRead,
	})
	if err != nil {
		return nil, err
	}
	seen := map[[2]string]bool{}
	return slices.DeleteFunc(vs, func(v ledger.Value) bool {
		at := [2]string{v.Run, v.Machine}
		if !v.Valid || v.Project != r.Project || seen[at] {
			return true
		}
		seen[at] = true
		return false
	}), nil
}

// fewRounds is below how many rounds a level's own spread is not trusted alone
// (DESIGN §6).
const fewRounds = 5

// maxPooled bounds the series over which a spread is pooled.
const maxPooled = 50

// pooled is the spread of logs over the other series of the suite and class with the
// metric that have enough rounds: the root of the mean square, weighted by degrees
// of freedom. It is 0 where there are none.
func (c *Core) pooled(ctx context.Context, r ledger.Run, cmp *comparison, key result.Key) (float64, error) {
	all, err := c.cfg.Ledger.Rounds().Series(ctx, ledger.SeriesFilter{
		Project: r.Project, Suite: r.Suite, Metric: string(key.Metric), Target: key.Target, Limit: 1000,
	})
	if err != nil {
		return 0, err
	}
	sum, freedom, used := 0.0, 0.0, 0
	for _, s := range all {
		if s.Digest == key.Digest() || s.Key.Hardware != key.Hardware || used == maxPooled {
			continue
		}
		vs, err := c.levelValues(ctx, r, cmp, s.Digest)
		if err != nil {
			return 0, err
		}
		if len(vs) > levelOf {
			vs = vs[len(vs)-levelOf:]
		}
		logs := make([]float64, 0, len(vs))
		for _, v := range vs {
			if v.Value > 0 {
				logs = append(logs, math.Log(v.Value))
			}
		}
		if len(logs) < fewRounds {
			continue
		}
		used++
		spread, f := stat.Spread(logs), float64(len(logs)-1)
		sum, freedom = sum+f*spread*spread, freedom+f
	}
	if used == 0 {
		return 0, nil
	}
	return math.Sqrt(sum / freedom), nil
}

// levelOf is how many rounds make a level (DESIGN §6).
const levelOf = 10

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
			best, newest = difference(s.Key, key), s.LastAt
		}
	}
	return best, nil
}

// difference names the fields in which two keys differ: "cores 2, now 8".
func difference(was, now result.Key) string {
	a, b := flat(was), flat(now)
	text := ""
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if a[k] == b[k] {
			continue
		}
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf("%s was %s, now %s", k, a[k], b[k])
	}
	return text
}

// flat gives a key's fields by name, those of the hardware among them; digests are
// shortened for people.
func flat(k result.Key) map[string]string {
	out := map[string]string{}
	fields := func(v any) map[string]any {
		m := map[string]any{}
		if b, err := json.Marshal(v); err == nil {
			json.Unmarshal(b, &m) //nolint:errcheck // it was just written
		}
		return m
	}
	m := fields(k)
	delete(m, "hardware")
	m["flags"] = fmt.Sprint(k.Flags)
	h := map[string]any{ // every field, also those that a key's JSON leaves out
		"gpu_model": "", "gpu_count": 0.0, "gpu_memory_bytes": 0.0, "gpu_mig": "", "gpu_power_policy": "", "gpu_clock_policy": "", "driver_major": 0.0,
	}
	maps.Copy(h, fields(k.Hardware))
	maps.Copy(m, h)
	for name, v := range m {
		s := fmt.Sprint(v)
		if len(s) == 64 || len(s) == 71 {
			s = s[:min(len(s), 19)] + "…"
		}
		if s == "" {
			s = "none"
		}
		out[name] = s
	}
	return out
}
