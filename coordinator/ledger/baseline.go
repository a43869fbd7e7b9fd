package ledger

import (
	"context"
	"time"
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

// Baselines keeps what people decide about levels. Which rounds join by themselves
// is decided with a run (Runs.Decide).
type Baselines interface {
	// Accept turns pending rounds into joined ones and earlier joined ones of the same
	// project, branch and suite into former ones; the audit log has it. ErrNotFound:
	// nothing is pending.
	Accept(ctx context.Context, a Acceptance) (Acceptance, error)
	// Acceptances lists them, newest first.
	Acceptances(ctx context.Context, project, branch string) ([]Acceptance, error)
	// Pin writes a pinned level; one of the same name, project and suite is replaced.
	Pin(ctx context.Context, p Pin) error
	// Pins lists the newest pin first; suite may be empty for all.
	Pins(ctx context.Context, project, suite string) ([]Pin, error)
	// PinnedValues gives the values of a series in the pinned runs.
	PinnedValues(ctx context.Context, p Pin, series string) ([]Value, error)
}
