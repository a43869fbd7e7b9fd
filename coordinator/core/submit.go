package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/place"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites/spec"
)

// Limits of a request.
const (
	maxRounds = 100
	maxName   = 200 // bytes of branch, commit, project and the like
)

// SubmitRequest asks for a run.
type SubmitRequest struct {
	Suite     string            `json:"suite"`                // YAML
	SuiteFile string            `json:"suite_file,omitempty"` // its name, for messages
	Subject   result.Subject    `json:"subject"`              // empty fields: the suite's first target and model, build "self"
	Rounds    int               `json:"rounds,omitempty"`     // of the first attempt; 0: the suite's
	Project   string            `json:"project,omitempty"`
	Branch    string            `json:"branch,omitempty"` // empty: "local"
	Commit    string            `json:"commit,omitempty"`
	Parent    string            `json:"parent,omitempty"`
	Time      time.Time         `json:"commit_time,omitzero"`
	BaseRef   string            `json:"base_ref,omitempty"` // branch that a candidate is compared with, or a commit measured there
	Lane      result.Lane       `json:"lane,omitempty"`     // empty: local without a branch, else base
	Faults    []string          `json:"faults,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`  // a machine must have all of them
	Machine   string            `json:"machine,omitempty"` // name of the one that is to measure
	QueueFor  time.Duration     `json:"queue_for_ns,omitempty"`
	CreatedBy string            `json:"created_by,omitempty"`
	Repeat    string            `json:"repeat,omitempty"` // a command that repeats the run
	Options   Options           `json:"options,omitzero"`

	Given // with what it is compared, as far as its caller knows
}

// Options are kept with a run and used when it is judged.
type Options struct {
	RequireBaseline bool              `json:"require_baseline,omitempty"`
	Inconclusive    string            `json:"inconclusive,omitempty"` // "", "pass" or "fail"
	Labels          map[string]string `json:"labels,omitempty"`
	Machine         string            `json:"machine,omitempty"`
	QueueFor        time.Duration     `json:"queue_for_ns,omitempty"`
	Against         Against           `json:"against,omitzero"`
}

// LocalBranch is the branch of runs without git.
const LocalBranch = "local"

// Submit checks a request and queues it. Errors of the request wrap ErrRequest and
// name everything that is wrong.
func (c *Core) Submit(ctx context.Context, q SubmitRequest) (ledger.Run, error) {
	given, err := q.read()
	if err != nil {
		return ledger.Run{}, err
	}
	r, err := c.runOf(given.fill(q))
	if err != nil {
		return ledger.Run{}, err
	}
	if err := c.keep(ctx, &r, given); err != nil {
		return ledger.Run{}, err
	}
	if r.ID, err = c.newID(); err != nil {
		return ledger.Run{}, err
	}
	a := c.attemptOf(&r, 1, 1, r.Rounds)
	if err := c.cfg.Ledger.Runs().Create(ctx, r, []ledger.Attempt{a}); err != nil {
		return ledger.Run{}, fmt.Errorf("submit a run of suite %s: %w", r.Suite, err)
	}
	c.cfg.Log.Info("run submitted", "run", r.ID, "suite", r.Suite, "lane", r.Lane, "branch", r.Branch)
	c.wake(ctx)
	return c.cfg.Ledger.Runs().Get(ctx, r.ID)
}

// runOf is the run that a request asks for, without an id.
func (c *Core) runOf(q SubmitRequest) (ledger.Run, error) {
	name := q.SuiteFile
	if name == "" {
		name = "suite"
	}
	s, err := spec.Parse(name, []byte(q.Suite))
	if err != nil {
		return ledger.Run{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	q = q.filled(s)
	if err := q.check(s); err != nil {
		return ledger.Run{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	options, err := json.Marshal(q.Options)
	if err != nil {
		return ledger.Run{}, fmt.Errorf("encode options: %w", err)
	}
	return ledger.Run{
		Run: result.Run{
			Suite: s.Name, SuiteText: string(s.Resolved()), SuiteHash: s.Digest(), Project: q.Project, Branch: q.Branch, Commit: q.Commit,
			Parent: q.Parent, CommitTime: q.Time, BaseRef: q.BaseRef, Lane: q.Lane, Subject: q.Subject, Created: c.cfg.Now().UTC(),
			CreatedBy: q.CreatedBy, Repeat: q.Repeat,
		},
		State: ledger.RunOpen, Rounds: q.Rounds, Faults: q.Faults, Options: options,
	}, nil
}

// filled gives the request with its defaults.
func (q SubmitRequest) filled(s *spec.Suite) SubmitRequest {
	if q.Lane == "" {
		q.Lane = result.LaneBase
		if q.Branch == "" {
			q.Lane = result.LaneLocal
		}
	}
	if q.Branch == "" && q.Lane == result.LaneLocal {
		q.Branch = LocalBranch
	}
	if q.Subject.Target == "" && len(s.Targets) > 0 {
		q.Subject.Target = s.Targets[0]
	}
	if q.Subject.Build == "" {
		q.Subject.Build = "self"
	}
	if q.Subject.Model == "" {
		q.Subject.Model = s.Model
	}
	q.Subject.Flags = slices.Sorted(slices.Values(q.Subject.Flags))
	if q.Rounds == 0 {
		q.Rounds = max(1, s.Rounds)
	}
	q.Options.Labels, q.Options.Machine, q.Options.QueueFor = q.Labels, q.Machine, q.QueueFor
	return q
}

// check names everything that is wrong.
func (q SubmitRequest) check(s *spec.Suite) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch q.Lane {
	case result.LaneBase, result.LaneLocal:
	case result.LaneCandidate:
		if q.BaseRef == "" {
			wrong("a candidate needs base_ref: the branch that it is compared with")
		}
	default:
		wrong("unknown lane %q: want base, candidate or local", q.Lane)
	}
	if q.Branch == "" {
		wrong("a run of lane %s needs a branch", q.Lane)
	}
	if !slices.Contains(s.Targets, q.Subject.Target) {
		wrong("the suite has no target %q: it has %s", q.Subject.Target, strings.Join(s.Targets, ", "))
	}
	if q.Subject.Model == "" {
		wrong("no model: neither the request nor the suite names one")
	}
	if q.Rounds < 1 || q.Rounds > maxRounds {
		wrong("%d rounds are outside 1..%d", q.Rounds, maxRounds)
	}
	if !slices.Contains([]string{"", "pass", "fail"}, q.Options.Inconclusive) {
		wrong("inconclusive=%q: want pass or fail", q.Options.Inconclusive)
	}
	for _, f := range []struct{ what, s string }{
		{"project", q.Project},
		{"branch", q.Branch},
		{"commit", q.Commit},
		{"parent", q.Parent},
		{"base_ref", q.BaseRef},
		{"target", q.Subject.Target},
		{"build", q.Subject.Build},
		{"model", q.Subject.Model},
		{"machine", q.Machine},
		{"created_by", q.CreatedBy},
	} {
		if len(f.s) > maxName || !utf8.ValidString(f.s) || strings.ContainsFunc(f.s, func(r rune) bool { return unicode.IsControl(r) || r == '\\' }) {
			wrong("%s %.40q: want at most %d bytes of UTF-8 without control characters and backslashes", f.what, f.s, maxName)
		}
	}
	if len(q.Labels) > 32 || len(q.Faults) > 16 || len(q.Subject.Flags) > 64 || len(q.Repeat) > 8<<10 {
		wrong("too many labels (32), faults (16) or flags (64), or a repeat command over 8 KiB")
	}
	return errors.Join(errs...)
}

// attemptOf makes the n-th attempt of a run.
func (c *Core) attemptOf(r *ledger.Run, n, first, rounds int) ledger.Attempt {
	var o Options
	if len(r.Options) > 0 {
		if err := json.Unmarshal(r.Options, &o); err != nil {
			c.cfg.Log.Error("options of a run not read", "run", r.ID, "error", err)
		}
	}
	queueFor := c.cfg.QueueFor
	if o.QueueFor > 0 {
		queueFor = o.QueueFor
	}
	return ledger.Attempt{
		ID: attemptID(r.ID, n), Run: r.ID, State: ledger.AttemptQueued, FirstRound: first, Rounds: rounds, Device: place.KindCPU, Devices: 1,
		Labels: o.Labels, Machine: o.Machine, Expires: c.cfg.Now().UTC().Add(queueFor),
	}
}

// wake hints every agent that there is work. A hint may be lost: agents ask by
// themselves too.
func (c *Core) wake(ctx context.Context) {
	agents, err := c.cfg.Ledger.Agents().List(ctx)
	if err != nil {
		c.cfg.Log.Warn("agents not woken", "error", err)
		return
	}
	for _, a := range agents {
		if a.State == ledger.AgentRetired {
			continue
		}
		if err := c.cfg.Bus.Publish(ctx, wire.Ctl(a.ID), []byte(`{"wake":true}`)); err != nil {
			c.cfg.Log.Debug("agent not woken", "agent", a.ID, "error", err)
		}
	}
}

// Cancel ends a run. Agents that hold an attempt of it are told by their next
// message, at the latest by the next beat. Repeating it is harmless; ledger.ErrState
// says that the run was decided before.
func (c *Core) Cancel(ctx context.Context, run, reason string) (ledger.Run, error) {
	r, err := c.cfg.Ledger.Runs().Cancel(ctx, run, reason)
	if err != nil {
		return r, err
	}
	as, err := c.cfg.Ledger.Attempts().OfRun(ctx, run)
	if err != nil {
		return r, err
	}
	for _, a := range as {
		if a.State.Active() {
			if err := c.cfg.Bus.Publish(ctx, wire.Ctl(a.Agent), []byte(`{"stop":true}`)); err != nil {
				c.cfg.Log.Debug("agent not told to stop", "agent", a.Agent, "error", err)
			}
		}
	}
	return r, nil
}

// EnrolLocal makes the agent of the fleet of one, or finds it by its name.
func (c *Core) EnrolLocal(ctx context.Context, name string) (ledger.Agent, error) {
	id, err := c.newID()
	if err != nil {
		return ledger.Agent{}, err
	}
	return c.cfg.Ledger.Agents().Enrol(ctx, ledger.Agent{ID: id, Name: name, Local: true})
}
