package core

import (
	"context"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/suites/spec"
)

// comparison is a run held against the levels of the ledger.
type comparison struct {
	*compare.Comparison
	asOf time.Time // up to when the level was read; zero: all of it
}

// compare applies every gate of the suite to the run's rounds.
func (c *Core) compare(ctx context.Context, r ledger.Run, s *spec.Suite, rounds []ledger.Round) (*comparison, error) {
	branch, asOf, err := c.baseOf(ctx, r)
	if err != nil {
		return nil, err
	}
	cells, err := compare.Cells(s, r.Subject.Target)
	if err != nil {
		return nil, err
	}
	pins, err := c.cfg.Ledger.Baselines().Pins(ctx, r.Project, r.Suite)
	if err != nil {
		return nil, err
	}
	in := compare.Input{
		Run: r.Run, Cells: cells, Faults: r.Faults, Base: branch,
		Levels: &levels{ledger: c.cfg.Ledger, project: r.Project, suite: r.Suite, branch: branch, run: r.ID, asOf: asOf, pins: pins},
	}
	for _, x := range rounds {
		in.Rounds = append(in.Rounds, x.Round)
	}
	cmp, err := compare.Compare(ctx, in)
	if err != nil {
		return nil, err
	}
	return &comparison{Comparison: cmp, asOf: asOf}, nil
}
