package ledger

import (
	"context"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// Acceptance makes pending rounds of a branch its level.
type Acceptance struct {
	Project string    `json:"project,omitempty"`
	Branch  string    `json:"branch"`
	Suite   string    `json:"suite"` // empty: every suite
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Rounds  int       `json:"rounds"` // made the level
}

// Pin names a release's rounds, with which every gate also compares.
type Pin struct {
	Name    string    `json:"name"`
	Project string    `json:"project,omitempty"`
	Branch  string    `json:"branch"`
	Suite   string    `json:"suite"`
	Runs    []string  `json:"runs"` // whose valid rounds are the level
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Level is what a branch has of one suite, in figures.
type Level struct {
	Project string    `json:"project,omitempty"`
	Branch  string    `json:"branch"`
	Suite   string    `json:"suite"`
	Joined  int       `json:"joined"`  // rounds that are part of the level; a gate reads the last ten
	Pending int       `json:"pending"` // rounds that wait for an acceptance
	Newest  time.Time `json:"newest"`  // of these rounds
}

// ImportedRun is a decided run that was measured and judged elsewhere.
type ImportedRun struct {
	Run     result.Run
	Rounds  []result.Round
	Verdict string
	Exit    int
	Report  []byte // JSON, of the judgement that is stored with it
}

// Import is what is taken into a ledger from outside.
type Import struct {
	Runs []ImportedRun // oldest first
	By   string
	From string // what it came from, for the audit log
}

// Imported is what became of an import.
type Imported struct {
	Runs   int `json:"runs"`   // new ones
	Rounds int `json:"rounds"` // of these, joined
	Known  int `json:"known"`  // runs that were there already, with the same contents
}

// ImportAgent is the id and name of the agent to which imported rounds belong. It is
// retired: nothing is ever leased to it.
const ImportAgent = "imported"

// Baselines keeps what people decide about levels. Which rounds join by themselves
// is decided with a run (Runs.Decide).
type Baselines interface {
	// Levels gives every branch and suite that has joined or pending rounds, by
	// project, branch and suite.
	Levels(ctx context.Context) ([]Level, error)
	// Accept turns pending rounds into joined ones and earlier joined ones of the same
	// project, branch and suite into former ones; the audit log has it. ErrNotFound:
	// nothing is pending.
	Accept(ctx context.Context, a Acceptance) (Acceptance, error)
	// Acceptances lists them, newest first.
	Acceptances(ctx context.Context, project, branch string) ([]Acceptance, error)
	// Pin writes a pinned level; one of the same name, project and suite is replaced.
	Pin(ctx context.Context, p Pin) error
	// Unpin removes a pinned level; the audit log has it. ErrNotFound.
	Unpin(ctx context.Context, p Pin) error
	// Pins lists the newest pin first; suite may be empty for all.
	Pins(ctx context.Context, project, suite string) ([]Pin, error)
	// PinnedValues gives the values of a series in the pinned runs.
	PinnedValues(ctx context.Context, p Pin, series string) ([]Value, error)
	// Import writes runs as decided ones with their valid rounds joined, all in one
	// transaction, with task export(run) and an entry of the audit log. A round's time is
	// when it ended. A run that is there already with the same contents is left as it is,
	// whatever became of its rounds. ErrExists: a run, attempt or round of that id is
	// there with other contents. ErrInvalid.
	Import(ctx context.Context, in Import) (Imported, error)
	// Keep stores what came with a submission and gives its digest, the SHA-256 in
	// hexadecimal digits. Keeping the same again is harmless.
	Keep(ctx context.Context, body []byte) (digest string, err error)
	// Kept reads what Keep stored. ErrNotFound.
	Kept(ctx context.Context, digest string) ([]byte, error)
}
