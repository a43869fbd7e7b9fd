package harness

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/paceline/paceline/suites/spec"
)

// One slot serves eight requests a second: ten are too many, five aren't.
func TestOversaturated(t *testing.T) {
	for rate, want := range map[float64]bool{5: false, 10: true} {
		synctest.Test(t, func(t *testing.T) {
			round := mustRun(t, steady(), Deps{}, openly(func(c *spec.Cell) {
				c.Load.Rate, c.Load.MaxInFlight, c.Validity = rate, 1, spec.Validity{}
			}))
			if got := slices.Contains(codes(round.Cells[0].Reasons, true), "oversaturated"); got != want {
				t.Errorf("at %g requests a second the cell says oversaturated: %v, want %v", rate, got, want)
			}
			for _, trial := range round.Cells[0].Trials {
				if got := slices.Contains(codes(trial.Reasons, true), "oversaturated"); got != want {
					t.Errorf("at %g requests a second trial %d says oversaturated: %v, want %v", rate, trial.Index, got, want)
				}
			}
		})
	}
}
