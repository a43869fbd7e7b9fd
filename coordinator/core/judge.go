package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// VerdictMore is the verdict of a judgement that asked for more rounds.
const VerdictMore = "more"

// startApart is how far rounds of a subject that can't be restarted lie apart.
const startApart = time.Minute

// maxAsked bounds the rounds of one run, whatever its gates ask for.
const maxAsked = 30

// Input is what a judgement read, kept beside its report. The rules, baselines and
// rounds of each check stand in the verdicts themselves (gate.Replay).
type Input struct {
	Suite    string         `json:"suite_digest"`
	Base     string         `json:"base,omitempty"`   // branch whose level was read
	AsOf     time.Time      `json:"as_of,omitzero"`   // up to when; zero: all
	Rounds   []string       `json:"rounds,omitempty"` // ids, of the run
	Outcomes []gate.Outcome `json:"outcomes,omitempty"`
}

// judge decides a run whose attempts are over, or asks for more rounds. That
// somebody else was faster, or that the run isn't ready, is no error: the last
// attempt's end writes the task again.
func (c *Core) judge(ctx context.Context, id string) error {
	r, err := c.cfg.Ledger.Runs().Judge(ctx, id)
	if errors.Is(err, ledger.ErrState) || errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	suite, err := spec.Parse(r.Suite+".yml", []byte(r.SuiteText))
	if err != nil {
		return fmt.Errorf("judge run %s: its suite: %w", id, err)
	}
	attempts, err := c.cfg.Ledger.Attempts().OfRun(ctx, id)
	if err != nil {
		return err
	}
	rounds, err := c.cfg.Ledger.Rounds().OfRun(ctx, id)
	if err != nil {
		return err
	}
	problems := problemsOf(r, attempts, rounds)
	cmp, err := c.compare(ctx, r, suite, rounds)
	if err != nil {
		return fmt.Errorf("judge run %s: %w", id, err)
	}
	if retry := c.retry(ctx, &r, attempts); retry != nil {
		return c.more(ctx, r, cmp, attempts, retry, "an attempt was lost: another machine tries")
	}
	// Where something is broken, or no more can be run, nobody answers a need.
	if n, why := cmp.Need(); n > 0 && len(problems) == 0 && r.Rounds < maxAsked {
		return c.more(ctx, r, cmp, attempts, c.next(&r, attempts, rounds, n), why)
	}
	return c.decide(ctx, r, cmp, problems)
}

// problemsOf are the attempts that did not deliver what they were asked for.
func problemsOf(r ledger.Run, attempts []ledger.Attempt, rounds []ledger.Round) []gate.Problem {
	var ps []gate.Problem
	for i, a := range attempts {
		if retried(attempts[i+1:], a) {
			continue
		}
		if a.State == ledger.AttemptDone {
			if got := roundsOf(rounds, a.ID); got < a.Rounds {
				ps = append(ps, gate.Problem{Kind: "missing", Detail: fmt.Sprintf("attempt %s ended with %d of its %d rounds: see its log", a.ID, got, a.Rounds)})
			}
			continue
		}
		p := gate.Problem{Kind: string(a.State), Detail: "attempt " + a.ID + " is " + string(a.State)}
		if a.Problem != nil {
			p.Detail = a.Problem.Message
			p.Request = a.Problem.Class == wire.ClassRequest
			if p.Request {
				p.Kind = "request"
			}
		}
		ps = append(ps, p)
	}
	if p := identity(r, rounds); p != nil {
		ps = append(ps, *p)
	}
	return ps
}

func roundsOf(rounds []ledger.Round, attempt string) (n int) {
	for _, r := range rounds {
		if r.AttemptID == attempt {
			n++
		}
	}
	return n
}

// retried says whether a later attempt repeats the rounds of one that was lost.
func retried(later []ledger.Attempt, a ledger.Attempt) bool {
	if a.State != ledger.AttemptLost {
		return false
	}
	for _, b := range later {
		if b.FirstRound == a.FirstRound {
			return true
		}
	}
	return false
}

// identity compares the commit that a run claims with the revision that the measured
// binary carries.
func identity(r ledger.Run, rounds []ledger.Round) *gate.Problem {
	if r.Commit == "" || optionsOf(r).Against.OtherRepository {
		return nil
	}
	for _, x := range rounds {
		got := x.Subject.Revision
		if got == "" || strings.HasPrefix(got, r.Commit) || strings.HasPrefix(r.Commit, got) {
			continue
		}
		return &gate.Problem{Request: true, Kind: "identity", Detail: fmt.Sprintf(
			"the run claims commit %.12s, but the binary measured in round %d was built from %.12s: measure the build of that commit, or correct --commit",
			r.Commit, x.Index, got)}
	}
	return nil
}

// retry gives the attempts that repeat one which was lost on a machine, once, where
// there is another machine.
func (c *Core) retry(ctx context.Context, r *ledger.Run, attempts []ledger.Attempt) []ledger.Attempt {
	if len(attempts) == 0 {
		return nil
	}
	last := attempts[len(attempts)-1]
	if last.State != ledger.AttemptLost || last.Machine != "" {
		return nil
	}
	for _, a := range attempts[:len(attempts)-1] {
		if a.State == ledger.AttemptLost {
			return nil // a second one: no third try
		}
	}
	agents, err := c.cfg.Ledger.Agents().List(ctx)
	if err != nil {
		c.cfg.Log.Warn("lost attempt not repeated", "run", r.ID, "error", err)
		return nil
	}
	for _, a := range agents {
		if a.ID != last.Agent && !a.Caller && (a.State == ledger.AgentIdle || a.State == ledger.AgentBusy) {
			t := c.attemptOf(r, len(attempts)+1, last.FirstRound, last.Rounds)
			t.Avoid = []string{last.Agent}
			return []ledger.Attempt{t}
		}
	}
	return nil
}

// next gives the attempts that n more rounds take: one, or for a subject that can't
// be restarted one each, a minute apart.
func (c *Core) next(r *ledger.Run, attempts []ledger.Attempt, rounds []ledger.Round, n int) []ledger.Attempt {
	first := 1
	for _, a := range attempts {
		first = max(first, a.FirstRound+a.Rounds)
	}
	if !compare.StartBound(r.Subject) {
		t := c.attemptOf(r, len(attempts)+1, first, n)
		if len(rounds) > 0 && t.Machine == "" {
			t.Avoid = c.avoid(rounds[len(rounds)-1].Agent)
		}
		return []ledger.Attempt{t}
	}
	var out []ledger.Attempt
	at := c.cfg.Now().UTC()
	for i := range n {
		t := c.attemptOf(r, len(attempts)+1+i, first+i, 1)
		t.NotBefore = at.Add(time.Duration(i+1) * startApart)
		out = append(out, t)
	}
	return out
}

// avoid names the machine that measured last, so that more rounds go to another of
// the class where one takes them soon.
func (c *Core) avoid(agent string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	agents, err := c.cfg.Ledger.Agents().List(ctx)
	if err != nil {
		return nil
	}
	for _, a := range agents {
		if a.ID != agent && !a.Caller && a.State == ledger.AgentIdle {
			return []string{agent}
		}
	}
	return nil // a fleet of one doesn't wait for anybody
}

// more stores the judgement and queues attempts.
func (c *Core) more(ctx context.Context, r ledger.Run, cmp *comparison, attempts, next []ledger.Attempt, why string) error {
	j, err := c.judgement(r, cmp, gate.Run{Kind: VerdictMore, Headline: why})
	if err != nil {
		return err
	}
	c.cfg.Log.Info("more rounds", "run", r.ID, "attempts", len(next), "why", why)
	if err := c.cfg.Ledger.Runs().More(ctx, j, next); err != nil {
		return notOurs(err)
	}
	c.wake(ctx)
	return nil
}

// decide stores the verdict.
func (c *Core) decide(ctx context.Context, r ledger.Run, cmp *comparison, problems []gate.Problem) error {
	var o Options
	if len(r.Options) > 0 {
		if err := json.Unmarshal(r.Options, &o); err != nil {
			return fmt.Errorf("read options of run %s: %w", r.ID, err)
		}
	}
	verdicts, names := cmp.Verdicts()
	v := gate.Overall(verdicts, names, problems, gate.Options{Inconclusive: o.Inconclusive, RequireBaseline: o.RequireBaseline, Loosened: cmp.loosened})
	j, err := c.judgement(r, cmp, v)
	if err != nil {
		return err
	}
	c.cfg.Log.Info("run decided", "run", r.ID, "verdict", v.Kind, "exit", v.Exit)
	unknown := slices.ContainsFunc(cmp.Rounds, func(x result.Round) bool { return baseline.Unknown(x.Subject) })
	return notOurs(c.cfg.Ledger.Runs().Decide(ctx, j, ledger.Join(baseline.Joins(r.Lane, len(r.Faults) > 0, unknown, v.Kind)), nil))
}

// notOurs forgives that somebody else was faster.
func notOurs(err error) error {
	if errors.Is(err, ledger.ErrState) {
		return nil
	}
	return err
}
