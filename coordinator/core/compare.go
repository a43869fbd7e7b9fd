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
	asOf     time.Time // up to when the level was read; zero: all of it
	loosened []string  // rules that demand less than the base's, which hold
}

// compare applies every gate of the suite to the run's rounds.
func (c *Core) compare(ctx context.Context, r ledger.Run, s *spec.Suite, rounds []ledger.Round) (*comparison, error) {
	base, err := c.baseOf(ctx, r, s)
	if err != nil {
		return nil, err
	}
	cells, err := compare.Cells(base.suite, r.Subject.Target)
	if err != nil {
		return nil, err
	}
	in := compare.Input{
		Run: r.Run, Cells: cells, Faults: r.Faults, Base: base.name, Levels: base.levels,
	}
	for _, x := range rounds {
		in.Rounds = append(in.Rounds, x.Round)
	}
	cmp, err := compare.Compare(ctx, in)
	if err != nil {
		return nil, err
	}
	return &comparison{Comparison: cmp, asOf: base.asOf, loosened: base.loosened}, nil
}
