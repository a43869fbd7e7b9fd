package format

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/judge/gate"
)

// JUnit's vocabulary: https://github.com/testmoapp/junitxml.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
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

// junit writes one test case a rule and one for the run itself, whose result agrees
// with the exit code whatever the rules say.
func junit(b *bytes.Buffer, r *Report, _ Options) error {
	s := junitSuite{Name: "paceline." + plain(r.Suite)}
	if !r.Decided.IsZero() {
		s.Timestamp = r.Decided.UTC().Format(time.RFC3339)
	}
	for _, p := range [][2]string{
		{"run", r.RunID},
		{"branch", r.Branch},
		{"commit", r.Commit},
		{"subject", r.Subject},
		{"machine", r.Machine},
		{"page", r.PageURL},
		{"repeat", r.Repeat},
		{"badges", strings.Join(r.Badges, "; ")},
		{"exit", strconv.Itoa(r.Overall.Exit)},
	} {
		if p[1] != "" {
			s.Properties = append(s.Properties, junitProperty{p[0], plain(p[1])})
		}
	}
	run := junitCase{Class: s.Name, Name: "run"}
	switch m := (&junitMessage{Type: string(r.Overall.Kind), Message: plain(r.Overall.Headline), Text: safeLines(r.Overall.Also)}); r.Overall.Exit {
	case gate.ExitOK:
		run.Out = plain(r.Overall.Headline)
	case gate.ExitFail:
		run.Failure = m
	default:
		run.Error = m
	}
	s.Cases = append(s.Cases, run)
	for _, l := range r.gated() {
		s.Cases = append(s.Cases, caseOf(s.Name, l, r.Overall.Exit))
	}
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
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(b)
	enc.Indent("", "  ")
	if err := enc.Encode(junitSuites{Suites: []junitSuite{s}}); err != nil {
		return err
	}
	b.WriteByte('\n')
	return nil
}

func caseOf(suite string, l *Line, exit int) junitCase {
	v := l.Verdict
	c := junitCase{Class: suite + "." + l.where(), Name: strings.TrimPrefix(l.name(), l.where()+" ") + " (" + v.Rule.Limit() + ")"}
	steps := make([]string, 0, len(v.Steps)+1)
	for _, s := range v.Steps {
		steps = append(steps, s.Text)
	}
	if can := l.canFail(); can != "" {
		steps = append(steps, can)
	}
	m := &junitMessage{Type: string(v.Kind), Message: plain(v.Reason), Text: safeLines(steps)}
	switch v.Kind {
	case gate.Pass:
		c.Out = plain(v.Reason)
	case gate.Warn:
		c.Out = "WARN: " + plain(v.Reason)
	case gate.Fail:
		c.Failure = m
	case gate.NoBaseline, gate.NotComparable:
		c.Skipped = m
	case gate.Inconclusive:
		if exit == gate.ExitOK { // somebody asked for it
			c.Skipped = m
		} else {
			c.Error = m
		}
	default:
		c.Error = m
	}
	return c
}

func safeLines(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = plain(s)
	}
	return strings.Join(out, "\n")
}

// github writes workflow commands, which GitHub shows as annotations: one a rule that
// is not fine, and the verdict.
func github(b *bytes.Buffer, r *Report, _ Options) error {
	annotate := func(level, title, text string) {
		fmt.Fprintf(b, "::%s title=%s::%s\n", level, escapeProperty(plain(title)), escapeData(plain(text)))
	}
	for _, l := range r.gated() {
		v := l.Verdict
		title := l.name() + " " + string(v.Kind)
		switch v.Kind {
		case gate.Pass:
		case gate.Warn:
			annotate("warning", title, v.Reason)
		case gate.NoBaseline, gate.NotComparable:
			annotate("notice", title, v.Reason)
		case gate.Inconclusive:
			if r.Overall.Exit == gate.ExitOK {
				annotate("warning", title, v.Reason)
			} else {
				annotate("error", title, v.Reason)
			}
		default:
			annotate("error", title, v.Reason)
		}
	}
	level := "notice"
	if r.Overall.Exit != gate.ExitOK {
		level = "error"
	}
	text := r.verdictLine()
	for _, badge := range r.Badges {
		text += " [" + badge + "]"
	}
	if r.PageURL != "" {
		text += " · " + r.PageURL
	}
	annotate(level, "paceline "+r.Suite, text)
	return nil
}

// escapeData and escapeProperty follow GitHub's own toolkit.
func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeData(s))
}
