package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

// measurement is what the run's rounds say of one series.
type measurement struct {
	digest    string // of the key
	key       result.Key
	candidate gate.Candidate
}

// measured groups a cell's values of a metric by series: rounds on machines of
// another class are another series. A metric that no round has is one measurement
// without a series.
func (in *Input) measured(cell Cell, id metric.ID) []measurement {
	s, rounds := in.Run.Subject, in.Rounds
	var out []measurement
	of := func(key result.Key) *gate.Candidate {
		digest := key.Digest()
		for i := range out {
			if out[i].digest == digest {
				return &out[i].candidate
			}
		}
		out = append(out, measurement{digest: digest, key: key, candidate: gate.Candidate{StartBound: StartBound(s)}})
		return &out[len(out)-1].candidate
	}
	lost, why := 0, ""
	for i := range rounds {
		x := &rounds[i]
		j := slices.IndexFunc(x.Cells, func(c result.CellResult) bool { return c.Cell == cell.Digest && c.Workload == cell.Workload })
		if j < 0 && in.Sparse {
			continue
		}
		if j < 0 {
			lost, why = lost+1, whyInvalid(x, nil, fmt.Sprintf("round %d has no result of workload %s", x.Index, cell.Workload))
			continue
		}
		cr := &x.Cells[j]
		if in.Sparse && !slices.ContainsFunc(cr.Values, func(v result.Value) bool { return v.Metric == id }) {
			continue
		}
		cand := of(result.KeyOf(x, s, cr, id))
		v := slices.IndexFunc(cr.Values, func(v result.Value) bool { return v.Metric == id })
		if x.Valid && cr.Valid && v < 0 {
			cand.Absent++
			cand.Reason = fmt.Sprintf("%s could not be measured in round %d", id, x.Index)
			continue
		}
		if !x.Valid || !cr.Valid {
			cand.Invalid++
			cand.Reason = whyInvalid(x, cr, fmt.Sprintf("round %d doesn't say why it is invalid", x.Index))
			continue
		}
		cand.Rounds = append(cand.Rounds, gate.Round{ID: x.ID, Value: cr.Values[v].Value})
	}
	if len(out) == 0 {
		return []measurement{{candidate: gate.Candidate{Invalid: lost, Reason: why}}}
	}
	out[0].candidate.Invalid += lost
	if out[0].candidate.Reason == "" {
		out[0].candidate.Reason = why
	}
	return out
}

// StartBound says whether the subject can't be restarted: a running server.
func StartBound(s result.Subject) bool { return strings.HasPrefix(s.Build, "url:") }

// whyInvalid is the first reason that invalidates a round or a cell of it; without a
// cell also that of the first cell which isn't valid.
func whyInvalid(x *result.Round, c *result.CellResult, otherwise string) string {
	reasons := x.Reasons
	of := func(c *result.CellResult) {
		reasons = slices.Concat(reasons, c.Reasons)
		for _, t := range c.Trials {
			reasons = slices.Concat(reasons, t.Reasons)
		}
	}
	if c != nil {
		of(c)
	} else if i := slices.IndexFunc(x.Cells, func(c result.CellResult) bool { return !c.Valid }); i >= 0 {
		of(&x.Cells[i])
	}
	for _, r := range reasons {
		if !r.Warn {
			return r.Detail
		}
	}
	return otherwise
}
