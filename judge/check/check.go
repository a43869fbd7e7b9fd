// Package check judges measurements that lie in files: a run's result file, or what
// another program wrote, against a level that may lie in files too.
//
// It gives the same verdicts as a run has, by the same gate. What differs is what a
// file leaves open: rules for what no suite describes, directions that nobody wrote
// down, and that no further round can be had. Reading files is bench/imports', the
// comparison itself judge/compare's.
package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// Check is measurements with the rules on them. Make it with New.
type Check struct {
	in       compare.Input // without levels
	foreign  bool          // not a result file of ours
	format   imports.Format
	problems []gate.Problem
	match    func(workload string, id metric.ID) bool // what is gated, of foreign files
}

// Level is what measurements are compared with.
type Level struct {
	Name   string // for people
	Levels compare.Levels
	Notes  []string // what to know about it
	Gone   []string // series that it has and the measurements don't
}

// New takes files as the rounds of one candidate. Its error is the caller's to mend:
// files that don't belong together, rules that fit nothing.
func New(docs []*imports.Document, rules Rules) (*Check, error) {
	if len(docs) == 0 {
		return nil, errors.New("there is nothing to judge")
	}
	first := docs[0]
	c := &Check{foreign: first.Foreign(), format: first.Format}
	c.in.Run, c.in.Sparse = first.Run, c.foreign
	if err := c.lay(docs); err != nil {
		return nil, err
	}
	if c.foreign {
		c.in.Fit, c.in.Unmet = fit, c.unmet
		return c, c.rules(docs, rules)
	}
	c.in.Unmet = c.unmet
	return c, c.suite(first, rules)
}

// lay puts the files' rounds one after the other.
func (c *Check) lay(docs []*imports.Document) error {
	seen := map[string]bool{}
	var ids []string
	for _, d := range docs {
		if err := sameKind(docs[0], d); err != nil {
			return err
		}
		if !d.Foreign() && seen[d.Run.ID] {
			return fmt.Errorf("run %s is given twice: give each file once", d.Run.ID)
		}
		seen[d.Run.ID] = true
		ids = append(ids, d.Run.ID)
		for _, r := range d.Rounds {
			r.Index = len(c.in.Rounds) + 1
			c.in.Rounds = append(c.in.Rounds, r)
		}
		c.problems = append(c.problems, problemsOf(d)...)
	}
	c.in.Run.ID = strings.Join(slices.Compact(ids), ", ")
	if c.foreign {
		c.in.Run.Subject.Model = c.in.Run.ID
	}
	return nil
}

// sameKind says why two files can't be rounds of one candidate.
func sameKind(a, b *imports.Document) error {
	switch {
	case a.Foreign() != b.Foreign() || a.Run.Subject.Target != b.Run.Subject.Target:
		return fmt.Errorf("%s is a %s of %s, %s a %s of %s: judge them one at a time",
			a.Name, a.Format, a.Run.Subject.Target, b.Name, b.Format, b.Run.Subject.Target)
	case a.Run.Suite != b.Run.Suite:
		return fmt.Errorf("%s is of suite %s, %s of suite %s: judge them one at a time", a.Name, a.Run.Suite, b.Name, b.Run.Suite)
	case a.Run.SuiteHash != b.Run.SuiteHash:
		return fmt.Errorf("%s and %s are of two versions of suite %s: judge them one at a time", a.Name, b.Name, a.Run.Suite)
	}
	return nil
}

// problemsOf is what a file says went wrong, which its values can't show.
func problemsOf(d *imports.Document) []gate.Problem {
	var ps []gate.Problem
	for _, f := range d.Failed {
		ps = append(ps, gate.Problem{Kind: "error", Detail: d.Name + " says: " + f})
	}
	if d.Foreign() {
		return ps
	}
	v := verdictOf(d)
	for _, p := range v.Problems {
		p.Detail = d.Name + ": " + p.Detail
		ps = append(ps, p)
	}
	if v.Kind == gate.Error && len(v.Problems) == 0 { // a file from before these were kept
		ps = append(ps, gate.Problem{Kind: "error", Request: v.Exit == gate.ExitRequest, Detail: d.Name + ": its run ended with an error: " + v.Headline})
	}
	if len(d.Rounds) == 0 && len(ps) == 0 {
		ps = append(ps, gate.Problem{Kind: "missing", Detail: d.Name + " has no rounds: its run was cancelled or is not over"})
	}
	return ps
}

// verdictOf is the verdict that a result file carries; zero where it has none.
func verdictOf(d *imports.Document) gate.Run {
	var rep struct {
		Overall gate.Run `json:"overall"`
	}
	b, err := json.Marshal(d.Verdict)
	if err != nil || json.Unmarshal(b, &rep) != nil {
		return gate.Run{} // another version's, of which nothing is known
	}
	return rep.Overall
}

// suite takes the rules of the suite inside of a result file.
func (c *Check) suite(d *imports.Document, rules Rules) error {
	s, err := spec.Parse(d.Run.Suite+".yml", []byte(d.Run.SuiteText))
	if err != nil {
		return fmt.Errorf("%s: its suite: %w", d.Name, err)
	}
	if len(rules.Better) > 0 {
		return fmt.Errorf("--better is for metrics that Paceline doesn't know: those of %s are in its table", d.Name)
	}
	cells, err := compare.Cells(s, d.Run.Subject.Target)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	if len(cells) == 0 {
		return fmt.Errorf("%s: its suite %s has no cell for target %s", d.Name, d.Run.Suite, d.Run.Subject.Target)
	}
	c.in.Cells = cells
	return rules.onSuite(c.in.Cells, c.in.Rounds)
}

// Judge compares with a level. Its error is that of reading the level.
func (c *Check) Judge(ctx context.Context, l Level, o gate.Options) (format.Report, error) {
	in := c.in
	in.Base, in.Levels = l.Name, worded{l.Levels, l.Name}
	cmp, err := compare.Compare(ctx, in)
	if err != nil {
		return format.Report{}, err
	}
	if len(l.Gone) > 0 {
		o.Loosened = append(o.Loosened, fmt.Sprintf("%s has what was not measured now: %s", l.Name, some(l.Gone)))
	}
	verdicts, names := cmp.Verdicts()
	rep := cmp.Report(gate.Overall(verdicts, names, c.problems, o))
	rep.Warnings = append(slices.Clone(l.Notes), rep.Warnings...)
	return rep, nil
}

// some names the first of a list.
func some(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// unmet says what to bring where more rounds are needed.
func (c *Check) unmet(have int, n gate.Need) string {
	all := have + n.Rounds
	switch {
	case !c.foreign:
		return fmt.Sprintf("%s: bring %s: measure with paceline run %s --rounds %d, or give check more result files of the same build",
			n.Why, more(n.Rounds), c.in.Run.Suite, all)
	case c.format == imports.GoBench:
		return fmt.Sprintf("%s: bring %s: go test -bench with -count=%d", n.Why, more(n.Rounds), all)
	}
	return fmt.Sprintf("%s: bring %s: %d values of the name in all", n.Why, more(n.Rounds), all)
}

func more(n int) string {
	if n == 1 {
		return "1 more round"
	}
	return fmt.Sprintf("%d more rounds", n)
}

// Against is the level of a baseline file.
func (c *Check) Against(name string, f *baseline.File) (Level, error) {
	if c.foreign {
		return Level{}, fmt.Errorf("%s is the baseline of suite %s, and what is judged is %s: give --baseline a file of the same kind", name, f.Suite, c.format)
	}
	if f.Suite != c.in.Run.Suite {
		return Level{}, fmt.Errorf("%s is the baseline of suite %s, and what is judged is of suite %s", name, f.Suite, c.in.Run.Suite)
	}
	// A run is never compared with itself.
	judged := map[string]bool{}
	for _, r := range c.in.Rounds {
		judged[r.RunID] = true
	}
	others := *f
	others.Runs = slices.DeleteFunc(slices.Clone(f.Runs), func(x baseline.FileRun) bool { return judged[x.Document.Run.ID] })
	return Level{Name: f.Name(), Levels: others.Levels()}, nil
}

// Runs are the ids of the runs that are judged; none where the files are not ours.
func (c *Check) Runs() []string {
	if c.foreign {
		return nil
	}
	ids := map[string]bool{}
	for _, r := range c.in.Rounds {
		ids[r.RunID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// Suite is the suite that is judged and its project; ok is false where the files are
// not ours.
func (c *Check) Suite() (project, suite string, ok bool) {
	return c.in.Run.Project, c.in.Run.Suite, !c.foreign
}
