// Package level is what people do with the levels that a ledger has: see them, pin
// and accept them, take them out as a file and in again.
//
// Which rounds are a level is judge/baseline's to say, and what joins is decided with
// a run, by coordinator/core. This package reads and writes a ledger and needs no
// agent, no bus and no listener: a command works with it on a data folder, and the API
// serves it.
package level

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
)

// ErrRequest is matched by errors whose cause is the request: exit 2.
var ErrRequest = errors.New("bad request")

// Limits of a request.
const (
	maxName   = 200  // bytes of a pin's name, a branch, a suite
	maxReason = 2000 // bytes
	maxRuns   = 100  // of a pin
)

// Store works on the levels of a ledger. Its methods may be called concurrently.
type Store struct {
	ledger  ledger.Ledger
	now     func() time.Time
	program string
}

// New makes a store over a ledger that its caller keeps open. program is the version
// that exported files name.
func New(l ledger.Ledger, now func() time.Time, program string) *Store {
	return &Store{ledger: l, now: now, program: program}
}

// requestError is an ErrRequest that says what is wrong and nothing else.
type requestError struct{ error }

func (e requestError) Is(target error) bool { return target == ErrRequest }
func (e requestError) Unwrap() error        { return e.error }

func bad(format string, args ...any) error { return requestError{fmt.Errorf(format, args...)} }

// List gives every branch and suite that has a level, or rounds that wait to be one.
func (s *Store) List(ctx context.Context) ([]baseline.Summary, error) {
	levels, err := s.ledger.Baselines().Levels(ctx)
	if err != nil {
		return nil, err
	}
	pins, err := s.ledger.Baselines().Pins(ctx, "", "")
	if err != nil {
		return nil, err
	}
	out := make([]baseline.Summary, 0, len(levels))
	for _, l := range levels {
		x := baseline.Summary{Project: l.Project, Branch: l.Branch, Suite: l.Suite, Rounds: l.Joined, Pending: l.Pending, Newest: l.Newest, Pins: []baseline.Pin{}}
		for _, p := range pins {
			if p.Project == l.Project && p.Suite == l.Suite {
				x.Pins = append(x.Pins, pinOf(p))
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func pinOf(p ledger.Pin) baseline.Pin {
	return baseline.Pin{Name: p.Name, Project: p.Project, Branch: p.Branch, Suite: p.Suite, Runs: p.Runs, Reason: p.Reason, By: p.By, At: p.At}
}

// choose finds the one level that is meant; fits says which levels come into
// question.
func (s *Store) choose(ctx context.Context, w baseline.Which, what string, fits func(ledger.Level) bool) (ledger.Level, error) {
	all, err := s.ledger.Baselines().Levels(ctx)
	if err != nil {
		return ledger.Level{}, err
	}
	var found, others []ledger.Level
	for _, l := range all {
		switch {
		case !fits(l) || l.Project != w.Project:
		case w.Branch != "" && l.Branch != w.Branch || w.Suite != "" && l.Suite != w.Suite:
			others = append(others, l)
		default:
			found = append(found, l)
		}
	}
	named := describe(w)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return ledger.Level{}, bad("there is more than one%s: %s: name the branch and the suite that you mean", named, list(found))
	case len(others) > 0:
		return ledger.Level{}, bad("no %s%s; there is: %s", what, named, list(others))
	}
	return ledger.Level{}, bad("no %s%s: runs of a base branch that are decided pass or warn make one", what, named)
}

func describe(w baseline.Which) string {
	var b strings.Builder
	for _, x := range []struct{ what, s string }{{"project", w.Project}, {"branch", w.Branch}, {"suite", w.Suite}} {
		if x.s != "" {
			fmt.Fprintf(&b, ", %s %s", x.what, x.s)
		}
	}
	return strings.Replace(b.String(), ",", " of", 1)
}

// list names levels for people, the first few.
func list(ls []ledger.Level) string {
	const most = 8
	var out []string
	for _, l := range ls[:min(len(ls), most)] {
		out = append(out, fmt.Sprintf("branch %s, suite %s", l.Branch, l.Suite))
	}
	if n := len(ls) - most; n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, "; ")
}

// Accept makes what is pending the level. Without a suite it is every suite of the
// branch in which something is pending.
func (s *Store) Accept(ctx context.Context, a baseline.Acceptance) (baseline.Acceptance, error) {
	if err := texts(field{"branch", a.Branch}, field{"suite", a.Suite}, field{"project", a.Project}); err != nil {
		return a, err
	}
	if err := reason(a.Reason); err != nil {
		return a, err
	}
	if a.Branch == "" {
		return a, bad("an acceptance names its branch")
	}
	done, err := s.ledger.Baselines().Accept(ctx, ledger.Acceptance{Project: a.Project, Branch: a.Branch, Suite: a.Suite, Reason: a.Reason, By: a.By})
	if errors.Is(err, ledger.ErrNotFound) {
		return a, bad("nothing waits for an acceptance%s: only rounds of a base branch that failed do", describe(baseline.Which{Project: a.Project, Branch: a.Branch, Suite: a.Suite}))
	}
	return acceptanceOf(done), err
}

func acceptanceOf(a ledger.Acceptance) baseline.Acceptance {
	return baseline.Acceptance{Project: a.Project, Branch: a.Branch, Suite: a.Suite, Reason: a.Reason, By: a.By, At: a.At, Rounds: a.Rounds}
}

// Pin names a level: that of the runs named, or of the branch as it is now. A pin of
// the same name and suite is replaced.
func (s *Store) Pin(ctx context.Context, p baseline.Pin) (baseline.Pin, error) {
	if err := texts(field{"name", p.Name}, field{"branch", p.Branch}, field{"suite", p.Suite}, field{"project", p.Project}); err != nil {
		return p, err
	}
	if err := reason(p.Reason); err != nil {
		return p, err
	}
	if p.Name == "" || strings.TrimSpace(p.Name) != p.Name {
		return p, bad("a pinned level needs a name, such as v1.2")
	}
	if len(p.Runs) > maxRuns {
		return p, bad("%d runs: at most %d make a pinned level", len(p.Runs), maxRuns)
	}
	if len(p.Runs) > 0 {
		for _, id := range p.Runs {
			r, err := s.ledger.Runs().Get(ctx, id)
			switch {
			case errors.Is(err, ledger.ErrNotFound):
				return p, bad("there is no run %s", id)
			case err != nil:
				return p, err
			case r.State != ledger.RunDecided:
				return p, bad("run %s is %s: only a decided run can be pinned", id, r.State)
			case p.Suite != "" && r.Suite != p.Suite:
				return p, bad("run %s is of suite %s, not %s", id, r.Suite, p.Suite)
			}
			p.Suite, p.Branch, p.Project = r.Suite, r.Branch, r.Project
		}
	} else {
		w, err := s.choose(ctx, baseline.Which{Project: p.Project, Branch: p.Branch, Suite: p.Suite}, "level", hasLevel)
		if err != nil {
			return p, err
		}
		p.Branch, p.Suite = w.Branch, w.Suite
		if p.Runs, err = s.levelRuns(ctx, w); err != nil {
			return p, err
		}
	}
	row := ledger.Pin{Name: p.Name, Project: p.Project, Branch: p.Branch, Suite: p.Suite, Runs: p.Runs, Reason: p.Reason, By: p.By}
	if err := s.ledger.Baselines().Pin(ctx, row); err != nil {
		return p, err
	}
	p.At = s.now().UTC()
	return p, nil
}

// Unpin removes a pinned level. Without a suite it is the only one of that name.
func (s *Store) Unpin(ctx context.Context, p baseline.Pin) error {
	if err := texts(field{"name", p.Name}, field{"suite", p.Suite}, field{"project", p.Project}); err != nil {
		return err
	}
	if len(p.Reason) > maxReason {
		return bad("a reason has at most %d bytes", maxReason)
	}
	pins, err := s.ledger.Baselines().Pins(ctx, p.Project, p.Suite)
	if err != nil {
		return err
	}
	var found []ledger.Pin
	var names []string
	for _, x := range pins {
		if x.Project != p.Project {
			continue
		}
		names = append(names, x.Name+" of suite "+x.Suite)
		if x.Name == p.Name {
			found = append(found, x)
		}
	}
	switch {
	case len(found) > 1:
		return bad("%s is pinned in more than one suite: name one with --suite", p.Name)
	case len(found) == 0 && len(names) == 0:
		return bad("nothing is pinned%s", describe(baseline.Which{Project: p.Project, Suite: p.Suite}))
	case len(found) == 0:
		return bad("nothing is pinned as %s; there is: %s", p.Name, strings.Join(names, "; "))
	}
	found[0].By, found[0].Reason = p.By, p.Reason
	return s.ledger.Baselines().Unpin(ctx, found[0])
}

func reason(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return bad("say why: the reason is kept in the audit log")
	case len(s) > maxReason || !utf8.ValidString(s):
		return bad("a reason has at most %d bytes of UTF-8", maxReason)
	}
	return nil
}

// field is a name given by a caller.
type field struct{ what, s string }

func texts(fs ...field) error {
	for _, f := range fs {
		if len(f.s) > maxName || !utf8.ValidString(f.s) || strings.ContainsFunc(f.s, unicode.IsControl) {
			return bad("%s %.40q: want at most %d bytes of UTF-8 without control characters", f.what, f.s, maxName)
		}
	}
	return nil
}

func hasLevel(l ledger.Level) bool { return l.Joined > 0 }

// Records are a project's values as judge/baseline takes them.
func Records(vs []ledger.Value, project string) []baseline.Record {
	var out []baseline.Record
	for _, v := range vs {
		if v.Project != project {
			continue
		}
		out = append(out, baseline.Record{
			RunID: v.Run, RoundID: v.Round, Machine: v.Machine, Branch: v.Branch, Lane: v.Lane, Faults: v.Faults, Valid: v.Valid,
			State: baseline.State(v.Join), At: v.At, CommitTime: v.CommitTime, Value: v.Value,
		})
	}
	return out
}

// Read is how many values of a series are read to find the last ten rounds of
// different runs and machines.
const Read = 200

// level is what a series has on a branch.
type level struct {
	series          ledger.Series
	joined, pending []baseline.Record
	commits         map[string]string // by run
}

// levels reads every series of a suite that has something on the branch.
func (s *Store) levels(ctx context.Context, w ledger.Level) ([]level, error) {
	all, err := s.ledger.Rounds().Series(ctx, ledger.SeriesFilter{Project: w.Project, Suite: w.Suite, Limit: 100_000})
	if err != nil {
		return nil, err
	}
	var out []level
	for _, x := range all {
		if x.Project != w.Project {
			continue
		}
		l := level{series: x, commits: map[string]string{}}
		for state, into := range map[ledger.Join]*[]baseline.Record{ledger.JoinBase: &l.joined, ledger.JoinPending: &l.pending} {
			vs, err := s.ledger.Rounds().Values(ctx, ledger.ValueFilter{Series: x.Digest, Branch: w.Branch, Joins: []ledger.Join{state}, Limit: Read})
			if err != nil {
				return nil, err
			}
			for _, v := range vs {
				l.commits[v.Run] = v.Commit
			}
			q := baseline.Query{Branch: w.Branch}
			if *into = baseline.Level(Records(vs, w.Project), q); state == ledger.JoinPending {
				*into = baseline.Waiting(Records(vs, w.Project), q)
			}
		}
		if len(l.joined)+len(l.pending) > 0 {
			out = append(out, l)
		}
	}
	return out, nil
}

// levelRuns are the runs that make the last ten rounds of every series.
func (s *Store) levelRuns(ctx context.Context, w ledger.Level) ([]string, error) {
	ls, err := s.levels(ctx, w)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range ls {
		for _, r := range l.joined {
			if !slices.Contains(out, r.RunID) {
				out = append(out, r.RunID)
			}
		}
	}
	return out, nil
}
