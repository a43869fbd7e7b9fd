package format

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/paceline/paceline/judge/gate"
)

// human writes a report for a terminal. The first line says the verdict and so does
// the last, which is what a log ends with.
func human(out *bytes.Buffer, r *Report, o Options) error {
	p, b := painter{o.Colour}, &bytes.Buffer{}
	fmt.Fprintf(b, "%s %s\n", p.kind(r.Overall.Kind, Symbol(r.Overall.Kind)), r.verdictLine())
	fmt.Fprintf(b, "\n%s · %s", r.title(), r.amount())
	if r.Machine != "" {
		fmt.Fprintf(b, " · %s", plain(r.Machine))
	}
	b.WriteByte('\n')
	if len(r.Badges) > 0 {
		fmt.Fprintf(b, "%s\n", p.bold("["+plain(strings.Join(r.Badges, "] ["))+"]"))
	}
	lines := r.gated()
	if o.All {
		lines = append(lines, r.others()...)
	}
	if len(lines) > 0 {
		b.WriteByte('\n')
		p.table(b, lines)
	}
	if n := len(r.others()); n > 0 && !o.All {
		where := "on the run's page"
		if r.PageURL == "" {
			where = "which --verbose shows"
		}
		fmt.Fprintf(b, "and %s without a rule, %s\n", count(n, "value"), where)
	}
	p.speedups(b, r)
	p.explain(b, r)
	list(b, "Also", r.unexplained())
	list(b, "Know about this measurement", r.Warnings)
	b.WriteByte('\n')
	if r.PageURL != "" {
		fmt.Fprintf(b, "page    %s\n", plain(r.PageURL))
	}
	if r.Repeat != "" {
		fmt.Fprintf(b, "repeat  %s\n", plain(r.Repeat))
	}
	name := "run " + plain(r.RunID)
	if r.RunID == "" {
		name = "no run"
	}
	fmt.Fprintf(b, "%s  %s\n", name, p.kind(r.Overall.Kind, fmt.Sprintf("%s %s (exit %d)", Symbol(r.Overall.Kind), strings.ToUpper(string(r.Overall.Kind)), r.Overall.Exit)))
	out.WriteString(inert(b.String()))
	return nil
}

// table writes one row a line.
func (p painter) table(b *bytes.Buffer, lines []*Line) {
	rows := [][]string{{"Workload", "Metric", "This run", "Baseline (rounds) or limit", "Change", "Verdict"}}
	kinds := []gate.Kind{""}
	for _, l := range lines {
		verdict, kind := "", gate.Kind("")
		if l.Verdict != nil {
			kind = l.Verdict.Kind
			verdict = Symbol(kind) + " " + string(kind)
		}
		value := l.value()
		if l.Rounds == 0 && l.Missing != "" {
			value += " " + plain(l.Missing)
		}
		rows = append(rows, []string{l.where(), string(l.Metric), value, l.base(), l.change(), verdict})
		kinds = append(kinds, kind)
	}
	p.columns(b, rows, kinds)
}

// columns writes rows in columns as wide as they need, the first one bold. kinds, which
// may be nil, colour the last column.
func (p painter) columns(b *bytes.Buffer, rows [][]string, kinds []gate.Kind) {
	const most = 44 // a reason for a missing value may be long
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = min(max(widths[i], utf8.RuneCountInString(cell)), most)
		}
	}
	for j, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i == len(row)-1 {
				if kinds != nil {
					cell = p.kind(kinds[j], cell)
				}
				line.WriteString(cell)
				break
			}
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0)+2))
		}
		text := strings.TrimRight(line.String(), " ")
		if j == 0 {
			text = p.bold(text)
		}
		b.WriteString(text + "\n")
	}
}

// explain says, for every rule, what was found where that is more than a pass, and
// the smallest change that it could have caught.
func (p painter) explain(b *bytes.Buffer, r *Report) {
	for _, l := range r.gated() {
		v := l.Verdict
		if v.Kind == gate.Pass {
			continue
		}
		fmt.Fprintf(b, "\n%s %s: %s\n", p.kind(v.Kind, Symbol(v.Kind)), l.name(), plain(v.Reason))
		for _, s := range v.Steps {
			fmt.Fprintf(b, "    %s\n", plain(s.Text))
		}
	}
	var can []string
	for _, l := range r.gated() {
		if text := l.canFail(); text != "" {
			can = append(can, l.name()+" "+text)
		}
	}
	list(b, "The least that these gates could have caught", can)
}

func list(b *bytes.Buffer, head string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", head)
	for _, s := range items {
		fmt.Fprintf(b, "  %s\n", plain(s))
	}
}

// painter adds colours, or doesn't.
type painter struct{ on bool }

func (p painter) wrap(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p painter) bold(s string) string { return p.wrap("1", s) }

// kind colours what belongs to a verdict.
func (p painter) kind(k gate.Kind, s string) string {
	switch k {
	case gate.Pass:
		return p.wrap("32", s)
	case gate.Fail, gate.Error:
		return p.wrap("31", s)
	case gate.Warn:
		return p.wrap("33", s)
	case gate.Inconclusive:
		return p.wrap("35", s)
	case "":
		return s
	}
	return p.wrap("90", s)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
