package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

// Options say how a report is written.
type Options struct {
	Colour bool // ANSI colours, of "human" only; the caller honours NO_COLOR
	All    bool // also values without a rule, of "human" and "openmetrics" only
	// Limit is the most bytes of "markdown", at least MinLimit; 0: CommentLimit.
	Limit int
}

// Limits of Markdown in bytes.
const (
	CommentLimit = 65_536  // of a comment on GitHub, which counts characters: never more than bytes
	SummaryLimit = 1 << 20 // of a step's job summary on GitHub, and of an annotation on Buildkite
	MinLimit     = 16_384  // verdict, title and links fit in it, whatever their texts are
)

// form is one way to write a report.
type form struct {
	name  string
	write func(*bytes.Buffer, *Report, Options) error
}

func forms() []form {
	return []form{
		{"human", human},
		{"json", asJSON},
		{"markdown", markdown},
		{"junit", junit},
		{"github", github},
		{"openmetrics", openmetrics},
	}
}

// Names lists the formats, "human" first.
func Names() []string {
	var names []string
	for _, f := range forms() {
		names = append(names, f.name)
	}
	return names
}

// Write writes a report in the named format, at once: when w fails, its error comes
// back as it is.
func Write(w io.Writer, name string, r *Report, o Options) error {
	for _, f := range forms() {
		if f.name != name {
			continue
		}
		var b bytes.Buffer
		if err := f.write(&b, r, o); err != nil {
			return fmt.Errorf("write run %s as %s: %w", r.RunID, name, err)
		}
		_, err := w.Write(b.Bytes())
		return err
	}
	return Check(name)
}

// Check says what is wrong with a format's name, or nil.
func Check(name string) error {
	names := Names()
	if slices.Contains(names, name) {
		return nil
	}
	if near := metric.Nearest(name, names); near != "" {
		return fmt.Errorf("no format is named %q: did you mean %q?", name, near)
	}
	return fmt.Errorf("no format is named %q: known are %s", name, strings.Join(names, ", "))
}

func asJSON(b *bytes.Buffer, r *Report, _ Options) error {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return err
	}
	// Two marks in a row stand within a string only. Runners take "##[" there for a
	// command; a reader of JSON sees no difference.
	b.Write(bytes.ReplaceAll(raw.Bytes(), []byte("##"), []byte(`#\u0023`)))
	return nil
}

// Symbol is a verdict's shape, so that nobody needs its colour.
func Symbol(k gate.Kind) string {
	switch k {
	case gate.Pass:
		return "●"
	case gate.Fail:
		return "▼"
	case gate.Warn:
		return "◆"
	case gate.Inconclusive:
		return "?"
	case gate.NoBaseline:
		return "○"
	case gate.Error:
		return "✕"
	}
	return "⊘"
}

// name is a line's name for people: workload, point, metric.
func (l *Line) name() string {
	text := l.where() + " " + string(l.Metric)
	if l.Verdict != nil && strings.HasPrefix(l.Verdict.Baseline.Name, "pinned") {
		text += " against " + plain(l.Verdict.Baseline.Name)
	}
	return text
}

// where is the workload with its point: "scaling concurrency=4".
func (l *Line) where() string {
	var b strings.Builder
	b.WriteString(plain(l.Workload))
	for _, axis := range sortedKeys(l.Point) {
		fmt.Fprintf(&b, " %s=%s", plain(axis), plain(l.Point[axis]))
	}
	return b.String()
}

// value is what was measured, with its spread.
func (l *Line) value() string {
	if l.Rounds == 0 {
		return "–"
	}
	return withSpread(l.Value, l.Spread, l.Unit)
}

// withSpread writes "41.3 tok/s ± 0.6".
func withSpread(v, spread float64, unit string) string {
	text := gate.Figure(v, unit)
	if spread <= 0 {
		return text
	}
	s := gate.Figure(spread, unit)
	_, unitOf, _ := strings.Cut(text, " ")
	if short, found := strings.CutSuffix(s, " "+unitOf); found {
		s = short
	}
	return text + " ± " + s
}

// base is what the value is held against: the baseline with its rounds, or the limit.
func (l *Line) base() string {
	v := l.Verdict
	switch {
	case v == nil:
		return ""
	case !v.Rule.Relative():
		return v.Rule.Limit()
	case v.N == 0:
		return "–"
	}
	text := fmt.Sprintf("%s (%d)", withSpread(v.BaselineValue, v.BaselineSpread, l.Unit), v.N)
	if name := plain(v.Baseline.Name); strings.HasPrefix(name, "pinned") {
		text += " " + name
	}
	return text
}

// change is the signed change with better or worse in words.
func (l *Line) change() string {
	v := l.Verdict
	if v == nil || !v.Rule.Relative() || v.N == 0 || v.K == 0 || v.Kind == gate.Error {
		return ""
	}
	return gate.ChangeText(v.Change, v.Rule.HigherIsBetter())
}

// canFail says what the gate could have failed at least, or "" where that means
// nothing.
func (l *Line) canFail() string {
	v := l.Verdict
	if v == nil || v.N == 0 || !v.Rule.Relative() {
		return ""
	}
	if v.SmallestFail == 0 {
		if v.Candidate.StartBound {
			return fmt.Sprintf("could fail nothing: the subject can't be restarted, and its baseline of %s is too short for that", count(v.N, "round"))
		}
		return ""
	}
	what := "drop"
	if !v.Rule.HigherIsBetter() {
		what = "rise"
	}
	verb := "fail"
	if v.Rule.Severity == gate.Investigate {
		verb = "warn of"
	}
	text := fmt.Sprintf("could %s a %s of %s", verb, what, share(v.SmallestFail))
	if v.CanSee > 0 {
		text += fmt.Sprintf(" (noise alone hides up to %s)", share(v.CanSee))
	}
	return text
}

func share(v float64) string { return gate.Figure(v, "1") }

// gated are the lines with a verdict, in the report's order.
func (r *Report) gated() []*Line {
	var out []*Line
	for i := range r.Lines {
		if r.Lines[i].Verdict != nil {
			out = append(out, &r.Lines[i])
		}
	}
	return out
}

// others are the lines without one.
func (r *Report) others() []*Line {
	var out []*Line
	for i := range r.Lines {
		if r.Lines[i].Verdict == nil {
			out = append(out, &r.Lines[i])
		}
	}
	return out
}

// verdictLine is the run's verdict in one line: "FAIL (exit 1): reason".
func (r *Report) verdictLine() string {
	return fmt.Sprintf("%s (exit %d): %s", strings.ToUpper(string(r.Overall.Kind)), r.Overall.Exit, plain(r.Overall.Headline))
}

// title names the run: "ci · engine · robot-stories · main@9d0e7c4".
func (r *Report) title() string {
	at := plain(r.Branch)
	if r.Commit != "" {
		at += "@" + short(plain(r.Commit))
	}
	against := ""
	if r.Base != "" && r.Base != r.Branch {
		against = "against " + plain(r.Base)
	}
	return strings.Join(slices.DeleteFunc([]string{plain(r.Suite), plain(r.Subject), at, against}, func(s string) bool { return s == "" }), " · ")
}

// amount is "3 rounds × 2 trials".
func (r *Report) amount() string {
	text := count(r.Rounds, "round")
	if r.Trials > 0 {
		text += " × " + count(r.Trials, "trial")
	}
	return text
}

// unexplained are the texts of what else is the matter that no line says already.
func (r *Report) unexplained() []string {
	var out []string
	for _, s := range r.Overall.Also {
		if !r.explained(s) {
			out = append(out, s)
		}
	}
	return out
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
