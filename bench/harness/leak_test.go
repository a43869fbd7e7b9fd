package harness

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// keeping is a target that keeps so many bytes of each request, give or take some.
type keeping struct {
	*fake
	each, noise float64
	rng         *rand.Rand
}

func (k keeping) Usage(context.Context) (target.Usage, error) {
	n := int64(1e6 + k.each*float64(len(k.requests)) + k.noise*k.rng.NormFloat64())
	return target.Usage{InUse: &n}, nil
}

func TestLeak(t *testing.T) {
	for name, c := range map[string]struct {
		each, noise float64
		least, most float64
	}{
		"nothing is kept":             {0, 0, 0, 0},
		"nothing, but memory differs": {0, 5000, 0, 20},
		"two thousand bytes exactly":  {2000, 0, 1999.999, 2000.001},
		"two thousand and noise":      {2000, 5000, 1850, 2020},
		"memory is given back":        {-2000, 100, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := keeping{steady(), c.each, c.noise, rand.New(rand.NewPCG(3, 4))}
				cell := cellOf(func(c *spec.Cell) { c.Load.Requests, c.Collect = 100, []string{"leak"} })
				d := Deps{Open: func(context.Context, Order) (Opened, error) { return Opened{Target: k}, nil }}
				round, err := RunRound(t.Context(), Order{Run: "r", Attempt: "a", Index: 1, Cells: []spec.Cell{cell}}, d)
				if err != nil {
					t.Fatal(err)
				}
				if v, ok := find(round.Cells[0].Values, "mem_leak"); !ok || v < c.least || v > c.most {
					t.Errorf("each request keeps %v bytes (known: %v), want %v to %v", v, ok, c.least, c.most)
				}
			})
		})
	}
}

// A target that doesn't know its memory gives a warning and no figure; a cell that doesn't ask is left alone.
func TestLeakUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asks := cellOf(func(c *spec.Cell) { c.Load.Requests, c.Collect = 100, []string{"leak"} })
		round := mustRun(t, steady(), Deps{}, asks)
		want(t, "unknown", round.Cells[0].Values, map[metric.ID]*float64{"mem_leak": nil})
		if !slices.ContainsFunc(round.Cells[0].Reasons, func(r result.Reason) bool { return r.Code == "usage" && r.Warn }) {
			t.Errorf("no warning: %+v", round.Cells[0].Reasons)
		}
		round = mustRun(t, steady(), Deps{}, cellOf(nil))
		want(t, "not asked", round.Cells[0].Values, map[metric.ID]*float64{"mem_leak": nil})
	})
}
