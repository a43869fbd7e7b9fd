package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paceline/paceline/build/benchengine/plan"
)

// columns of the table: one line for each target.
func columns() []string {
	return []string{"what", "ours", "peer", "figure", "target", "reached", "probe GB/s"}
}

// Render writes the document for people: "human" in columns, "markdown" as a table.
func Render(w io.Writer, format string, d Document) error {
	head, table, notes := header(d), lines(d), footnotes(d)
	var b strings.Builder
	switch format {
	case "human":
		human(&b, head, table, notes)
	case "markdown":
		markdown(&b, head, table, notes)
	default:
		return fmt.Errorf("format %q: want human or markdown", format)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func header(d Document) []string {
	m := d.Machine
	out := []string{
		fmt.Sprintf("%s · %s · kernel %s · %d CPUs (%s) · %.0f GB", m.CPU, m.OS, m.Kernel, m.Cores, m.ISA, float64(m.MemoryBytes)/1e9),
		fmt.Sprintf("commit %s · %s · model %s · %d threads · %d rounds · %s, took %v · load before %.2g",
			m.Commit, m.Go, d.Model, d.Threads, d.Rounds, d.Began.UTC().Format("2006-01-02 15:04 MST"), d.Took.Round(time.Second), m.Load1),
	}
	var peers []string
	for _, name := range slices.Sorted(maps.Keys(d.Versions)) {
		peers = append(peers, name+" "+d.Versions[name])
	}
	if len(peers) > 0 {
		out = append(out, "peers: "+strings.Join(peers, " · "))
	}
	for _, w := range d.Warnings {
		out = append(out, "WARNING: "+w)
	}
	return out
}

// lines are the table's cells.
func lines(d Document) [][]string {
	var out [][]string
	for _, r := range d.Rows {
		unit, _ := r.Ours.Kind.Unit()
		probes := plan.Summarise(probesOf(r.Row, d.Samples))
		for i, o := range r.Outcomes {
			title, probe := r.Title, span(probes, "")
			if i > 0 {
				title, probe = "", ""
			}
			peer := "–"
			if o.Target.Peer != nil {
				peer = o.Target.Peer.String()
				if o.Peer.N > 0 {
					peer += " " + span(o.Peer, unit)
				}
			}
			figure := "–"
			if o.Figure.N > 0 && (o.Target.Check == plan.Ratio || o.Target.Check == plan.Share || o.Target.Check == plan.Needed) {
				figure = figureText(o)
			}
			out = append(out, []string{title, span(o.Ours, unit), peer, figure, targetText(o.Target, unit), string(o.Verdict), probe})
		}
	}
	return out
}

// span is a median with its smallest and largest value.
func span(s plan.Summary, unit string) string {
	if s.N == 0 {
		return "–"
	}
	text := number(s.Median)
	if s.N > 1 {
		text += fmt.Sprintf(" (%s–%s)", number(s.Min), number(s.Max))
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}

// figureText is a ratio or share with its 95 % interval, or its range where there are too
// few rounds for one.
func figureText(o plan.Outcome) string {
	s, show := o.Figure, func(v float64) string { return fmt.Sprintf("%.2f", v) }
	sign := " ×"
	if o.Target.Check == plan.Share {
		show = func(v float64) string { return fmt.Sprintf("%.0f", 100*v) }
		sign = " %"
	}
	text := show(s.Median)
	switch {
	case s.Low != nil:
		text += fmt.Sprintf(" [%s, %s]", show(*s.Low), show(*s.High))
	case s.N > 1:
		text += fmt.Sprintf(" (%s–%s)", show(s.Min), show(s.Max))
	}
	return text + sign
}

func targetText(t plan.Target, unit string) string {
	switch t.Check {
	case plan.Ratio:
		text := fmt.Sprintf("≥ %.3g ×", t.Want)
		if t.Lower > 0 {
			text += fmt.Sprintf(", lower bound ≥ %.3g ×", t.Lower)
		}
		return text
	case plan.Share:
		return fmt.Sprintf("≥ %.0f %% of the probe", 100*t.Want)
	case plan.AtLeast:
		return fmt.Sprintf("≥ %.4g %s", t.Want, unit)
	case plan.AtMost:
		return fmt.Sprintf("≤ %.4g %s", t.Want, unit)
	default:
		return fmt.Sprintf("≤ %.3g × (weights + KV)", t.Want)
	}
}

// number has three digits, more before the point.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func probesOf(r plan.Row, samples []plan.Sample) []float64 {
	var out []float64
	for _, s := range samples {
		if s.Row == r.ID && s.Error == "" {
			out = append(out, s.ProbeGBs)
		}
	}
	return out
}

// footnotes say why targets weren't measured, once each, and how to read the table.
func footnotes(d Document) []string {
	var out []string
	for _, r := range d.Rows {
		for _, o := range r.Outcomes {
			if note := r.Title + ": " + o.Why; o.Why != "" && !slices.Contains(out, note) {
				out = append(out, note)
			}
		}
	}
	return append(out, "Medians of rounds (smallest–largest); a ratio is the median of the rounds' ratios, above 1 we are ahead, with its 95 % interval [low, high] from six rounds on. close: the target lies inside that interval.")
}

func human(b *strings.Builder, head []string, table [][]string, notes []string) {
	for _, h := range head {
		fmt.Fprintln(b, h)
	}
	fmt.Fprintln(b)
	rows := append([][]string{columns()}, table...)
	widths := make([]int, len(columns()))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(b, strings.TrimRight(line.String(), " "))
	}
	fmt.Fprintln(b)
	for _, n := range notes {
		fmt.Fprintln(b, n)
	}
}

func markdown(b *strings.Builder, head []string, table [][]string, notes []string) {
	escape := strings.NewReplacer("|", `\|`, "\n", " ")
	row := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			b.WriteString(" " + escape.Replace(c) + " |")
		}
		b.WriteString("\n")
	}
	for _, h := range head {
		fmt.Fprintf(b, "%s  \n", escape.Replace(h))
	}
	b.WriteString("\n")
	row(columns())
	row(slices.Repeat([]string{"---"}, len(columns())))
	for _, r := range table {
		row(r)
	}
	b.WriteString("\n")
	for _, n := range notes {
		fmt.Fprintf(b, "- %s\n", escape.Replace(n))
	}
}
