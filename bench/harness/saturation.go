package harness

import (
	"fmt"

	"github.com/paceline/paceline/bench/result"
)

// An open load that is more than a target can serve has no latency: requests wait longer and longer, and what is measured is how
// long the window was.

// behindLimit is the share of time by which a target must surely fall behind to be called that: 50 ms more to wait each second.
// A target that keeps up has ups and downs, of which a line through a whole window sees little.
const behindLimit = 0.05

// oversaturated warns where the time to the first token, from the schedule, grows with time: by the lower bound of the
// slope's 95 % interval.
func oversaturated(w Window) []result.Reason {
	if !w.Scheduled || w.Nanos <= 0 {
		return nil
	}
	var at, wait []float64
	for i := range w.Own {
		if s := &w.Own[i]; s.Error == "" && len(s.Events) > 0 {
			at, wait = append(at, float64(s.Scheduled)/1e9), append(wait, ms(s.Events[0]-s.Scheduled))
		}
	}
	slope, half, ok := growth(at, wait)
	least := slope - half
	if !ok || least < 1000*behindLimit {
		return nil
	}
	return []result.Reason{{
		Code: "oversaturated", Warn: true,
		Detail: fmt.Sprintf("the time to the first token grew by %.3g ms each second (at least %.3g): this is more than the target can serve, and its latencies say how long the trial was", slope, least),
	}}
}

// saturated tells of it once for the cell.
func saturated(trials []result.Trial) []result.Reason {
	n, first := 0, ""
	for _, t := range trials {
		for _, r := range t.Reasons {
			if r.Code == "oversaturated" {
				if n++; n == 1 {
					first = r.Detail
				}
			}
		}
	}
	if n == 0 {
		return nil
	}
	return []result.Reason{{Code: "oversaturated", Warn: true, Detail: fmt.Sprintf("in %d of %d trials: %s", n, len(trials), first)}}
}
