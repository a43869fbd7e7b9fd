package format

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/paceline/paceline/judge/gate"
)

// markdown writes a report for a comment or a job's summary: the verdict first, then
// the table, the rest folded.
func markdown(b *bytes.Buffer, r *Report, _ Options) error {
	fmt.Fprintf(b, "### %s %s\n\n", Symbol(r.Overall.Kind), escapeMarkdown(r.verdictLine()))
	fmt.Fprintf(b, "%s · %s", escapeMarkdown(r.title()), r.amount())
	if r.Machine != "" {
		fmt.Fprintf(b, " · %s", escapeMarkdown(plain(r.Machine)))
	}
	b.WriteString("\n\n")
	for _, badge := range r.Badges {
		fmt.Fprintf(b, "**%s** ", escapeMarkdown(plain(badge)))
	}
	if len(r.Badges) > 0 {
		b.WriteString("\n\n")
	}
	if lines := r.gated(); len(lines) > 0 {
		b.WriteString("| | Workload | Metric | This run | Baseline (rounds) or limit | Change | Verdict |\n|---|---|---|---|---|---|---|\n")
		for _, l := range lines {
			kind := l.Verdict.Kind
			value := l.value()
			if l.Rounds == 0 && l.Missing != "" {
				value += " " + plain(l.Missing)
			}
			row(b, Symbol(kind), l.where(), string(l.Metric), value, l.base(), l.change(), string(kind))
		}
		b.WriteByte('\n')
	}
	bullets(b, r.Overall.Also)
	reasons(b, r)
	var can []string
	for _, l := range r.gated() {
		if text := l.canFail(); text != "" {
			can = append(can, l.name()+" "+text)
		}
	}
	fold(b, "The least that these gates could have caught", can)
	fold(b, "What to know about this measurement", r.Warnings)
	if others := r.others(); len(others) > 0 {
		fmt.Fprintf(b, "<details><summary>%s without a rule</summary>\n\n| Workload | Metric | This run |\n|---|---|---|\n", count(len(others), "value"))
		for _, l := range others {
			row(b, l.where(), string(l.Metric), l.value())
		}
		b.WriteString("\n</details>\n\n")
	}
	var links []string
	if r.PageURL != "" {
		links = append(links, "[run "+escapeMarkdown(plain(r.RunID))+"](<"+strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20").Replace(plain(r.PageURL))+">)")
	} else {
		links = append(links, "run "+escapeMarkdown(plain(r.RunID)))
	}
	if r.Repeat != "" {
		links = append(links, "repeat: "+code(r.Repeat))
	}
	b.WriteString(strings.Join(links, " · ") + "\n")
	return nil
}

// reasons explains what didn't pass, with every step, folded.
func reasons(b *bytes.Buffer, r *Report) {
	for _, l := range r.gated() {
		v := l.Verdict
		if v.Kind == gate.Pass || len(v.Steps) == 0 {
			continue
		}
		steps := []string{v.Reason}
		for _, s := range v.Steps {
			steps = append(steps, s.Text)
		}
		fold(b, fmt.Sprintf("Why %s is %s", l.name(), v.Kind), steps)
	}
}

func row(b *bytes.Buffer, cells ...string) {
	for _, c := range cells {
		b.WriteString("| " + escapeMarkdown(c) + " ")
	}
	b.WriteString("|\n")
}

func bullets(b *bytes.Buffer, items []string) {
	for _, s := range items {
		b.WriteString("- " + escapeMarkdown(plain(s)) + "\n")
	}
	if len(items) > 0 {
		b.WriteByte('\n')
	}
}

func fold(b *bytes.Buffer, head string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "<details><summary>%s</summary>\n\n", escapeMarkdown(head))
	bullets(b, items)
	b.WriteString("</details>\n\n")
}

// escapeMarkdown keeps text from being markup, a mention or a cell's end.
func escapeMarkdown(s string) string {
	return strings.NewReplacer(
		`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "#", `\#`, "~", `\~`,
		"@", "@\u200b", "&", "&amp;",
	).Replace(s)
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
