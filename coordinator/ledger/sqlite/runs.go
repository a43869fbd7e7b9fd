package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/coordinator/ledger"
)

type runs struct{ l *Ledger }

const runColumns = `seq, state, rounds, doc, faults, options, reason, verdict, exit_code, decided_ns`

type scanner interface{ Scan(dest ...any) error }

func scanRun(s scanner) (ledger.Run, error) {
	var r ledger.Run
	var doc, faults, options string
	var decided int64
	if err := s.Scan(&r.Seq, &r.State, &r.Rounds, &doc, &faults, &options, &r.Reason, &r.Verdict, &r.Exit, &decided); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(doc), &r.Run); err != nil {
		return r, fmt.Errorf("decode run: %w", err)
	}
	if err := json.Unmarshal([]byte(faults), &r.Faults); err != nil {
		return r, fmt.Errorf("decode faults of run %s: %w", r.ID, err)
	}
	if options != "" {
		r.Options = json.RawMessage(options)
	}
	r.DecidedAt = at(decided)
	return r, nil
}

// Create implements ledger.Runs.
func (s runs) Create(ctx context.Context, r ledger.Run, as []ledger.Attempt) error {
	return s.l.write(ctx, "create run "+r.ID, func(t *txn) error {
		if r.Created.IsZero() {
			r.Created = t.now
		}
		if err := t.insertRun(r, "open", r.Rounds); err != nil {
			return err
		}
		if err := t.event(r.ID, "run.created", map[string]any{"suite": r.Suite, "branch": r.Branch, "commit": r.Commit}); err != nil {
			return err
		}
		return t.queue(r.ID, as)
	})
}

// insertRun writes a run's row. ErrExists.
func (t *txn) insertRun(r ledger.Run, state string, rounds int) error {
	doc, err := text(r.Run)
	if err != nil {
		return err
	}
	faults, err := text(r.Faults)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO run (id, state, project, suite, branch, commit_id, lane, created_ns, rounds, doc, faults, options)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, state, r.Project, r.Suite, r.Branch, r.Commit, string(r.Lane), ns(r.Created), rounds, doc, faults, string(r.Options))
	if unique(err) {
		return ledger.ErrExists
	}
	return err
}

// queue writes attempts of a run.
func (t *txn) queue(run string, as []ledger.Attempt) error {
	for _, a := range as {
		if a.Run != run {
			return fmt.Errorf("attempt %s is of run %q, not %q: %w", a.ID, a.Run, run, ledger.ErrInvalid)
		}
		a.Created = t.now
		a.State = ledger.AttemptQueued
		doc, err := text(a)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO attempt (id, run_id, state, created_ns, doc) VALUES (?, ?, 'queued', ?, ?)`,
			a.ID, run, t.now.UnixNano(), doc); err != nil {
			if unique(err) {
				return fmt.Errorf("attempt %s: %w", a.ID, ledger.ErrExists)
			}
			return err
		}
		if err := t.event(run, "attempt.queued", map[string]any{"attempt": a.ID, "rounds": a.Rounds}); err != nil {
			return err
		}
	}
	return nil
}

// Get implements ledger.Runs.
func (s runs) Get(ctx context.Context, id string) (ledger.Run, error) {
	r, err := scanRun(s.l.reads.QueryRowContext(ctx, `SELECT `+runColumns+` FROM run WHERE id = ?`, id))
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", id, classify(err))
	}
	return r, nil
}

func (t *txn) run(id string) (ledger.Run, error) {
	r, err := scanRun(t.tx.QueryRowContext(t.ctx, `SELECT `+runColumns+` FROM run WHERE id = ?`, id))
	return r, classify(err)
}

// List implements ledger.Runs.
func (s runs) List(ctx context.Context, f ledger.RunFilter) ([]ledger.Run, error) {
	var w where
	w.eq("project", f.Project)
	w.eq("suite", f.Suite)
	w.eq("branch", f.Branch)
	w.eq("commit_id", f.Commit)
	w.eq("lane", string(f.Lane))
	in(&w, "state", f.States)
	if f.Before > 0 {
		w.add("seq < ?", f.Before)
	}
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+runColumns+` FROM run`+w.String()+` ORDER BY seq DESC LIMIT ?`,
		append(w.args, bounded(f.Limit, 100, 1000))...)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Run
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		out = append(out, r)
	}
	return out, classify(rows.Err())
}

// Judge implements ledger.Runs.
func (s runs) Judge(ctx context.Context, id string) (r ledger.Run, err error) {
	err = s.l.write(ctx, "judge run "+id, func(t *txn) error {
		if r, err = t.run(id); err != nil {
			return err
		}
		if r.State.Terminal() {
			return fmt.Errorf("it is %s: %w", r.State, ledger.ErrState)
		}
		var live int
		if err := t.tx.QueryRowContext(t.ctx, `SELECT count(*) FROM attempt WHERE run_id = ? AND state IN ('queued','leased','running','uploading')`, id).Scan(&live); err != nil {
			return err
		}
		if live > 0 {
			return fmt.Errorf("%d attempts of it are not over: %w", live, ledger.ErrState)
		}
		if r.State == ledger.RunJudging {
			return nil
		}
		r.State = ledger.RunJudging
		if _, err := t.exec(`UPDATE run SET state = 'judging' WHERE id = ?`, id); err != nil {
			return err
		}
		return t.event(id, "run.judging", nil)
	})
	return r, err
}

// judged stores a pass, after checking that the run is being judged.
func (t *txn) judged(j ledger.Judgement) (ledger.Run, error) {
	r, err := t.run(j.Run)
	if err != nil {
		return r, err
	}
	if r.State != ledger.RunJudging {
		return r, fmt.Errorf("it is %s: %w", r.State, ledger.ErrState)
	}
	input, err := pack(j.Input)
	if err != nil {
		return r, err
	}
	report, err := pack(j.Report)
	if err != nil {
		return r, err
	}
	_, err = t.exec(`INSERT INTO judgement (run_id, pass, at_ns, verdict, exit_code, input, report)
		VALUES (?, (SELECT coalesce(max(pass), 0) + 1 FROM judgement WHERE run_id = ?), ?, ?, ?, ?, ?)`,
		j.Run, j.Run, t.now.UnixNano(), j.Verdict, j.Exit, input, report)
	return r, err
}

// More implements ledger.Runs.
func (s runs) More(ctx context.Context, j ledger.Judgement, as []ledger.Attempt) error {
	return s.l.write(ctx, "ask run "+j.Run+" for more rounds", func(t *txn) error {
		if len(as) == 0 {
			return fmt.Errorf("without attempts: %w", ledger.ErrInvalid)
		}
		if _, err := t.judged(j); err != nil {
			return err
		}
		rounds := 0
		for _, a := range as {
			rounds += a.Rounds
		}
		if _, err := t.exec(`UPDATE run SET state = 'more', rounds = rounds + ? WHERE id = ?`, rounds, j.Run); err != nil {
			return err
		}
		if err := t.event(j.Run, "run.more", map[string]any{"rounds": rounds}); err != nil {
			return err
		}
		return t.queue(j.Run, as)
	})
}

// Decide implements ledger.Runs.
func (s runs) Decide(ctx context.Context, j ledger.Judgement, join ledger.Join, tasks []ledger.NewTask) error {
	return s.l.write(ctx, "decide run "+j.Run, func(t *txn) error {
		r, err := t.judged(j)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE run SET state = 'decided', verdict = ?, exit_code = ?, decided_ns = ? WHERE id = ?`,
			j.Verdict, j.Exit, t.now.UnixNano(), j.Run); err != nil {
			return err
		}
		if join == ledger.JoinBase { // the branch recovered: what waited for acceptance is not its level
			if _, err := t.exec(`UPDATE round SET baseline = 'former' WHERE baseline = 'pending' AND branch = ? AND suite = ? AND project = ?`,
				r.Branch, r.Suite, r.Project); err != nil {
				return err
			}
		}
		if join == ledger.JoinBase || join == ledger.JoinPending {
			if _, err := t.exec(`UPDATE round SET baseline = ? WHERE run_id = ? AND valid = 1 AND faults = 0`, string(join), j.Run); err != nil {
				return err
			}
		}
		for _, n := range tasks {
			if err := t.task(n); err != nil {
				return err
			}
		}
		return t.event(j.Run, "run.decided", map[string]any{"verdict": j.Verdict, "exit": j.Exit})
	})
}

// exitCancelled is the exit code of a cancelled run.
const exitCancelled = 5

// Cancel implements ledger.Runs.
func (s runs) Cancel(ctx context.Context, id, reason string) (r ledger.Run, err error) {
	err = s.l.write(ctx, "cancel run "+id, func(t *txn) error {
		if r, err = t.run(id); err != nil {
			return err
		}
		switch r.State {
		case ledger.RunCancelled:
			return nil
		case ledger.RunDecided:
			return fmt.Errorf("it is decided: %s: %w", r.Verdict, ledger.ErrState)
		}
		if _, err := t.exec(`UPDATE run SET state = 'cancelled', reason = ?, verdict = 'cancelled', exit_code = ?, decided_ns = ? WHERE id = ?`,
			reason, exitCancelled, t.now.UnixNano(), id); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE attempt SET state = 'cancelled', ended_ns = ? WHERE run_id = ? AND state = 'queued'`,
			t.now.UnixNano(), id); err != nil {
			return err
		}
		if err := t.event(id, "run.cancelled", map[string]any{"reason": reason}); err != nil {
			return err
		}
		r, err = t.run(id)
		return err
	})
	return r, err
}

// Judgements implements ledger.Runs.
func (s runs) Judgements(ctx context.Context, id string) ([]ledger.Judgement, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT pass, at_ns, verdict, exit_code, input, report FROM judgement WHERE run_id = ? ORDER BY pass`, id)
	if err != nil {
		return nil, fmt.Errorf("read judgements of run %s: %w", id, classify(err))
	}
	defer rows.Close()
	var out []ledger.Judgement
	for rows.Next() {
		j := ledger.Judgement{Run: id}
		var when int64
		var input, report []byte
		if err := rows.Scan(&j.Pass, &when, &j.Verdict, &j.Exit, &input, &report); err != nil {
			return nil, fmt.Errorf("read judgements of run %s: %w", id, classify(err))
		}
		j.At = at(when)
		if err := unpack(input, &j.Input); err != nil {
			return nil, fmt.Errorf("read judgement %d of run %s: %w", j.Pass, id, err)
		}
		if err := unpack(report, &j.Report); err != nil {
			return nil, fmt.Errorf("read judgement %d of run %s: %w", j.Pass, id, err)
		}
		out = append(out, j)
	}
	return out, classify(rows.Err())
}
