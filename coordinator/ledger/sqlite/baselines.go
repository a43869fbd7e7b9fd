package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/coordinator/ledger"
)

type baselines struct{ l *Ledger }

// Accept implements ledger.Baselines.
func (s baselines) Accept(ctx context.Context, a ledger.Acceptance) (ledger.Acceptance, error) {
	err := s.l.write(ctx, "accept the level of branch "+a.Branch, func(t *txn) error {
		if a.Reason == "" || a.Branch == "" {
			return fmt.Errorf("an acceptance needs a branch and a reason: %w", ledger.ErrInvalid)
		}
		var w where
		w.add("branch = ?", a.Branch)
		w.add("project = ?", a.Project)
		w.eq("suite", a.Suite)
		// Earlier levels end only in suites where something is pending.
		if _, err := t.exec(`UPDATE round SET baseline = 'former'`+w.String()+` AND baseline = 'joined'
			AND suite IN (SELECT suite FROM round`+w.String()+` AND baseline = 'pending')`, append(w.args, w.args...)...); err != nil {
			return err
		}
		n, err := t.exec(`UPDATE round SET baseline = 'joined'`+w.String()+` AND baseline = 'pending'`, w.args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("no round of it is pending: %w", ledger.ErrNotFound)
		}
		a.At, a.Rounds = t.now, int(n)
		if _, err := t.exec(`INSERT INTO acceptance (project, branch, suite, reason, by_whom, at_ns, rounds) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			a.Project, a.Branch, a.Suite, a.Reason, a.By, t.now.UnixNano(), n); err != nil {
			return err
		}
		if err := t.event("", "baseline.accepted", a); err != nil {
			return err
		}
		return t.audit(ledger.AuditEntry{Who: a.By, Action: "baseline.accept", Object: a.Branch + " " + a.Suite, Detail: a.Reason})
	})
	return a, err
}

// Acceptances implements ledger.Baselines.
func (s baselines) Acceptances(ctx context.Context, project, branch string) ([]ledger.Acceptance, error) {
	var w where
	w.eq("project", project)
	w.eq("branch", branch)
	rows, err := s.l.reads.QueryContext(ctx, `SELECT project, branch, suite, reason, by_whom, at_ns, rounds FROM acceptance`+w.String()+` ORDER BY seq DESC`, w.args...)
	if err != nil {
		return nil, fmt.Errorf("read acceptances: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Acceptance
	for rows.Next() {
		var a ledger.Acceptance
		var when int64
		if err := rows.Scan(&a.Project, &a.Branch, &a.Suite, &a.Reason, &a.By, &when, &a.Rounds); err != nil {
			return nil, fmt.Errorf("read acceptances: %w", classify(err))
		}
		a.At = at(when)
		out = append(out, a)
	}
	return out, classify(rows.Err())
}

// Pin implements ledger.Baselines.
func (s baselines) Pin(ctx context.Context, p ledger.Pin) error {
	return s.l.write(ctx, "pin level "+p.Name, func(t *txn) error {
		if p.Name == "" || len(p.Runs) == 0 {
			return fmt.Errorf("a pinned level needs a name and runs: %w", ledger.ErrInvalid)
		}
		for _, id := range p.Runs {
			r, err := t.run(id)
			if err != nil {
				return fmt.Errorf("run %s: %w", id, err)
			}
			if r.Suite != p.Suite {
				return fmt.Errorf("run %s is of suite %s, not %s: %w", id, r.Suite, p.Suite, ledger.ErrInvalid)
			}
		}
		doc, err := text(p.Runs)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO pin (name, project, branch, suite, runs, reason, by_whom, at_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (name, project, suite) DO UPDATE SET branch = excluded.branch, runs = excluded.runs, reason = excluded.reason,
				by_whom = excluded.by_whom, at_ns = excluded.at_ns`,
			p.Name, p.Project, p.Branch, p.Suite, doc, p.Reason, p.By, t.now.UnixNano()); err != nil {
			return err
		}
		return t.audit(ledger.AuditEntry{Who: p.By, Action: "baseline.pin", Object: p.Name + " " + p.Suite, Detail: p.Reason})
	})
}

// Unpin implements ledger.Baselines.
func (s baselines) Unpin(ctx context.Context, p ledger.Pin) error {
	return s.l.write(ctx, "unpin level "+p.Name, func(t *txn) error {
		n, err := t.exec(`DELETE FROM pin WHERE name = ? AND project = ? AND suite = ?`, p.Name, p.Project, p.Suite)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("suite %s has no pinned level of that name: %w", p.Suite, ledger.ErrNotFound)
		}
		return t.audit(ledger.AuditEntry{Who: p.By, Action: "baseline.unpin", Object: p.Name + " " + p.Suite, Detail: p.Reason})
	})
}

// Pins implements ledger.Baselines.
func (s baselines) Pins(ctx context.Context, project, suite string) ([]ledger.Pin, error) {
	var w where
	w.eq("project", project)
	w.eq("suite", suite)
	rows, err := s.l.reads.QueryContext(ctx, `SELECT name, project, branch, suite, runs, reason, by_whom, at_ns FROM pin`+w.String()+` ORDER BY at_ns DESC, name`, w.args...)
	if err != nil {
		return nil, fmt.Errorf("read pinned levels: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Pin
	for rows.Next() {
		var p ledger.Pin
		var when int64
		var doc string
		if err := rows.Scan(&p.Name, &p.Project, &p.Branch, &p.Suite, &doc, &p.Reason, &p.By, &when); err != nil {
			return nil, fmt.Errorf("read pinned levels: %w", classify(err))
		}
		p.At = at(when)
		if err := json.Unmarshal([]byte(doc), &p.Runs); err != nil {
			return nil, fmt.Errorf("decode pinned level %s: %w", p.Name, err)
		}
		out = append(out, p)
	}
	return out, classify(rows.Err())
}

// PinnedValues implements ledger.Baselines.
func (s baselines) PinnedValues(ctx context.Context, p ledger.Pin, series string) ([]ledger.Value, error) {
	var w where
	w.add("v.series_id = (SELECT id FROM series WHERE digest = ?)", series)
	w.add("v.valid = 1")
	w.add("r.faults = 0")
	in(&w, "r.run_id", p.Runs)
	if len(p.Runs) == 0 {
		return nil, nil
	}
	out, err := rounds(s).values(ctx, w.String()+` ORDER BY v.at_ns`, w.args...)
	if err != nil {
		return nil, fmt.Errorf("read pinned level %s of series %s: %w", p.Name, series, classify(err))
	}
	return out, nil
}
