package format

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/paceline/paceline/judge/gate"
)

// Annotation is what GitHub shows beside a run and, where it has a file, at its line
// in a pull request.
type Annotation struct {
	Level string // "error", "warning" or "notice"
	File  string // path from the root of the repository; empty: none
	Line  int    // from 1; 0: none
	Col   int    // from 1; 0: none
	Title string
	Text  string
}

// maxAnnotations is how many of one level GitHub shows of a step.
const maxAnnotations = 10

// Limits of an annotation's texts, in bytes: GitHub's checks cut a title at 255
// characters and a message at 64 KiB.
const (
	maxTitle = 255
	maxText  = 8_000
)

// Annotations are the verdict and, worst first, each rule that didn't pass. That
// something has no baseline is the verdict's to say, not one annotation a rule.
func Annotations(r *Report) []Annotation {
	out := []Annotation{r.verdictAnnotation()}
	for _, p := range r.Overall.Problems {
		if text := p.Kind + ": " + p.Detail; text != r.Overall.Headline {
			out = append(out, Annotation{Level: "error", Title: "paceline " + r.Suite + ": " + p.Kind, Text: p.Detail})
		}
	}
	for _, l := range r.worstFirst() {
		v := l.Verdict
		a := Annotation{Level: "error", File: r.Source, Line: l.SourceLine, Title: l.name() + ": " + string(v.Kind), Text: v.Reason}
		switch v.Kind {
		case gate.Pass, gate.NoBaseline, gate.NotComparable:
			continue
		case gate.Warn:
			a.Level = "warning"
		case gate.Inconclusive:
			if r.Overall.Exit == gate.ExitOK { // somebody asked for it
				a.Level = "warning"
			}
		}
		if r.Source == "" {
			a.Line = 0
		}
		if can := l.canFail(); can != "" {
			a.Text += "; the gate " + can
		}
		out = append(out, a)
	}
	return out
}

func (r *Report) verdictAnnotation() Annotation {
	v := r.Overall
	a := Annotation{Level: "notice", Title: fmt.Sprintf("paceline %s: %s (exit %d)", r.Suite, strings.ToUpper(string(v.Kind)), v.Exit)}
	switch {
	case v.Exit != gate.ExitOK:
		a.Level = "error"
	case v.Kind == gate.Warn || v.Kind == gate.NotComparable:
		a.Level = "warning"
	}
	a.Text = v.Headline
	switch v.Kind {
	case gate.Pass, gate.NoBaseline, gate.NotComparable, gate.Cancelled:
	default:
		if r.explained(v.Headline) { // an annotation of its own says it
			a.Text = r.tally()
		}
	}
	for _, badge := range r.Badges {
		a.Text += " [" + badge + "]"
	}
	if r.PageURL != "" {
		a.Text += " · " + r.PageURL
	}
	return a
}

// github writes annotations as workflow commands.
func github(b *bytes.Buffer, r *Report, _ Options) error {
	b.Write(Commands(Annotations(r)))
	return nil
}

// Commands writes annotations as GitHub's workflow commands, one a line, which a job
// may write to either of its streams. Of more than ten of a level GitHub would show
// the first ten: the tenth says then how many there are more.
func Commands(as []Annotation) []byte {
	of := map[string]int{}
	for _, a := range as {
		of[a.Level]++
	}
	var b bytes.Buffer
	wrote := map[string]int{}
	for _, a := range as {
		n := wrote[a.Level]
		switch {
		case n == maxAnnotations:
			continue
		case n == maxAnnotations-1 && of[a.Level] > maxAnnotations:
			a = Annotation{
				Level: a.Level, Title: fmt.Sprintf("and %d more", of[a.Level]-n),
				Text: fmt.Sprintf("%d more of level %s: the job's summary and the other outputs have all of them", of[a.Level]-n, a.Level),
			}
		}
		wrote[a.Level]++
		a.write(&b)
	}
	return b.Bytes()
}

func (a Annotation) write(b *bytes.Buffer) {
	var props []string
	add := func(name, value string) {
		if value != "" && value != "0" {
			props = append(props, name+"="+escapeProperty(value))
		}
	}
	if a.File != "" {
		add("file", plain(a.File))
		add("line", strconv.Itoa(a.Line))
		if a.Line > 0 {
			add("col", strconv.Itoa(a.Col))
		}
	}
	add("title", clip(plain(a.Title), maxTitle))
	fmt.Fprintf(b, "::%s %s::%s\n", a.Level, strings.Join(props, ","), escapeData(clip(plain(a.Text), maxText)))
}

// Outputs writes what a GitHub step gives to later ones, in the form with a delimiter
// that any text may use. It is an error where a value has the delimiter in it, which
// nobody can have guessed: make another.
func Outputs(r *Report, delimiter string) ([]byte, error) {
	var b bytes.Buffer
	for _, o := range [][2]string{
		{"verdict", plain(string(r.Overall.Kind))},
		{"exit-code", strconv.Itoa(r.Overall.Exit)},
		{"run-id", plain(r.RunID)},
		{"headline", clip(plain(r.Overall.Headline), maxText)},
	} {
		if delimiter == "" || strings.ContainsAny(delimiter, "\r\n") || strings.Contains(o[1], delimiter) {
			return nil, fmt.Errorf("step output %s: the delimiter %q can't end it", o[0], delimiter)
		}
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", o[0], delimiter, o[1], delimiter)
	}
	return b.Bytes(), nil
}

// escapeData and escapeProperty follow GitHub's own toolkit.
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
