package format

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/paceline/paceline/judge/gate"
)

// markdown writes a report for a comment or a job's summary: a hidden marker, the
// verdict, the table with what to look at first, the rest folded. What doesn't fit
// into the limit is left out from the end, and said.
func markdown(b *bytes.Buffer, r *Report, o Options) error {
	limit := max(o.Limit, MinLimit)
	if o.Limit == 0 {
		limit = CommentLimit
	}
	foot := r.footer()
	d := &document{b: b, room: limit - len(foot) - len(leftOut(1_000_000))}
	d.head(r)
	d.table(r)
	d.speedups(r)
	d.fold("", "", r.Overall.Also)
	for _, l := range r.worstFirst() {
		if v := l.Verdict; v.Kind != gate.Pass && len(v.Steps) > 0 {
			steps := []string{v.Reason}
			for _, s := range v.Steps {
				steps = append(steps, s.Text)
			}
			d.fold(fmt.Sprintf("Why %s is %s", l.name(), v.Kind), "steps", steps)
		}
	}
	var can []string
	for _, l := range r.worstFirst() {
		if text := l.canFail(); text != "" {
			can = append(can, l.name()+" "+text)
		}
	}
	d.fold("The least that these gates could have caught", "gates", can)
	d.fold("What to know about this measurement", "warnings", r.Warnings)
	d.others(r)
	if d.lost > 0 {
		b.WriteString(leftOut(d.lost))
	}
	b.WriteString(foot)
	return nil
}

func leftOut(n int) string {
	return fmt.Sprintf("*%s left out for length: the run's page, JUnit and JSON have all of it.*\n\n", count(n, "section"))
}

// Marker is the hidden first line of a report in Markdown, by which a bot finds the
// comment of a suite that it has to update.
func Marker(suite string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_':
			return c
		}
		return '-'
	}, suite)
	for strings.Contains(name, "--") { // which ends a comment
		name = strings.ReplaceAll(name, "--", "-")
	}
	return "<!-- paceline:" + clip(name, 200) + " -->"
}

// Longest texts in bytes, before they are escaped: with them the head and the foot
// stay under MinLimit.
const (
	longHead  = 600
	longTitle = 300
	longItem  = 2_000
	longLink  = 1_000
)

func (d *document) head(r *Report) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n### %s %s\n\n", Marker(r.Suite), Symbol(r.Overall.Kind), escapeMarkdown(clip(r.verdictLine(), longHead)))
	fmt.Fprintf(&b, "Suite %s · %s", escapeMarkdown(clip(r.title(), longTitle)), r.amount())
	if r.Machine != "" {
		fmt.Fprintf(&b, " · %s", escapeMarkdown(clip(plain(r.Machine), longTitle)))
	}
	b.WriteString("\n\n")
	if len(r.Badges) > 0 {
		badges := strings.TrimSpace(plain(strings.Join(r.Badges, "] [")))
		fmt.Fprintf(&b, "**\\[%s\\]**\n\n", escapeMarkdown(clip(badges, longTitle)))
	}
	d.write(b.String())
}

// table shows what has to be looked at first; of many rules, those that passed are
// folded.
func (d *document) table(r *Report) {
	const open = "| | Workload | Metric | This run | Baseline (rounds) or limit | Change | Verdict |\n|---|---|---|---|---|---|---|\n"
	const few = 10
	var eyes, fine []string
	for _, l := range r.worstFirst() {
		kind := l.Verdict.Kind
		value := l.value()
		if l.Rounds == 0 && l.Missing != "" {
			value += " " + plain(l.Missing)
		}
		text := row(Symbol(kind), l.where(), string(l.Metric), value, l.base(), l.change(), string(kind))
		if kind == gate.Pass {
			fine = append(fine, text)
		} else {
			eyes = append(eyes, text)
		}
	}
	if len(eyes)+len(fine) <= few {
		eyes, fine = append(eyes, fine...), nil
	}
	d.section(open, eyes, "\n", "rows")
	d.section(fmt.Sprintf("<details><summary>%s passed</summary>\n\n%s", count(len(fine), "check"), open), fine, "\n</details>\n\n", "rows")
}

func (d *document) others(r *Report) {
	var rows []string
	for _, l := range r.others() {
		rows = append(rows, row(l.where(), string(l.Metric), l.value()))
	}
	d.section(fmt.Sprintf("<details><summary>%s without a rule</summary>\n\n| Workload | Metric | This run |\n|---|---|---|\n", count(len(rows), "value")),
		rows, "\n</details>\n\n", "rows")
}

// footer is where more is to be found, and how to measure it again.
func (r *Report) footer() string {
	name := escapeMarkdown("run " + clip(plain(r.RunID), 100))
	if r.RunID == "" {
		name = "there is no run"
	}
	if u := plain(r.PageURL); u != "" && len(u) <= longLink {
		name = "[" + name + "](<" + strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20", `\`, "%5C").Replace(u) + ">)"
	}
	if r.Repeat != "" && len(r.Repeat) <= longLink { // half a command is worse than none
		name += " · repeat: " + code(r.Repeat)
	}
	return name + "\n"
}

// document is Markdown with room for so many bytes.
type document struct {
	b    *bytes.Buffer
	room int
	lost int // sections of which nothing fitted
}

func (d *document) write(s string) {
	d.b.WriteString(s)
	d.room -= len(s)
}

// section writes as many items as fit between open and end, and how many there are
// more. Without items it writes nothing.
func (d *document) section(open string, items []string, end, noun string) {
	if len(items) == 0 {
		return
	}
	more := func(n int) string { return fmt.Sprintf("\n*and %d more %s, left out for length*\n", n, noun) }
	room := d.room - len(open) - len(end) - len(more(len(items)))
	if room < len(items[0]) {
		d.lost++
		return
	}
	d.write(open)
	for i, item := range items {
		if room -= len(item); room < 0 {
			d.write(more(len(items) - i))
			break
		}
		d.write(item)
	}
	d.write(end)
}

// fold writes a list, folded under its head where it has one.
func (d *document) fold(head, noun string, items []string) {
	list := make([]string, len(items))
	for i, s := range items {
		list[i] = "- " + escapeMarkdown(clip(plain(s), longItem)) + "\n"
	}
	if head == "" {
		d.section("", list, "\n", "lines")
		return
	}
	d.section("<details><summary>"+escapeMarkdown(clip(head, longTitle))+"</summary>\n\n", list, "\n</details>\n\n", noun)
}

func row(cells ...string) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString("| " + escapeMarkdown(clip(c, longTitle)) + " ")
	}
	b.WriteString("|\n")
	return b.String()
}

// escapeMarkdown keeps text from being markup, a formula, a mention, a reference to
// an issue, or a cell's end.
func escapeMarkdown(s string) string {
	const wall = "\u200b" // invisible, and ends the name of a mention or a reference before it begins
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '|', '`', '*', '_', '[', ']', '~', '$':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '@', '#':
			b.WriteByte(c)
			b.WriteString(wall)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// code writes an inline code span that holds any text.
func code(s string) string {
	s = plain(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	pad := ""
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		pad = " "
	}
	return fence + pad + s + pad + fence
}
