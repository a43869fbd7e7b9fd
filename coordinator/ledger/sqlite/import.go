package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

// Levels implements ledger.Baselines.
func (s baselines) Levels(ctx context.Context) ([]ledger.Level, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT project, branch, suite, sum(baseline = 'joined'), sum(baseline = 'pending'), max(at_ns)
		FROM round WHERE baseline IN ('joined','pending') GROUP BY project, branch, suite ORDER BY project, branch, suite`)
	if err != nil {
		return nil, fmt.Errorf("list levels: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Level
	for rows.Next() {
		var x ledger.Level
		var newest int64
		if err := rows.Scan(&x.Project, &x.Branch, &x.Suite, &x.Joined, &x.Pending, &newest); err != nil {
			return nil, fmt.Errorf("list levels: %w", classify(err))
		}
		x.Newest = at(newest)
		out = append(out, x)
	}
	return out, classify(rows.Err())
}

// Keep implements ledger.Baselines.
func (s baselines) Keep(ctx context.Context, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	return digest, s.l.write(ctx, "keep what came with a submission", func(t *txn) error {
		packed, err := compress(body)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO kept (digest, at_ns, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, digest, t.now.UnixNano(), packed)
		return err
	})
}

// Kept implements ledger.Baselines.
func (s baselines) Kept(ctx context.Context, digest string) ([]byte, error) {
	var packed []byte
	if err := s.l.reads.QueryRowContext(ctx, `SELECT body FROM kept WHERE digest = ?`, digest).Scan(&packed); err != nil {
		return nil, fmt.Errorf("read what came with a submission (%.12s): %w", digest, classify(err))
	}
	body, err := decompress(packed)
	if err != nil {
		return nil, fmt.Errorf("read what came with a submission (%.12s): %w: %w", digest, ledger.ErrCorrupt, err)
	}
	return body, nil
}

// Import implements ledger.Baselines.
func (s baselines) Import(ctx context.Context, in ledger.Import) (out ledger.Imported, err error) {
	err = s.l.write(ctx, "import runs", func(t *txn) error {
		out = ledger.Imported{}
		newest := time.Time{}
		for i := range in.Runs {
			x := &in.Runs[i]
			known, err := t.known(x)
			if err != nil {
				return err
			}
			if known {
				out.Known++
				continue
			}
			n, err := t.importRun(x, &newest)
			if err != nil {
				return fmt.Errorf("run %s: %w", x.Run.ID, err)
			}
			out.Runs++
			out.Rounds += n
		}
		if out.Runs == 0 {
			return nil // nothing was decided
		}
		if err := t.event("", "baseline.imported", out); err != nil {
			return err
		}
		return t.audit(ledger.AuditEntry{Who: in.By, Action: "baseline.import", Object: in.From, Detail: fmt.Sprintf("%d runs, %d rounds", out.Runs, out.Rounds)})
	})
	return out, err
}

// known says whether the run is there already. One whose contents differ from those
// that are stored is no run that both sides measured.
func (t *txn) known(x *ledger.ImportedRun) (bool, error) {
	there, err := t.run(x.Run.ID)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if there.State != ledger.RunDecided || there.Verdict != x.Verdict {
		return false, fmt.Errorf("run %s is %s %s here, and decided %s in what is imported: %w", x.Run.ID, there.State, there.Verdict, x.Verdict, ledger.ErrExists)
	}
	if same, err := sameJSON(there.Run, x.Run); err != nil || !same {
		return false, orExists(err, "run %s is another one here", x.Run.ID)
	}
	for i := range x.Rounds {
		r, err := scanRound(t.tx.QueryRowContext(t.ctx, `SELECT `+roundColumns+` FROM round WHERE id = ? AND run_id = ?`, x.Rounds[i].ID, x.Run.ID))
		if errors.Is(err, sql.ErrNoRows) {
			return false, orExists(nil, "run %s has no round %s here", x.Run.ID, x.Rounds[i].ID)
		}
		if err != nil {
			return false, err
		}
		if same, err := sameJSON(r.Round, x.Rounds[i]); err != nil || !same {
			return false, orExists(err, "round %s of run %s has other contents here", x.Rounds[i].ID, x.Run.ID)
		}
	}
	return true, nil
}

func orExists(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", fmt.Errorf(format, args...), ledger.ErrExists)
}

func sameJSON(a, b any) (bool, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return bytes.Equal(x, y), err
}

// importRun writes a run that isn't there, and gives how many rounds joined. newest is
// the time of the round imported last: later ones lie behind it.
func (t *txn) importRun(x *ledger.ImportedRun, newest *time.Time) (joined int, err error) {
	if x.Run.ID == "" || len(x.Rounds) == 0 {
		return 0, fmt.Errorf("without an id or rounds: %w", ledger.ErrInvalid)
	}
	run := ledger.Run{Run: x.Run}
	if err := t.insertRun(run, "decided", len(x.Rounds)); err != nil {
		return 0, err
	}
	decided := x.Rounds[len(x.Rounds)-1].Ended
	if _, err := t.exec(`UPDATE run SET verdict = ?, exit_code = ?, decided_ns = ? WHERE id = ?`, x.Verdict, x.Exit, ns(decided), x.Run.ID); err != nil {
		return 0, err
	}
	if err := t.importer(); err != nil {
		return 0, err
	}
	attempts := map[string]bool{}
	for i := range x.Rounds {
		r := &x.Rounds[i]
		a := ledger.Attempt{ID: r.AttemptID, Run: x.Run.ID, State: ledger.AttemptDone, FirstRound: r.Index, Rounds: 1, Agent: ledger.ImportAgent}
		if a.ID == "" || r.RunID != x.Run.ID {
			return 0, fmt.Errorf("round %s has no attempt, or another run: %w", r.ID, ledger.ErrInvalid)
		}
		if !attempts[a.ID] {
			attempts[a.ID] = true
			if err := t.importAttempt(a, x, decided); err != nil {
				return 0, err
			}
		}
		when, err := t.vacant(r.Ended, *newest)
		if err != nil {
			return 0, err
		}
		*newest = when
		join := ledger.JoinNone
		if r.Valid && len(r.Subject.Faults) == 0 {
			join, joined = ledger.JoinBase, joined+1
		}
		if err := t.roundAt(run, a, r, when.UnixNano(), join); err != nil {
			return 0, err
		}
	}
	input, err := pack(json.RawMessage(`{}`))
	if err != nil {
		return 0, err
	}
	report, err := pack(json.RawMessage(x.Report))
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(`INSERT INTO judgement (run_id, pass, at_ns, verdict, exit_code, input, report) VALUES (?, 1, ?, ?, ?, ?, ?)`,
		x.Run.ID, t.now.UnixNano(), x.Verdict, x.Exit, input, report); err != nil {
		return 0, err
	}
	if err := t.event(x.Run.ID, "run.decided", map[string]any{"verdict": x.Verdict, "exit": x.Exit, "imported": true}); err != nil {
		return 0, err
	}
	return joined, t.task(ledger.NewTask{Kind: ledger.TaskExport, Key: x.Run.ID})
}

// importer makes the agent to which imported rounds belong.
func (t *txn) importer() error {
	_, err := t.exec(`INSERT INTO agent (id, name, state, reason, labels, devices, build, local, enrolled_ns) VALUES (?, ?, 'retired', 'rounds that were measured elsewhere', '{}', '[]', '', 0, ?)
		ON CONFLICT DO NOTHING`, ledger.ImportAgent, ledger.ImportAgent, t.now.UnixNano())
	return err
}

// importAttempt writes an attempt that is over, with the rounds that x has of it.
func (t *txn) importAttempt(a ledger.Attempt, x *ledger.ImportedRun, ended time.Time) error {
	last := a.FirstRound
	for _, r := range x.Rounds {
		if r.AttemptID == a.ID {
			a.FirstRound, last = min(a.FirstRound, r.Index), max(last, r.Index)
		}
	}
	a.Rounds = last - a.FirstRound + 1
	doc, err := text(a)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO attempt (id, run_id, state, created_ns, doc, agent_id, leased_ns, ended_ns) VALUES (?, ?, 'done', ?, ?, ?, ?, ?)`,
		a.ID, x.Run.ID, t.now.UnixNano(), doc, ledger.ImportAgent, t.now.UnixNano(), ns(ended))
	if unique(err) {
		return fmt.Errorf("attempt %s is there already, of another run: %w", a.ID, ledger.ErrExists)
	}
	return err
}

// vacant is the first time, to the millisecond, at which no round lies: at or after the
// round's end, behind the one imported before it, and never in the future, where every
// round to come would have to lie behind it.
func (t *txn) vacant(ended, after time.Time) (time.Time, error) {
	when := ended.UTC().Truncate(roundStep)
	if when.After(t.now) {
		when = t.now.Truncate(roundStep)
	}
	if !when.After(after) {
		when = after.Add(roundStep)
	}
	for {
		var taken bool
		if err := t.tx.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM round WHERE at_ns = ?)`, when.UnixNano()).Scan(&taken); err != nil {
			return when, err
		}
		if !taken {
			return when, nil
		}
		when = when.Add(roundStep)
	}
}
