package ledger

import (
	"context"
	"encoding/json"
	"time"
)

// Kinds of tasks.
const (
	TaskJudge  = "judge"  // key: run
	TaskExport = "export" // key: run; waits where no series store is configured
)

// NewTask is a task to be written.
type NewTask struct {
	Kind, Key string
	Due       time.Time // zero: at once
}

// Task is something to be done later, by any coordinator. Doing it twice must be
// harmless: effects are compare-and-set.
type Task struct {
	Kind  string
	Key   string
	Due   time.Time
	Tries int   // how often it was claimed before
	Gen   int64 // changes when the task is written again
}

// Tasks keeps tasks. They are written by the transactions that cause them.
type Tasks interface {
	// Add writes a task; one of the same kind and key that waits is brought forward.
	Add(ctx context.Context, t NewTask) error
	// Claim leases the task that has been due longest; ok is false where none is.
	Claim(ctx context.Context, kinds []string, lease time.Duration) (t Task, ok bool, err error)
	// Done removes the task, unless it was written again since: then it is due.
	Done(ctx context.Context, t Task) error
	// Later gives the task back, due then, with the problem that delays it.
	Later(ctx context.Context, t Task, due time.Time, problem string) error
	// Count gives how many tasks of a kind wait, and since when the oldest is due.
	Count(ctx context.Context, kind string) (n int, oldest time.Time, err error)
}

// Event is a change that a page may want to know. Ids rise in order of commit.
type Event struct {
	ID   int64           `json:"id"`
	At   time.Time       `json:"at"`
	Run  string          `json:"run,omitempty"`
	Kind string          `json:"kind"` // "run.created", "attempt.leased", "round", …
	Data json.RawMessage `json:"data,omitempty"`
}

// Events reads the log of changes.
type Events interface {
	// After gives events with an id above the cursor, oldest first, of one run or, if
	// run is empty, of all; at most limit (0: 1000).
	After(ctx context.Context, cursor int64, run string, limit int) ([]Event, error)
	// Last gives the newest id, 0 if there is none.
	Last(ctx context.Context) (int64, error)
	// Wait returns once an event with an id above the cursor exists.
	Wait(ctx context.Context, cursor int64) error
}

// AuditEntry is an act of a person or a program with rights.
type AuditEntry struct {
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Action string    `json:"action"`
	Object string    `json:"object"`
	Detail string    `json:"detail,omitempty"`
}

// Audit keeps the audit log.
type Audit interface {
	// Add writes an entry; At is the ledger's.
	Add(ctx context.Context, e AuditEntry) error
	// List gives entries, newest first, at most limit (0: 100).
	List(ctx context.Context, limit int) ([]AuditEntry, error)
}
