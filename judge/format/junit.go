package format

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/judge/gate"
)

// JUnit's vocabulary: https://github.com/testmoapp/junitxml. GitLab knows a case by its
// class and name alone, so these must be the same in every run of a suite: no
// threshold, level or count stands in them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string           `xml:"name,attr"`
		Tests      int              `xml:"tests,attr"`
		Failures   int              `xml:"failures,attr"`
		Errors     int              `xml:"errors,attr"`
		Skipped    int              `xml:"skipped,attr"`
		Timestamp  string           `xml:"timestamp,attr,omitempty"`
		Properties *junitProperties `xml:"properties"`
		Cases      []junitCase      `xml:"testcase"`
	}
	junitProperties struct {
		List []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Failure *junitMessage `xml:"failure"`
		Error   *junitMessage `xml:"error"`
		Skipped *junitMessage `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit writes a case for each gated series and one for the run itself, which errors
// by what belongs to no series.
func junit(b *bytes.Buffer, r *Report, _ Options) error {
	class := "bench." + plain(r.Suite)
	s := junitSuite{Name: class, Properties: r.junitProperties()}
	if !r.Decided.IsZero() {
		s.Timestamp = r.Decided.UTC().Format(time.RFC3339)
	}
	s.Cases = append(s.Cases, r.runCase(class))
	for _, g := range r.series() {
		s.Cases = append(s.Cases, r.seriesCase(class, g))
	}
	unique(s.Cases)
	all := junitSuites{Name: "paceline"}
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	all.Tests, all.Failures, all.Errors, all.Skipped = s.Tests, s.Failures, s.Errors, s.Skipped
	all.Suites = []junitSuite{s}
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(b)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	b.WriteByte('\n')
	return nil
}

func (r *Report) junitProperties() *junitProperties {
	var ps junitProperties
	for _, p := range [][2]string{
		{"run", r.RunID},
		{"branch", r.Branch},
		{"commit", r.Commit},
		{"subject", r.Subject},
		{"machine", r.Machine},
		{"page", r.PageURL},
		{"repeat", r.Repeat},
		{"badges", strings.Join(r.Badges, "; ")},
		{"verdict", string(r.Overall.Kind)},
		{"exit", strconv.Itoa(r.Overall.Exit)},
	} {
		if p[1] != "" {
			ps.List = append(ps.List, junitProperty{p[0], plain(p[1])})
		}
	}
	return &ps
}

// runCase is the run itself. That a series failed is its own case's to say.
func (r *Report) runCase(class string) junitCase {
	c := junitCase{Class: class, Name: "run", File: plain(r.Source)}
	var wrong []string
	kind := ""
	for _, p := range r.Overall.Problems {
		if kind == "" {
			kind = p.Kind
		}
		wrong = append(wrong, p.Kind+": "+p.Detail)
	}
	// The exit code may have reasons that are no such problem: it was cancelled, a
	// baseline was required, or the report was made by a version that didn't keep them.
	switch r.Overall.Exit {
	case gate.ExitRequest, gate.ExitMachine, gate.ExitCancelled:
		if len(wrong) == 0 && !r.explained(r.Overall.Headline) {
			kind, wrong = string(r.Overall.Kind), []string{r.Overall.Headline}
			if r.Overall.Exit == gate.ExitMachine && r.Overall.Kind != gate.Error {
				kind = string(gate.Error)
			}
		}
	}
	text := append([]string{r.verdictLine()}, r.unexplained()...)
	if len(wrong) == 0 {
		c.Out = safeLines(append(text, r.marks()...))
		return c
	}
	c.Error = &junitMessage{Type: plain(kind), Message: plain(wrong[0]), Text: safeLines(slices.Concat(text, wrong[1:], r.marks()))}
	return c
}

// marks are what must be seen wherever a result is: GitLab shows no properties.
func (r *Report) marks() []string {
	var out []string
	for _, b := range r.Badges {
		out = append(out, "["+b+"]")
	}
	if r.PageURL != "" {
		out = append(out, "page: "+r.PageURL)
	}
	return out
}

// results of a case, the worst first.
const (
	caseFailed = iota
	caseErrored
	caseSkipped
	casePassed
)

func (r *Report) result(k gate.Kind) int {
	switch k {
	case gate.Fail:
		return caseFailed
	case gate.Pass, gate.Warn:
		return casePassed
	case gate.NoBaseline, gate.NotComparable:
		return caseSkipped
	case gate.Inconclusive:
		if r.undecidedFails() {
			return caseFailed
		}
		return caseSkipped
	}
	return caseErrored
}

// seriesCase is a series with all its rules: the worst of their results is the case's.
func (r *Report) seriesCase(class string, g gatedSeries) junitCase {
	first := g.lines[0]
	c := junitCase{Class: class + "." + plain(first.Workload), Name: g.caseName(), File: plain(r.Source)}
	lines := slices.Clone(g.lines)
	slices.SortStableFunc(lines, func(a, b *Line) int {
		if d := r.result(a.Verdict.Kind) - r.result(b.Verdict.Kind); d != 0 {
			return d
		}
		return urgency(a.Verdict.Kind) - urgency(b.Verdict.Kind)
	})
	worst := lines[0].Verdict
	var text []string
	for _, l := range lines {
		text = append(text, fmt.Sprintf("%s (%s): %s", l.Verdict.Kind, l.against(), l.Verdict.Reason))
		for _, s := range l.Verdict.Steps {
			text = append(text, "  "+s.Text)
		}
		if can := l.canFail(); can != "" {
			text = append(text, "  "+can)
		}
	}
	body := safeLines(append(text, r.marks()...))
	m := &junitMessage{Type: plain(string(worst.Kind)), Message: plain(worst.Reason), Text: body}
	switch r.result(worst.Kind) {
	case caseFailed:
		c.Failure = m
	case caseErrored:
		c.Error = m
	case caseSkipped:
		c.Skipped = m
	default:
		c.Out = body
	}
	return c
}

// caseName is "ttft.p50 [concurrency=8 isl=512]".
func (g gatedSeries) caseName() string {
	l := g.lines[0]
	var in []string
	for _, axis := range sortedKeys(l.Point) {
		in = append(in, plain(axis)+"="+plain(l.Point[axis]))
	}
	if c := g.class(); c != "" {
		in = append(in, "class="+c)
	}
	name := plain(string(l.Metric))
	if len(in) > 0 {
		name += " [" + strings.Join(in, " ") + "]"
	}
	return name
}

// against is what the rule of a line says, and of which level.
func (l *Line) against() string {
	text := l.Verdict.Rule.Limit()
	if name := l.Verdict.Baseline.Name; name != "" && l.Verdict.Rule.Relative() {
		text += " against " + plain(name)
	}
	return text
}

// unique numbers cases of one class and name, which a reader would take for one.
func unique(cases []junitCase) {
	seen := map[[2]string]int{}
	for i := range cases {
		c := &cases[i]
		key := [2]string{c.Class, c.Name}
		seen[key]++
		if n := seen[key]; n > 1 {
			c.Name = fmt.Sprintf("%s (%d)", c.Name, n)
		}
	}
}

func safeLines(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = plain(s)
	}
	return strings.Join(out, "\n")
}
