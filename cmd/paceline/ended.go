package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites"
	"github.com/paceline/paceline/suites/spec"
)

// telling makes a command whose errors reach the files and the CI job too: a job that
// reads a report must find in it that there was no run, not an older report.
func (o *outputFlags) telling(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if err == nil || o.told || !o.ready || o.suite == "" {
			return err
		}
		return o.ended(cmd, nil, "", err)
	}
}

// ended tells of a run without a verdict: cancelled, refused, or one of which nobody
// knows how it ended. e may be nil, and run empty, where there is no run. It gives err
// back, with what couldn't be written.
func (o *outputFlags) ended(cmd *cobra.Command, e evidence, run string, err error) error {
	if !o.ready {
		return err
	}
	code := exitRequest
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	rep := format.Report{Suite: o.suiteName(), RunID: run, Lines: []format.Line{}}
	if e != nil && run != "" {
		// What was found so far, from a context that may have ended to cancel the run.
		ctx, stop := context.WithTimeout(context.WithoutCancel(cmd.Context()), 10*time.Second)
		defer stop()
		if known, rerr := e.Report(ctx, run); rerr == nil {
			rep = known
		}
	}
	if code != exitCancelled || rep.Overall.Kind != gate.Cancelled {
		rep.Overall = verdictOf(code, err)
	}
	if errs := o.deliver(cmd, &rep, err); len(errs) > 0 {
		return fail(code, "%w\nnot everything could be written:\n%w", err, indented(errs))
	}
	return err
}

// verdictOf is the verdict of a command that ended without one.
func verdictOf(code int, err error) gate.Run {
	v := gate.Run{Kind: gate.Error, Exit: code, Headline: err.Error()}
	p := gate.Problem{Kind: "error", Detail: v.Headline}
	switch code {
	case exitCancelled:
		v.Kind = gate.Cancelled
		return v
	case exitRequest:
		p.Request, p.Kind = true, "request"
	}
	details := []string{p.Detail}
	var problems spec.Problems
	if errors.As(err, &problems) {
		details = nil
		for _, q := range problems {
			details = append(details, q.String())
		}
	}
	for i, d := range details {
		p.Detail = d
		v.Problems = append(v.Problems, p)
		if i > 0 {
			v.Also = append(v.Also, p.Kind+": "+d)
		}
	}
	v.Headline = p.Kind + ": " + details[0]
	return v
}

// suiteName is the suite's own name, or what its file is called where it can't be read.
// Files that are checked without one have a name in its place.
func (o *outputFlags) suiteName() string {
	if o.suite == "" {
		return imports.Suite
	}
	if s, err := suites.Open(o.suite); err == nil {
		return s.Name
	}
	base := filepath.Base(o.suite)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// locate says where in the repository each rule of the report stands. Shipped suites
// stand in none.
func (o *outputFlags) locate(rep *format.Report, job githubJob) {
	if _, shipped := suites.Source(o.suite); shipped || o.suite == "" {
		return
	}
	if rep.Source = job.repositoryPath(o.suite); rep.Source == "" {
		return
	}
	src, err := os.ReadFile(o.suite)
	if err != nil {
		return // it was there a moment ago; nothing of the verdict depends on it
	}
	s, lines, err := spec.ParseLines(o.suite, src)
	if err != nil {
		return
	}
	for i := range rep.Lines {
		l := &rep.Lines[i]
		for j, w := range s.Workloads {
			if w.Name != l.Workload {
				continue
			}
			l.SourceLine = lines[j].Workload
			for k, g := range w.Gates {
				if l.Verdict != nil && sameRule(g, l.Verdict.Rule) {
					l.SourceLine = lines[j].Gates[k]
				}
			}
		}
	}
}

// sameRule says whether a verdict was found by a suite's gate.
func sameRule(g spec.Gate, r gate.Rule) bool {
	text := func(limits ...*float64) (s string) {
		for _, l := range limits {
			if l == nil {
				s += " -"
			} else {
				s += fmt.Sprint(" ", *l)
			}
		}
		return s
	}
	return g.Metric == r.Metric && string(g.Severity) == string(r.Severity) &&
		text(g.MaxDrop, g.MaxRise, g.MaxRatio, g.Min, g.Max) == text(r.MaxDrop, r.MaxRise, r.MaxRatio, r.Min, r.Max)
}
