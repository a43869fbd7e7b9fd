package compare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// Report makes the report of the comparison with the run's verdict: checked series
// first, then what else was measured. When it was decided and where its page lies is
// the caller's to add.
func (m *Comparison) Report(v gate.Run) format.Report {
	rep := format.Report{
		RunID: m.Run.ID, Suite: m.Run.Suite, Subject: subjectText(m.Run, m.Rounds), Branch: m.Run.Branch, Commit: m.Run.Commit,
		Machine: machineText(m.Rounds), Base: m.Base, Overall: v, Repeat: m.Run.Repeat, Badges: badges(m.Run.Lane, m.Faults, m.Rounds), Warnings: warnings(m.Rounds),
	}
	for _, x := range m.Rounds {
		if x.Valid {
			rep.Rounds++
		}
		for _, cell := range x.Cells {
			rep.Trials = max(rep.Trials, len(cell.Trials))
		}
	}
	rep.Speedups = m.speedups()
	verdicts, _ := m.Verdicts()
	gated := map[string]bool{}
	for i, k := range m.Checks {
		l := newLine(k.Cell, k.Rule.Metric)
		if k.Key.Cell != "" {
			l.Series = k.Key.Digest()
		}
		l.values(k.candidate.Rounds)
		if l.Rounds == 0 {
			l.Missing = k.candidate.Reason
		}
		l.Verdict = &verdicts[i]
		gated[l.Workload+fmt.Sprint(l.Point)+string(l.Metric)] = true
		rep.Lines = append(rep.Lines, l.Line)
	}
	for _, cell := range m.Cells {
		for _, id := range metricsOf(m.Rounds, cell) {
			if gated[cell.Workload+fmt.Sprint(cell.Point)+string(id)] {
				continue
			}
			for _, x := range m.measured(cell, id) {
				l := newLine(cell, id)
				l.Series = x.digest
				if l.values(x.candidate.Rounds); l.Rounds > 0 {
					rep.Lines = append(rep.Lines, l.Line)
				}
			}
		}
	}
	return rep
}

// line is a report's line in the making.
type line struct{ format.Line }

func newLine(cell Cell, id metric.ID) line {
	unit := cell.Foreign[id].Unit
	if def, ok := id.Def(); ok {
		unit = def.Unit
	}
	l := format.Line{Workload: cell.Workload, Metric: id, Unit: unit}
	if len(cell.Point) > 0 {
		l.Point = cell.Point
	}
	return line{l}
}

func (l *line) values(rounds []gate.Round) {
	if len(rounds) == 0 {
		return
	}
	var vs []float64
	for _, r := range rounds {
		vs = append(vs, r.Value)
	}
	l.Rounds, l.Value, l.Spread = len(vs), stat.Median(vs), stat.HalfRange(vs)
}

// metricsOf are the metrics that any round has of a cell, in the order of the table,
// then those outside of it.
func metricsOf(rounds []result.Round, cell Cell) []metric.ID {
	seen := map[metric.ID]bool{}
	for _, r := range rounds {
		for _, c := range r.Cells {
			if c.Cell != cell.Digest || c.Workload != cell.Workload {
				continue
			}
			for _, v := range c.Values {
				seen[v.Metric] = true
			}
		}
	}
	var out []metric.ID
	for _, d := range metric.Table() {
		for _, s := range d.Stats {
			if id := d.ID(s); seen[id] {
				out = append(out, id)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(cell.Foreign)) {
		if seen[id] {
			out = append(out, id)
		}
	}
	return out
}
