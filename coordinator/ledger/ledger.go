// Package ledger is the truth of a coordinator: runs, attempts, batches, rounds,
// baselines, tasks, events and the audit log, as interfaces by noun with the states
// they go through.
//
// Every method that writes is one transaction: it checks the state it starts from
// (compare-and-set), writes, and puts the tasks and events that follow from it into
// the same transaction. It returns once that is on disk. Implementations are
// subpackages (sqlite) and are held to ledgertest. What a verdict means is judge's;
// which machine gets which attempt is coordinator/place's; the protocol around these
// calls is coordinator/core's.
package ledger

import "errors"

// Ledger gives access by noun. Its methods may be called concurrently.
type Ledger interface {
	Runs() Runs
	Attempts() Attempts
	Agents() Agents
	Batches() Batches
	Rounds() Rounds
	Baselines() Baselines
	Tasks() Tasks
	Events() Events
	Audit() Audit
	// Close waits for writes in progress and releases the database.
	Close() error
}

// Errors that callers test for.
var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrState: the row is not in a state from which this step is possible; somebody
	// else was first, or the step came twice.
	ErrState = errors.New("state has changed")
	// ErrForeign: the attempt belongs to another agent.
	ErrForeign = errors.New("attempt belongs to another agent")
	// ErrExists: a row of that id is there already, with other contents.
	ErrExists = errors.New("exists already")
	// ErrInvalid: the argument contradicts itself or the rows it names.
	ErrInvalid = errors.New("invalid")
	// ErrFull: the disk is full; nothing was written, and what was there is safe.
	ErrFull = errors.New("disk full")
	// ErrReadOnly: the database can't be written.
	ErrReadOnly = errors.New("read-only")
	// ErrCorrupt: the database file is damaged or not a database.
	ErrCorrupt = errors.New("damaged database")
	// ErrClosed: the ledger is closed.
	ErrClosed = errors.New("ledger is closed")
)
