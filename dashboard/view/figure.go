// Package view turns results and verdicts into what pages show: words, figures with
// unit, spread and count, tables, and the reasons behind them.
//
// It is pure: it reads no ledger and no clock, so that a served page
// (dashboard/page) and a report that is one file (dashboard/report) show the same.
// What a verdict means is judge/gate's; how a chart looks is dashboard/chart's.
package view

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

// Missing stands where nothing is known.
const Missing = "–"

// Quantity is a figure ready to be shown.
type Quantity struct {
	Text   string // "29.9 tok/s", or Missing
	Spread string // "± 0.4"; empty where there is none
	Count  string // "(10)": of how many; empty where that says nothing
	Title  string // shown on hover: how it came about, or why it is missing
}

// None is a quantity that isn't known, and why.
func None(why string) Quantity { return Quantity{Text: Missing, Title: why} }

// Unit is the unit of a metric; empty for one that the table doesn't know.
func Unit(id metric.ID) string {
	def, _ := id.Def()
	return def.Unit
}

// Figure writes a value in the unit of its metric.
func Figure(v float64, id metric.ID) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Missing
	}
	return gate.Figure(v, Unit(id))
}

// OfRounds is a median over rounds. Trials is how many each of them had; 0 unknown.
func OfRounds(v, spread float64, rounds, trials int, id metric.ID, spreadIs string) Quantity {
	if rounds == 0 {
		return None("no valid round has this metric")
	}
	q := Quantity{Text: Figure(v, id)}
	what := plural(rounds, "round")
	if trials > 0 {
		what += fmt.Sprintf(" × %s", plural(trials, "trial"))
	}
	q.Title = fmt.Sprintf("%s, median of %s", q.Text, what)
	if rounds > 1 || spread > 0 {
		q.Spread = "± " + bare(Figure(spread, id), q.Text)
		q.Title += fmt.Sprintf("; ± %s is %s", Figure(spread, id), spreadIs)
	}
	return q
}

// bare drops a spread's trailing zeros, and its unit where the figure beside it has the
// same.
func bare(spread, figure string) string {
	s, unit, ok := strings.Cut(spread, " ")
	if strings.Contains(s, ".") { // a spread has two figures that mean something
		if t := strings.TrimRight(s, "0"); len(t) >= 3 {
			s = strings.TrimSuffix(t, ".")
		}
	}
	if _, u, ok2 := strings.Cut(figure, " "); ok && ok2 && u == unit {
		return s
	}
	return strings.TrimSpace(s + " " + unit)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Change is a signed change and what it means.
type Change struct {
	Text string // "−23.4 %"
	Word string // "worse", "better", or empty
}

// ChangeOf words a change, as a share of the baseline, of a metric.
func ChangeOf(share float64, id metric.ID) Change {
	def, _ := id.Def()
	if def.Better == metric.Neutral {
		sign := "+"
		if share < 0 {
			sign = "−"
		}
		return Change{Text: fmt.Sprintf("%s%.1f %%", sign, 100*math.Abs(share))}
	}
	text := gate.ChangeText(share, def.Better == metric.HigherIsBetter)
	for _, w := range []string{"worse", "better"} {
		if t, ok := strings.CutSuffix(text, " "+w); ok {
			return Change{Text: t, Word: w}
		}
	}
	return Change{Text: text}
}

// Share writes a share as a percentage: "6.1 %".
func Share(v float64) string { return gate.Figure(v, "1") }

// Stamp is a time for hovering: absolute, in UTC.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return "time unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// Ago is a time relative to now: "4 min ago".
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return Missing
	}
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in " + Span(-d)
	case d < 5*time.Second:
		return "just now"
	}
	return Span(d) + " ago"
}

// Span is a length of time in its largest unit: "4 min", "2 h", "9 d".
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// Short is the beginning of an id, a commit or a digest.
func Short(s string) string {
	if len(s) > 10 && !strings.ContainsAny(s, " .") {
		return s[:10]
	}
	return s
}
