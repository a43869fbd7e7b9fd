package format

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/judge/gate"
)

// gatedSeries is a series with every rule on it: the branch's level, a pinned one, an
// absolute limit.
type gatedSeries struct {
	lines []*Line // at least one, each with a verdict
	twin  bool    // another class of machines measured the same: the name isn't enough
}

// series groups the gated lines, in the report's order.
func (r *Report) series() []gatedSeries {
	var out []gatedSeries
	classes := map[string]map[string]bool{}
	at := map[string]int{}
	for _, l := range r.gated() {
		name := l.where() + "\x00" + string(l.Metric)
		key := name + "\x00" + l.Series
		if classes[name] == nil {
			classes[name] = map[string]bool{}
		}
		classes[name][l.Series] = true
		i, known := at[key]
		if !known {
			i, at[key] = len(out), len(out)
			out = append(out, gatedSeries{})
		}
		out[i].lines = append(out[i].lines, l)
	}
	for i := range out {
		l := out[i].lines[0]
		out[i].twin = len(classes[l.where()+"\x00"+string(l.Metric)]) > 1
	}
	return out
}

// class tells a series from its twin on other machines; empty where there is none.
func (s gatedSeries) class() string {
	if !s.twin {
		return ""
	}
	if id := plain(s.lines[0].Series); id != "" {
		return cutRunes(id, 8)
	}
	return "unknown"
}

// urgency orders verdicts: what has to be looked at first is the lowest.
func urgency(k gate.Kind) int {
	order := []gate.Kind{gate.Fail, gate.Error, gate.Invalid, gate.Inconclusive, gate.Warn, gate.NotComparable, gate.NoBaseline, gate.Pass}
	if i := slices.Index(order, k); i >= 0 {
		return i
	}
	return 1 // one that this version doesn't know
}

// worstFirst are the gated lines by urgency, else in the report's order.
func (r *Report) worstFirst() []*Line {
	lines := r.gated()
	slices.SortStableFunc(lines, func(a, b *Line) int { return urgency(a.Verdict.Kind) - urgency(b.Verdict.Kind) })
	return lines
}

// tally counts verdicts: "1 fail, 3 pass".
func (r *Report) tally() string {
	var out []string
	lines := r.worstFirst()
	for len(lines) > 0 {
		k, n := lines[0].Verdict.Kind, 0
		for n < len(lines) && lines[n].Verdict.Kind == k {
			n++
		}
		out = append(out, fmt.Sprintf("%d %s", n, plain(string(k))))
		lines = lines[n:]
	}
	if len(out) == 0 {
		return "nothing was judged"
	}
	return strings.Join(out, ", ")
}

// explained says whether a text of the verdict is what a series says.
func (r *Report) explained(text string) bool {
	for _, l := range r.gated() {
		if before, ok := strings.CutSuffix(text, l.Verdict.Reason); ok && l.Verdict.Reason != "" && strings.HasSuffix(before, ": ") {
			return true
		}
	}
	return false
}

// undecidedFails says whether what is inconclusive was asked to count as a failure:
// the run failed, and nothing else did.
func (r *Report) undecidedFails() bool {
	if r.Overall.Exit != gate.ExitFail {
		return false
	}
	return !slices.ContainsFunc(r.gated(), func(l *Line) bool { return l.Verdict.Kind == gate.Fail })
}
