package core

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/compare"
)

// BranchLevels reads the levels of a suite on a branch from a ledger, for rounds that
// need not be in it. runs are those that are judged, which are never compared with
// themselves. ErrRequest: the branch has no run of the suite.
func BranchLevels(ctx context.Context, l ledger.Ledger, project, suite, branch string, runs []string) (compare.Levels, error) {
	has := func(branch string, n int) ([]ledger.Run, error) {
		return l.Runs().List(ctx, ledger.RunFilter{Project: project, Suite: suite, Branch: branch, Limit: n})
	}
	rs, err := has(branch, 1)
	if err != nil {
		return nil, err
	}
	if len(rs) == 0 {
		if rs, err = has("", 1000); err != nil {
			return nil, err
		}
		var known []string
		for _, r := range rs {
			if r.Branch != "" && !slices.Contains(known, r.Branch) {
				known = append(known, r.Branch)
			}
		}
		if len(known) == 0 {
			return nil, fmt.Errorf("%w: no branch has a run of suite %s", ErrRequest, suite)
		}
		return nil, fmt.Errorf("%w: branch %s has no run of suite %s: there are %s", ErrRequest, branch, suite, strings.Join(known, ", "))
	}
	pins, err := l.Baselines().Pins(ctx, project, suite)
	if err != nil {
		return nil, err
	}
	return &levels{ledger: l, project: project, suite: suite, branch: branch, judged: runs, pins: pins}, nil
}
