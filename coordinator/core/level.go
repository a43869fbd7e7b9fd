package core

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/result"
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
	vs, err := c.cfg.Ledger.Rounds().Values(ctx, ledger.ValueFilter{
		Series: key.Digest(), Branch: cmp.base, Joins: []ledger.Join{ledger.JoinBase}, NotRun: r.ID, Before: cmp.asOf, Limit: levelRead,
	})
	if err != nil {
		return b, err
	}
	seen := map[[2]string]bool{}
	for _, v := range vs {
		// Of a run and machine the first round: later ones exist only because it looked
		// bad, which would bend the level.
		at := [2]string{v.Run, v.Machine}
		if !v.Valid || v.Project != r.Project || seen[at] {
			continue
		}
		seen[at] = true
		b.Values, b.Runs = append(b.Values, v.Value), append(b.Runs, v.Run)
	}
	if len(b.Values) > 0 {
		return b, nil
	}
	b.Incomparable, err = c.otherClass(ctx, r, cmp.base, key)
	return b, err
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
