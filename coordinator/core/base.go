package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// base is what a run is compared with, and by whose rules.
type base struct {
	name     string    // of the level, for people
	asOf     time.Time // up to when the level is read; zero: all of it
	levels   compare.Levels
	suite    *spec.Suite // the run's, with the gates that hold
	loosened []string    // where the run's own demand less, a sentence each
}

// baseOf finds what a run is compared with.
//
// A run of a base branch reads the level of its branch, by its own rules. A candidate
// names a branch, or a commit that was measured on it, and reads the level as of its
// merge base, so that what came later says nothing about the change; or it brings a
// baseline file. It is judged by the rules of its base.
func (c *Core) baseOf(ctx context.Context, r ledger.Run, s *spec.Suite) (*base, error) {
	pins, err := c.cfg.Ledger.Baselines().Pins(ctx, r.Project, r.Suite)
	if err != nil {
		return nil, err
	}
	l := &levels{ledger: c.cfg.Ledger, project: r.Project, suite: r.Suite, branch: r.Branch, run: r.ID, pins: pins}
	out := &base{name: r.Branch, levels: l, suite: s}
	if r.Lane != result.LaneCandidate {
		return out, nil
	}
	a := optionsOf(r).Against
	rules := ""
	if a.File != "" {
		f, err := c.file(ctx, a.File)
		if err != nil {
			return nil, err
		}
		l.branch = f.Branch
		out.name, out.levels = a.Name, &fileAndPins{FileLevels: f.Levels(), pins: l}
		if n := len(f.Runs); n > 0 {
			rules = f.Runs[n-1].Document.Run.SuiteText
		}
	} else {
		run, err := c.mergeBase(ctx, r, a, l)
		if err != nil {
			return nil, err
		}
		out.name, out.asOf, rules = l.branch, l.asOf, run.SuiteText
	}
	if a.Suite != "" {
		b, err := c.cfg.Ledger.Baselines().Kept(ctx, a.Suite)
		if err != nil {
			return nil, err
		}
		rules = string(b)
	}
	// A suite of the base that this program can't read has no rules: it came with
	// another version, and nothing measured by it is compared by cell anyway.
	if of, err := spec.Parse(r.Suite+".yml", []byte(rules)); rules != "" && err == nil {
		out.suite = spec.Judged(of, s)
		for _, text := range spec.Loosened(of, s) {
			out.loosened = append(out.loosened, fmt.Sprintf("looser than on %s, whose rule holds: %s", r.BaseRef, text))
		}
	}
	return out, nil
}

// file reads a baseline file that came with a run.
func (c *Core) file(ctx context.Context, digest string) (*baseline.File, error) {
	b, err := c.cfg.Ledger.Baselines().Kept(ctx, digest)
	if err != nil {
		return nil, err
	}
	f, err := baseline.ReadFile(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read the run's baseline file: %w", err)
	}
	return f, nil
}

// fileOf reads the baseline file with which the run of an attempt is compared; nil
// where there is none, or no such attempt.
func (c *Core) fileOf(ctx context.Context, attempt string) (*baseline.File, error) {
	a, err := c.cfg.Ledger.Attempts().Get(ctx, attempt)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil //nolint:nilnil // whoever stores its batch will say so
	}
	if err != nil {
		return nil, err
	}
	r, err := c.cfg.Ledger.Runs().Get(ctx, a.Run)
	if err != nil {
		return nil, err
	}
	if digest := optionsOf(r).Against.File; digest != "" {
		return c.file(ctx, digest)
	}
	return nil, nil //nolint:nilnil // none
}

// mergeBase makes l read the level as of the candidate's merge base: what had been
// measured of the base branch's history up to there. It gives the run that is nearest
// to it, with the rules of then; the zero run where there is none.
func (c *Core) mergeBase(ctx context.Context, r ledger.Run, a Against, l *levels) (ledger.Run, error) {
	l.branch = r.BaseRef
	commits := []string{r.BaseRef} // it may be a commit that was measured
	branch := ""                   // on any branch
	if a.Commits != "" {
		h, err := c.historyOf(ctx, a.Commits)
		if err != nil {
			return ledger.Run{}, err
		}
		l.history = h
		commits = append(slices.Clone(h.Commits), r.BaseRef)
		if !isCommit(r.BaseRef) {
			branch = r.BaseRef // its commits may have been measured on another one too
		}
	}
	for _, commit := range commits {
		runs, err := c.cfg.Ledger.Runs().List(ctx, ledger.RunFilter{
			Project: r.Project, Suite: r.Suite, Branch: branch, Commit: commit, Lane: result.LaneBase, States: []ledger.RunState{ledger.RunDecided},
		})
		if err != nil {
			return ledger.Run{}, err
		}
		if len(runs) == 0 {
			continue
		}
		if l.asOf, err = c.measuredBy(ctx, runs); err != nil {
			return ledger.Run{}, err
		}
		l.branch = runs[0].Branch
		return runs[0], nil
	}
	newest, err := c.cfg.Ledger.Runs().List(ctx, ledger.RunFilter{
		Project: r.Project, Suite: r.Suite, Branch: l.branch, Lane: result.LaneBase, States: []ledger.RunState{ledger.RunDecided}, Limit: 1,
	})
	if err != nil || len(newest) == 0 {
		return ledger.Run{}, err
	}
	return newest[0], nil
}

// isCommit says whether a base ref is the full name of a commit, as git has it; a
// caller that names commits by something else names no ancestors.
func isCommit(ref string) bool {
	return (len(ref) == 40 || len(ref) == 64) && strings.Trim(ref, "0123456789abcdef") == ""
}

// measuredBy is the instant after the last round of the runs.
func (c *Core) measuredBy(ctx context.Context, runs []ledger.Run) (at time.Time, err error) {
	for _, x := range runs {
		rounds, err := c.cfg.Ledger.Rounds().OfRun(ctx, x.ID)
		if err != nil {
			return at, err
		}
		for _, y := range rounds {
			if end := y.At.Add(time.Millisecond); end.After(at) { // values of a round lie within its millisecond
				at = end
			}
		}
	}
	return at, nil
}

func (c *Core) historyOf(ctx context.Context, digest string) (*history, error) {
	b, err := c.cfg.Ledger.Baselines().Kept(ctx, digest)
	if err != nil {
		return nil, err
	}
	var h history
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, fmt.Errorf("read the run's ancestors: %w", errors.Join(ledger.ErrCorrupt, err))
	}
	return &h, nil
}

// of leaves the values that a candidate's history has: those measured of a commit in
// it. What was measured before any of these is older history where the list of commits
// was cut, and also where it names no commit.
func (h *history) of(vs []ledger.Value) []ledger.Value {
	seen := make(map[string]bool, len(h.Commits))
	for _, c := range h.Commits {
		seen[c] = true
	}
	first := slices.IndexFunc(vs, func(v ledger.Value) bool { return seen[v.Commit] })
	if first < 0 {
		first = len(vs)
	}
	out := make([]ledger.Value, 0, len(vs))
	for i, v := range vs {
		if seen[v.Commit] || i < first && (h.Cut || v.Commit == "") {
			out = append(out, v)
		}
	}
	return out
}

// fileAndPins is the level of a file, beside the pinned level of the ledger.
type fileAndPins struct {
	*baseline.FileLevels
	pins *levels
}

// Pinned implements compare.Levels.
func (l *fileAndPins) Pinned(ctx context.Context, key result.Key) (b gate.Baseline, ok bool, err error) {
	return l.pins.Pinned(ctx, key)
}
