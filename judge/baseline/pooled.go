package baseline

import (
	"math"

	"github.com/paceline/paceline/bench/stat"
)

// Enough is how many rounds a level needs to show a spread of its own.
const Enough = 5

// Pooled is the spread between rounds, in logs, of several series: the root of the
// mean square of their robust spreads, weighted by degrees of freedom. Series of fewer
// than five rounds above 0 don't count. It stands in for the spread of a level that is
// too short to show one, so the series are those of its suite and class of machine.
// 0 is unknown: no level is long enough.
func Pooled(levels [][]Record) float64 {
	var sum, freedom float64
	for _, level := range levels {
		logs := make([]float64, 0, len(level))
		for _, r := range level {
			if r.Value > 0 && !math.IsInf(r.Value, 0) {
				logs = append(logs, math.Log(r.Value))
			}
		}
		if len(logs) < Enough {
			continue
		}
		f, s := float64(len(logs)-1), stat.Spread(logs)
		sum, freedom = sum+f*s*s, freedom+f
	}
	if freedom == 0 {
		return 0
	}
	return math.Sqrt(sum / freedom)
}
