package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

// maxGroup is how many operations one transaction takes at most.
const maxGroup = 256

// op is one operation that waits for the writer.
type op struct {
	ctx context.Context
	f   func(*txn) error
	err chan error // buffered: the writer never waits for a caller
}

// txn is what an operation writes through.
type txn struct {
	ctx  context.Context
	tx   *sql.Tx
	now  time.Time
	last int64 // newest event id written
}

// write runs f in a transaction and returns when it is committed. A caller who goes
// away does not undo an operation that has begun.
func (l *Ledger) write(ctx context.Context, what string, f func(*txn) error) error {
	if l.readOnly {
		return fmt.Errorf("%s: %w", what, ledger.ErrReadOnly)
	}
	o := &op{ctx: ctx, f: f, err: make(chan error, 1)}
	select {
	case <-l.stop: // also where ops has room
		return fmt.Errorf("%s: %w", what, ledger.ErrClosed)
	default:
	}
	select {
	case l.ops <- o:
	case <-l.stop:
		return fmt.Errorf("%s: %w", what, ledger.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	select {
	case err := <-o.err:
		if err != nil {
			return fmt.Errorf("%s: %w", what, classify(err))
		}
		return nil
	case <-l.done:
		select {
		case err := <-o.err:
			if err == nil {
				return nil
			}
			return fmt.Errorf("%s: %w", what, classify(err))
		default:
			return fmt.Errorf("%s: %w", what, ledger.ErrClosed)
		}
	}
}

// writer owns the writing connection. It waits for an operation, takes all that wait
// besides, commits them together and answers. It ends with stop, after what waits.
func (l *Ledger) writer() {
	defer close(l.done)
	for {
		var first *op
		select {
		case first = <-l.ops:
		default:
			select {
			case first = <-l.ops:
			case <-l.stop:
				return
			}
		}
		group := []*op{first}
	more:
		for len(group) < maxGroup {
			select {
			case o := <-l.ops:
				group = append(group, o)
			default:
				break more
			}
		}
		l.commit(group)
	}
}

// commit runs a group in one transaction. An operation that fails is rolled back to
// its savepoint and answered with its error; a commit that fails fails them all.
func (l *Ledger) commit(group []*op) {
	ctx := context.Background()
	errs := make([]error, len(group))
	tx, err := l.writes.BeginTx(ctx, nil)
	if err != nil {
		answer(group, errs, fmt.Errorf("begin: %w", err))
		return
	}
	t := &txn{ctx: ctx, tx: tx, now: l.now().UTC()}
	for i, o := range group {
		if err := o.ctx.Err(); err != nil {
			errs[i] = err
			continue
		}
		last := t.last
		if _, err = tx.Exec(`SAVEPOINT op`); err != nil {
			break
		}
		if errs[i] = o.f(t); errs[i] != nil {
			t.last = last
			if _, err = tx.Exec(`ROLLBACK TO op`); err != nil {
				err = errors.Join(errs[i], err) // the database ended the transaction, as on a full disk
				break
			}
		}
		if _, err = tx.Exec(`RELEASE op`); err != nil {
			break
		}
	}
	if err != nil {
		tx.Rollback() //nolint:errcheck // already failing, and the database may have done it
		answer(group, errs, err)
		return
	}
	if err := tx.Commit(); err != nil {
		tx.Rollback() //nolint:errcheck // as above
		answer(group, errs, fmt.Errorf("commit: %w", err))
		return
	}
	if t.last > 0 {
		l.mu.Lock()
		l.last = t.last
		close(l.wake)
		l.wake = make(chan struct{})
		l.mu.Unlock()
	}
	answer(group, errs, nil)
}

// answer gives each operation its own error, or the group's.
func answer(group []*op, errs []error, err error) {
	for i, o := range group {
		if errs[i] != nil {
			o.err <- errs[i]
		} else {
			o.err <- err
		}
	}
}

// exec runs a statement and gives the number of rows it changed.
func (t *txn) exec(q string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(t.ctx, q, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// event appends to the log of changes.
func (t *txn) event(run, kind string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", kind, err)
	}
	r, err := t.tx.ExecContext(t.ctx, `INSERT INTO event (at_ns, run_id, kind, data) VALUES (?, ?, ?, ?)`, t.now.UnixNano(), run, kind, string(b))
	if err != nil {
		return err
	}
	t.last, err = r.LastInsertId()
	return err
}

// task writes a task, or brings forward the one that waits. A task being worked on
// becomes due again after that.
func (t *txn) task(n ledger.NewTask) error {
	due := n.Due
	if due.IsZero() {
		due = t.now
	}
	_, err := t.exec(`INSERT INTO task (kind, key, due_ns) VALUES (?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET due_ns = min(due_ns, excluded.due_ns), gen = gen + 1`, n.Kind, n.Key, due.UnixNano())
	return err
}
