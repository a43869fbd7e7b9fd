package probe

import (
	"fmt"
	"math"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
)

// Limits of Judge.
const (
	judgeShare  = 0.05 // of the history's median
	judgeSpread = 3    // robust spreads of the history
	// JudgeHistory is how many readings a history needs before a departure
	// invalidates a round.
	JudgeHistory = 10
)

// Judge says whether a machine probe is off: whether it departs from its history's
// median by more than max(5 %, 3 × the history's robust spread). history holds
// earlier readings of the same kind on the same machine or GPU. Against fewer than
// ten the reason only warns; against none there is nothing to say.
func Judge(p result.Probe, history []float64) (reason result.Reason, off bool) {
	m := stat.Median(history)
	if math.IsNaN(m) {
		return result.Reason{}, false
	}
	limit := max(judgeShare*math.Abs(m), judgeSpread*stat.Spread(history))
	// Not a number departs from everything.
	if math.Abs(p.Value-m) <= limit {
		return result.Reason{}, false
	}
	return result.Reason{
		Code: "probe",
		Detail: fmt.Sprintf("machine probe %s (%s) read %.4g %s; the median of its last %d is %.4g, and more than %.4g away counts as another machine",
			p.Kind, p.When, p.Value, p.Unit, len(history), m, limit),
		Warn: len(history) < JudgeHistory,
	}, true
}
