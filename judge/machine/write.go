package machine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/judge/gate"
)

// Write writes the report for people; colour adds ANSI colours, and the caller
// honours NO_COLOR.
func (r *Report) Write(w io.Writer, colour bool) error {
	p := printer{colour: colour}
	p.printf("%s %s\n\n", p.severity(r.Worst, symbol(r.Worst)), p.bold(r.Headline))
	p.about(r)
	p.sight(r)
	p.findings(r.Findings)
	_, err := w.Write(p.Bytes())
	return err
}

// WriteJSON writes the report as one JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write the machine's report as JSON: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

type printer struct {
	bytes.Buffer
	colour bool
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *printer) paint(code, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) bold(s string) string { return p.paint("1", s) }

func (p *printer) severity(s health.Severity, text string) string {
	switch s {
	case health.Blocks:
		return p.paint("31", text)
	case health.Disturbs:
		return p.paint("33", text)
	case health.Note:
		return p.paint("36", text)
	}
	return p.paint("32", text)
}

// symbol is a severity's shape, so that nobody needs its colour.
func symbol(s health.Severity) string {
	switch s {
	case health.Blocks:
		return "✕"
	case health.Disturbs:
		return "▲"
	case health.Note:
		return "○"
	}
	return "●"
}

// about says what this machine is and what can be measured on it.
func (p *printer) about(r *Report) {
	row := func(name, text string) { p.wrapped("  "+p.bold(fmt.Sprintf("%-9s", name))+" ", text, 12) }
	h := &r.Host
	row("machine", joined(", ", h.CPUModel, fmt.Sprintf("%.3g cores to use", h.Cores()), h.Virtual, h.Container, h.OS))
	for _, t := range r.Targets {
		text := t.Device
		if len(t.Kernels) > 0 {
			text += ", kernels " + strings.Join(t.Kernels, ", ")
		}
		if t.Why != "" {
			text = joined(": ", text, t.Why)
		}
		row(t.Name, text)
	}
	if r.NoGPU != "" {
		row("gpu", r.NoGPU)
	}
	var models []string
	for _, m := range r.Models {
		text := fmt.Sprintf("%s (%s)", m.Name, gate.Figure(float64(m.Bytes), "B"))
		if m.Fits != nil && !*m.Fits {
			text += ", too large for the free memory"
		}
		models = append(models, text)
	}
	if len(models) > 0 {
		row("models", strings.Join(models, "; "))
	}
	for _, pr := range r.Probes {
		row("probe", fmt.Sprintf("%s %s, at most %s off in %d readings", pr.Kind, gate.Figure(pr.Median, pr.Unit), percent(pr.Off), len(pr.Values)))
	}
	if f := r.Floor; f != nil {
		row("floor", fmt.Sprintf("%s to a first token, %s a token: the measuring program's own", duration(f.Latencies["ttft.p50"]), duration(f.Latencies["tpot.p50"])))
	}
	p.printf("\n")
}

// sight says what a gate could see here.
func (p *printer) sight(r *Report) {
	x := r.Rounds
	if x == nil {
		if r.NoRounds != "" {
			p.wrapped("", "No rounds were run: "+r.NoRounds+". What a gate here could see is not known.", 0)
			p.printf("\n")
		}
		return
	}
	p.printf("%s\n\n", p.bold(fmt.Sprintf("What a gate could see, from %d valid rounds of suite %q in %.0f s", x.Valid, x.Suite, x.Seconds)))
	for _, u := range x.Unknown {
		p.wrapped("  ", "Not known: "+u+".", 2)
	}
	if len(x.Gates) == 0 {
		if len(x.Unknown) == 0 {
			p.printf("  Not known: there is no valid round.\n")
		}
		p.printf("\n")
		return
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  Workload\tMetric\tMedian\tNoise\tCan see\tIts gate")
	for _, g := range x.Gates {
		verdict := fmt.Sprintf("%s of %s: safe", g.direction(), percent(threshold(g.Rule)))
		if !g.Safe {
			verdict = fmt.Sprintf("%s of %s: too noisy", g.direction(), percent(threshold(g.Rule)))
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s of %s\t%s\n", g.Workload, g.Metric, gate.Figure(g.Median, g.Unit), percent(math.Expm1(g.Noise)), g.direction(), percent(g.CanSee), verdict)
	}
	_ = t.Flush() // into a buffer
	p.Write(b.Bytes())
	p.printf("\n")
	for _, g := range x.Gates {
		text := g.Text
		if g.Odds != nil {
			text += " " + g.Odds.words()
		}
		p.wrapped("  ", text, 2)
	}
	p.wrapped("  ", "With seven rounds against these; they ran one after another, so other days and other machines add to the noise.", 2)
	p.printf("\n")
}

// findings lists what was found, the worst first; what is shown above already is left
// out where it is fine.
func (p *printer) findings(fs []health.Finding) {
	p.printf("%s\n\n", p.bold("What was found"))
	for _, f := range fs {
		if f.Severity == health.OK && (strings.HasPrefix(f.ID, "gate.") || strings.HasPrefix(f.ID, "probe.") || f.ID == "floor") {
			continue
		}
		p.wrapped(fmt.Sprintf("  %s %s ", p.severity(f.Severity, symbol(f.Severity)), p.severity(f.Severity, fmt.Sprintf("%-9s", f.Severity))), f.What, findingIndent)
		if f.Severity == health.OK {
			continue
		}
		for _, part := range []struct{ name, text string }{{"seen", f.Evidence}, {"why", f.Why}, {"do", f.Do}} {
			if part.text != "" {
				p.wrapped(fmt.Sprintf("%*s%-5s", findingIndent, "", part.name), part.text, findingIndent+5)
			}
		}
		if f.Command != "" {
			// A command stays on one line, to be copied.
			p.printf("%*s%-5s%s\n", findingIndent, "", "", p.bold(f.Command))
		}
	}
}

const (
	findingIndent = 14
	lineWidth     = 100 // columns
)

// wrapped writes a text after its head, on lines that go on below at the indent.
func (p *printer) wrapped(head, text string, indent int) {
	p.WriteString(head)
	column := indent
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > lineWidth:
			p.printf("\n%*s", indent, "")
			column = indent
		default:
			p.WriteString(" ")
			column++
		}
		p.WriteString(word)
		column += n
	}
	p.WriteString("\n")
}

// duration writes milliseconds, or microseconds where there are less than a tenth.
func duration(ms float64) string {
	if ms < 0.1 {
		return fmt.Sprintf("%.2f µs", 1e3*ms)
	}
	return fmt.Sprintf("%.3g ms", ms)
}

// joined joins what isn't empty.
func joined(sep string, parts ...string) string {
	var out []string
	for _, s := range parts {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, sep)
}
