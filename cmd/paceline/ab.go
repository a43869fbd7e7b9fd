package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/judge/check"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// firstPairs is how many pairs of rounds are measured before the gate is asked, which
// may want more.
const firstPairs = 3

// abRun measures two builds on this machine in one job, round by round in turns, and
// judges the second by the rounds of the first. A machine that changes from job to job
// has no history to compare with; the two sides of a pair share what it is like now.
type abRun struct {
	run     *runFlags
	subject *subjectFlags
	out     *outputFlags
	cmd     *cobra.Command

	local *local
	sides [2]abSide // base, head
}

// abSide is one of the two builds with what was measured of it.
type abSide struct {
	word, build string // "base", and the build as it was typed
	request     core.SubmitRequest
	doc         *imports.Document // rounds laid together; nil: none yet
	samples     []result.Sample
}

// check refuses what has no meaning beside --ab.
func (a *abRun) check(elsewhere bool) error {
	for _, x := range []struct {
		given bool
		flag  string
		why   string
	}{
		{elsewhere, "--coordinator", "both builds are measured and judged here"},
		{a.run.against.baseline != "", "--baseline", "HEAD is compared with the rounds of BASE"},
		{a.run.baseRef != "" || a.run.branch != "", "--branch and --base-ref", "HEAD is compared with the rounds of BASE"},
		{a.subject.build != "", "--build", "the builds are BASE and HEAD"},
		{a.subject.url != "", "--url", "a server that runs already is one build, and two are compared"},
	} {
		if x.given {
			return fail(exitRequest, "%s and --ab don't go together: %s", x.flag, x.why)
		}
	}
	return nil
}

// do measures and judges. The end of ctx cancels.
func (a *abRun) do(ctx context.Context, suite, base, head string) (err error) {
	dir, err := os.MkdirTemp("", "paceline-ab-*")
	if err != nil {
		return fail(exitMachine, "make a folder for the two builds' results: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config, err := a.prepare(ctx, suite, base, head)
	if err != nil {
		return err
	}
	a.local, err = openLocal(ctx, localOptions{
		data: dir, owner: datadir.Owner{PID: os.Getpid(), Command: "run --ab", Since: now()}, config: config, log: a.out.logger(a.cmd),
	})
	if err != nil {
		return err
	}
	defer a.local.close()
	want := max(firstPairs, a.run.rounds)
	for pair := 1; pair <= want; pair++ {
		for _, side := range turns(pair) {
			if err := a.round(ctx, &a.sides[side], pair, want); err != nil {
				return a.out.ended(a.cmd, nil, "", err)
			}
		}
		if pair < want {
			continue
		}
		rep, err := a.judge(ctx)
		if err != nil {
			return err
		}
		if n := needs(rep); n > 0 {
			want += n
			continue
		}
		return a.out.finish(a.cmd, abEvidence{a, rep}, rep.RunID, rep.Overall.Exit)
	}
	return fail(exitMachine, "no pair of rounds was measured")
}

// turns is the order of a pair's rounds: the two take turns at being first, so that
// what drifts while they are measured weighs on both alike.
func turns(pair int) [2]int {
	if pair%2 == 1 {
		return [2]int{0, 1}
	}
	return [2]int{1, 0}
}

// needs is how many more rounds the gates ask for; 0 when all have decided, or one has
// failed already.
func needs(rep format.Report) (n int) {
	for _, l := range rep.Lines {
		switch {
		case l.Verdict == nil:
		case l.Verdict.Kind == gate.Fail:
			return 0
		case l.Verdict.Need != nil:
			n = max(n, l.Verdict.Need.Rounds)
		}
	}
	return n
}

// prepare makes both requests, and the configuration that has both builds.
func (a *abRun) prepare(ctx context.Context, suite, base, head string) (agentConfig, error) {
	a.run.against.git = gitNo // the builds are what is compared, whatever is checked out here
	var both agentConfig
	for i, x := range []struct{ word, build string }{{"base", base}, {"head", head}} {
		q, err := a.run.request(ctx, suite)
		if err != nil {
			return both, err
		}
		subject := *a.subject
		subject.build = x.build
		config, err := subject.apply(ctx, a.run.data, false, &q, a.cmd.ErrOrStderr())
		if err != nil {
			return both, of(x.word, err)
		}
		if i == 0 {
			both = config
			q.Faults = nil // a planted defect is the head's
		} else {
			maps.Copy(both.subjects.Binaries, config.subjects.Binaries)
		}
		q.Rounds, q.Lane, q.Branch, q.BaseRef, q.Commit, q.Parent = 1, result.LaneCandidate, x.word, "base", "", ""
		a.sides[i] = abSide{word: x.word, build: x.build, request: q}
	}
	if b, h := a.sides[0].request.Subject.Build, a.sides[1].request.Subject.Build; b == h {
		fmt.Fprintf(a.cmd.ErrOrStderr(), "base and head are the same build (%s): what is found is this machine's noise\n", b)
	}
	return both, nil
}

// of says which of the two an error is about.
func of(side string, err error) error {
	var exit *exitError
	if errors.As(err, &exit) && exit.err != nil {
		return fail(exit.code, "%s: %w", side, exit.err)
	}
	return err
}

// round measures one start of a side.
func (a *abRun) round(ctx context.Context, s *abSide, pair, pairs int) error {
	d := a.out.display(a.cmd)
	d.line("pair %d of %d: %s (%s)", pair, pairs, s.word, s.build)
	run, err := a.local.measure(ctx, s.request, d)
	if err != nil {
		return err
	}
	doc, err := a.local.core.Document(ctx, run.ID)
	if err != nil {
		return fail(exitMachine, "read what was measured of %s: %w", s.word, err)
	}
	if run.Exit == exitRequest || run.Exit == exitMachine {
		return fail(run.Exit, "%s (%s): %s", s.word, s.build, headline(doc))
	}
	return s.add(ctx, a.local.core, doc)
}

// headline is the first line of a document's verdict.
func headline(doc result.Document) string {
	if rep, ok := doc.Verdict.(format.Report); ok {
		return rep.Overall.Headline
	}
	return "it could not be measured"
}

// add lays a run's rounds behind those that are there.
func (s *abSide) add(ctx context.Context, c *core.Core, doc result.Document) error {
	run := doc.Run.ID
	if s.doc == nil {
		first := doc
		first.Rounds, first.Verdict = nil, nil
		s.doc = &imports.Document{Document: first, Format: imports.Result, Name: s.word + " (" + s.build + ")"}
	}
	from := len(s.doc.Rounds)
	for _, r := range doc.Rounds {
		r.RunID, r.Index = s.doc.Run.ID, from+r.Index
		s.doc.Rounds = append(s.doc.Rounds, r)
	}
	err := c.Samples(ctx, run, func(x result.Sample) error {
		x.Round += from
		s.samples = append(s.samples, x)
		return nil
	})
	if err != nil {
		return fail(exitMachine, "read the samples of %s: %w", s.word, err)
	}
	return nil
}

// judge compares what there is.
func (a *abRun) judge(ctx context.Context) (format.Report, error) {
	base, head := a.sides[0], a.sides[1]
	c, err := check.New([]*imports.Document{head.doc}, check.Rules{})
	if err != nil {
		return format.Report{}, fail(exitMachine, "judge the two builds: %w", err)
	}
	level, err := c.Documents([]*imports.Document{base.doc})
	if err != nil {
		return format.Report{}, fail(exitMachine, "judge the two builds: %w", err)
	}
	rep, err := c.Judge(ctx, level, gate.Options{Inconclusive: a.run.inconclusive, RequireBaseline: a.run.requireBaseline})
	if err != nil {
		return format.Report{}, fail(exitMachine, "judge the two builds: %w", err)
	}
	rep.Decided, rep.Commit = now().UTC(), a.run.commit
	rep.Repeat = a.repeat()
	return rep, nil
}

// repeat is a command that measures the same again.
func (a *abRun) repeat() string {
	words := a.run.repeat(a.out.suite) + " --ab " + quoteWord(a.sides[0].build) + " " + quoteWord(a.sides[1].build)
	for _, x := range a.subject.arguments() {
		words += " " + x
	}
	return words
}

// abEvidence is what the two builds' comparison can show: the head's rounds, and the
// verdict on them.
type abEvidence struct {
	run *abRun
	rep format.Report
}

// Report implements evidence.
func (e abEvidence) Report(context.Context, string) (format.Report, error) { return e.rep, nil }

// Document implements evidence.
func (e abEvidence) Document(context.Context, string) (result.Document, error) {
	doc := e.run.sides[1].doc.Document
	doc.Run.Repeat, doc.Verdict = e.rep.Repeat, e.rep
	return doc, nil
}

// Samples implements evidence.
func (e abEvidence) Samples(_ context.Context, _ string, f func(result.Sample) error) error {
	for _, s := range e.run.sides[1].samples {
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

var _ evidence = abEvidence{}
