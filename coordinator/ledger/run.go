package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// RunState is where a run stands: open → judging ⇄ more → decided | cancelled.
type RunState string

// States of a run.
const (
	RunOpen      RunState = "open"    // its first attempts are not all over
	RunJudging   RunState = "judging" // somebody is deciding
	RunMore      RunState = "more"    // the gate asked for more rounds, which are being run
	RunDecided   RunState = "decided" // terminal
	RunCancelled RunState = "cancelled"
)

// Terminal says whether the state is final.
func (s RunState) Terminal() bool { return s == RunDecided || s == RunCancelled }

// Run is a suite asked for, and where it stands.
type Run struct {
	result.Run
	Seq       int64           `json:"seq"` // order of submission, 1…
	State     RunState        `json:"state"`
	Rounds    int             `json:"rounds_asked"`     // over all attempts so far
	Faults    []string        `json:"faults,omitempty"` // planted defects: never joins a baseline
	Options   json.RawMessage `json:"options,omitempty"`
	Reason    string          `json:"reason,omitempty"`  // of a cancellation
	Verdict   string          `json:"verdict,omitempty"` // of a decided run
	Exit      int             `json:"exit"`              // exit code of a decided or cancelled run
	DecidedAt time.Time       `json:"decided_at,omitzero"`
}

// RunFilter chooses runs; zero fields choose all.
type RunFilter struct {
	Project, Suite, Branch, Commit string
	Lane                           result.Lane
	States                         []RunState
	Before                         int64 // runs with Seq < Before; 0: from the newest
	Limit                          int   // 0: 100; at most 1000
}

// Judgement is one pass of the judge over a run, kept so that it can be replayed.
type Judgement struct {
	Run     string          `json:"run"`
	Pass    int             `json:"pass"` // 1…
	At      time.Time       `json:"at"`
	Verdict string          `json:"verdict"` // "more", or the run's verdict
	Exit    int             `json:"exit"`
	Input   json.RawMessage `json:"input"`  // what was read: rules, baseline, rounds
	Report  json.RawMessage `json:"report"` // what came out
}

// Runs keeps runs.
type Runs interface {
	// Create writes a run with its first attempts. ErrExists: the id is taken.
	Create(ctx context.Context, r Run, attempts []Attempt) error
	// Get reads a run. ErrNotFound.
	Get(ctx context.Context, id string) (Run, error)
	// List gives runs, newest first.
	List(ctx context.Context, f RunFilter) ([]Run, error)
	// Judge moves open, more or judging to judging. ErrState: the run is terminal,
	// or an attempt of it is not over.
	Judge(ctx context.Context, id string) (Run, error)
	// More moves judging to more: stores the judgement and adds attempts.
	More(ctx context.Context, j Judgement, attempts []Attempt) error
	// Decide moves judging to decided: stores the judgement, marks the run's rounds
	// with how they relate to the baseline, and writes tasks that follow.
	Decide(ctx context.Context, j Judgement, join Join, tasks []NewTask) error
	// Cancel moves any state that is not terminal to cancelled, with queued attempts;
	// attempts on a machine are told at their next message. Repeating it is harmless.
	// The run comes back as it is then. ErrState: it was decided before.
	Cancel(ctx context.Context, id, reason string) (Run, error)
	// Judgements gives every pass over a run in order.
	Judgements(ctx context.Context, id string) ([]Judgement, error)
}
