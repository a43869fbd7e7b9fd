package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

type tasks struct{ l *Ledger }

// Add implements ledger.Tasks.
func (s tasks) Add(ctx context.Context, n ledger.NewTask) error {
	return s.l.write(ctx, "add task "+n.Kind+" "+n.Key, func(t *txn) error { return t.task(n) })
}

// Claim implements ledger.Tasks. It looks with a reader first, so that an idle
// coordinator writes nothing.
func (s tasks) Claim(ctx context.Context, kinds []string, lease time.Duration) (out ledger.Task, ok bool, err error) {
	var w where
	in(&w, "kind", kinds)
	now := s.l.now().UnixNano()
	w.add("due_ns <= ?", now)
	w.add("lease_ns <= ?", now)
	var due bool
	if err := s.l.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM task`+w.String()+`)`, w.args...).Scan(&due); err != nil {
		return out, false, fmt.Errorf("look for tasks: %w", classify(err))
	}
	if !due {
		return out, false, nil
	}
	err = s.l.write(ctx, "claim a task", func(t *txn) error {
		ok = false
		var dueNs int64
		err := t.tx.QueryRowContext(t.ctx, `SELECT kind, key, due_ns, tries, gen FROM task`+w.String()+` ORDER BY due_ns, kind, key LIMIT 1`, w.args...).
			Scan(&out.Kind, &out.Key, &dueNs, &out.Tries, &out.Gen)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // somebody was faster
		}
		if err != nil {
			return err
		}
		out.Due, ok = at(dueNs), true
		_, err = t.exec(`UPDATE task SET lease_ns = ?, tries = tries + 1 WHERE kind = ? AND key = ?`, t.now.Add(lease).UnixNano(), out.Kind, out.Key)
		return err
	})
	return out, ok && err == nil, err
}

// Done implements ledger.Tasks.
func (s tasks) Done(ctx context.Context, k ledger.Task) error {
	return s.l.write(ctx, "finish task "+k.Kind+" "+k.Key, func(t *txn) error {
		n, err := t.exec(`DELETE FROM task WHERE kind = ? AND key = ? AND gen = ?`, k.Kind, k.Key, k.Gen)
		if err != nil || n == 1 {
			return err
		}
		_, err = t.exec(`UPDATE task SET lease_ns = 0, tries = 0, problem = '' WHERE kind = ? AND key = ?`, k.Kind, k.Key)
		return err
	})
}

// Later implements ledger.Tasks.
func (s tasks) Later(ctx context.Context, k ledger.Task, due time.Time, problem string) error {
	return s.l.write(ctx, "put off task "+k.Kind+" "+k.Key, func(t *txn) error {
		// One that was written again since is due at once.
		_, err := t.exec(`UPDATE task SET lease_ns = 0, problem = ?, due_ns = CASE WHEN gen = ? THEN ? ELSE due_ns END WHERE kind = ? AND key = ?`,
			problem, k.Gen, due.UnixNano(), k.Kind, k.Key)
		return err
	})
}

// Count implements ledger.Tasks.
func (s tasks) Count(ctx context.Context, kind string) (n int, oldest time.Time, err error) {
	var due int64
	if err := s.l.reads.QueryRowContext(ctx, `SELECT count(*), coalesce(min(due_ns), 0) FROM task WHERE kind = ?`, kind).Scan(&n, &due); err != nil {
		return 0, time.Time{}, fmt.Errorf("count tasks: %w", classify(err))
	}
	return n, at(due), nil
}

type events struct{ l *Ledger }

// After implements ledger.Events.
func (s events) After(ctx context.Context, cursor int64, run string, limit int) ([]ledger.Event, error) {
	var w where
	w.add("id > ?", cursor)
	w.eq("run_id", run)
	rows, err := s.l.reads.QueryContext(ctx, `SELECT id, at_ns, run_id, kind, data FROM event`+w.String()+` ORDER BY id LIMIT ?`,
		append(w.args, bounded(limit, 1000, 10_000))...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Event
	for rows.Next() {
		var e ledger.Event
		var when int64
		var data string
		if err := rows.Scan(&e.ID, &when, &e.Run, &e.Kind, &data); err != nil {
			return nil, fmt.Errorf("read events: %w", classify(err))
		}
		e.At, e.Data = at(when), []byte(data)
		out = append(out, e)
	}
	return out, classify(rows.Err())
}

// Last implements ledger.Events.
func (s events) Last(context.Context) (int64, error) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	return s.l.last, nil
}

// Wait implements ledger.Events.
func (s events) Wait(ctx context.Context, cursor int64) error {
	for {
		s.l.mu.Lock()
		last, wake := s.l.last, s.l.wake
		s.l.mu.Unlock()
		if last > cursor {
			return nil
		}
		select {
		case <-wake:
		case <-s.l.stop:
			return fmt.Errorf("wait for events: %w", ledger.ErrClosed)
		case <-ctx.Done():
			return fmt.Errorf("wait for events: %w", ctx.Err())
		}
	}
}

type audit struct{ l *Ledger }

func (t *txn) audit(e ledger.AuditEntry) error {
	_, err := t.exec(`INSERT INTO audit (at_ns, who, action, object, detail) VALUES (?, ?, ?, ?, ?)`,
		t.now.UnixNano(), e.Who, e.Action, e.Object, e.Detail)
	return err
}

// Add implements ledger.Audit.
func (s audit) Add(ctx context.Context, e ledger.AuditEntry) error {
	return s.l.write(ctx, "write to the audit log", func(t *txn) error { return t.audit(e) })
}

// List implements ledger.Audit.
func (s audit) List(ctx context.Context, limit int) ([]ledger.AuditEntry, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT at_ns, who, action, object, detail FROM audit ORDER BY seq DESC LIMIT ?`, bounded(limit, 100, 10_000))
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.AuditEntry
	for rows.Next() {
		var e ledger.AuditEntry
		var when int64
		if err := rows.Scan(&when, &e.Who, &e.Action, &e.Object, &e.Detail); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", classify(err))
		}
		e.At = at(when)
		out = append(out, e)
	}
	return out, classify(rows.Err())
}
