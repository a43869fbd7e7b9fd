package format

import (
	"bytes"
	"fmt"

	"github.com/paceline/paceline/judge/gate"
)

// speedupHead are the columns of the table of speed-ups.
func speedupHead() []string {
	return []string{"Workload", "Metric", "This run", "Over", "which had", "Speed-up"}
}

// cells are a speed-up's columns, as they are.
func (s *Speedup) cells() []string {
	l := Line{Workload: s.Workload, Point: s.Point, Metric: s.Metric}
	if def, ok := s.Metric.Def(); ok {
		l.Unit = def.Unit
	}
	this, other := "–", "–"
	if s.Rounds > 0 {
		this, other = gate.Figure(s.This, l.Unit), gate.Figure(s.Other, l.Unit)
	}
	return []string{l.where(), string(s.Metric), this, plain(s.Over), other, s.Text()}
}

// Text is "4.13 × ± 0.05": how often better. Without a value it says why.
func (s *Speedup) Text() string {
	if s.Rounds == 0 {
		if s.Missing == "" {
			return "–"
		}
		return "– " + plain(s.Missing)
	}
	text := times(s.Value, s.Value) + " ×"
	if s.Spread > 0 {
		text += " ± " + times(s.Spread, s.Value)
	}
	return text
}

// times writes a number with as many decimals as one of the given size needs.
func times(v, size float64) string {
	decimals := 2
	switch {
	case size >= 100:
		decimals = 0
	case size >= 10:
		decimals = 1
	}
	return fmt.Sprintf("%.*f", decimals, v)
}

// speedups writes the table for a terminal.
func (p painter) speedups(b *bytes.Buffer, r *Report) {
	if len(r.Speedups) == 0 {
		return
	}
	fmt.Fprintf(b, "\nSpeed-ups, never judged (the spread is half the range of %s):\n", r.spreadOf())
	rows := [][]string{speedupHead()}
	for i := range r.Speedups {
		rows = append(rows, r.Speedups[i].cells())
	}
	p.columns(b, rows, nil)
}

// spreadOf says what the spread of speed-ups is of.
func (r *Report) spreadOf() string {
	for _, s := range r.Speedups {
		if s.Rounds > 1 {
			return "the rounds"
		}
	}
	return "the trials of both"
}

// speedups writes the table of a comment.
func (d *document) speedups(r *Report) {
	var rows []string
	for i := range r.Speedups {
		rows = append(rows, row(r.Speedups[i].cells()...))
	}
	d.section("Speed-ups, never judged (the spread is half the range of "+r.spreadOf()+"):\n\n"+row(speedupHead()...)+"|---|---|---|---|---|---|\n", rows, "\n", "rows")
}
