package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

type attempts struct{ l *Ledger }

const attemptColumns = `seq, state, doc, coalesce(agent_id, ''), leased, leased_ns, beat, ended_ns, problem`

func scanAttempt(s scanner) (ledger.Attempt, error) {
	var a ledger.Attempt
	var state, doc, agent, leased, problem string
	var seq, leasedNs, endedNs int64
	var beat uint64
	if err := s.Scan(&seq, &state, &doc, &agent, &leased, &leasedNs, &beat, &endedNs, &problem); err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(doc), &a); err != nil {
		return a, fmt.Errorf("decode attempt: %w", err)
	}
	a.Seq, a.State, a.Agent, a.Beat = seq, ledger.AttemptState(state), agent, beat
	a.LeasedAt, a.EndedAt = at(leasedNs), at(endedNs)
	if err := json.Unmarshal([]byte(leased), &a.Leased); err != nil {
		return a, fmt.Errorf("decode devices of attempt %s: %w", a.ID, err)
	}
	if len(a.Leased) == 0 {
		a.Leased = nil
	}
	if problem != "" {
		if err := json.Unmarshal([]byte(problem), &a.Problem); err != nil {
			return a, fmt.Errorf("decode problem of attempt %s: %w", a.ID, err)
		}
	}
	return a, nil
}

func scanAttempts(rows *sql.Rows) ([]ledger.Attempt, error) {
	defer rows.Close()
	var out []ledger.Attempt
	for rows.Next() {
		a, err := scanAttempt(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// Get implements ledger.Attempts.
func (s attempts) Get(ctx context.Context, id string) (ledger.Attempt, error) {
	a, err := scanAttempt(s.l.reads.QueryRowContext(ctx, `SELECT `+attemptColumns+` FROM attempt WHERE id = ?`, id))
	if err != nil {
		return a, fmt.Errorf("read attempt %s: %w", id, classify(err))
	}
	return a, nil
}

func (t *txn) attempt(id string) (ledger.Attempt, error) {
	a, err := scanAttempt(t.tx.QueryRowContext(t.ctx, `SELECT `+attemptColumns+` FROM attempt WHERE id = ?`, id))
	return a, classify(err)
}

// held reads an attempt that the agent says it holds.
func (t *txn) held(agent, id string) (ledger.Attempt, error) {
	a, err := t.attempt(id)
	if err != nil {
		return a, err
	}
	if a.Agent != agent {
		return a, ledger.ErrForeign
	}
	_, err = t.exec(`UPDATE agent SET seen_ns = ? WHERE id = ?`, t.now.UnixNano(), agent)
	return a, err
}

// OfRun implements ledger.Attempts.
func (s attempts) OfRun(ctx context.Context, run string) ([]ledger.Attempt, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+attemptColumns+` FROM attempt WHERE run_id = ? ORDER BY seq`, run)
	if err != nil {
		return nil, fmt.Errorf("read attempts of run %s: %w", run, classify(err))
	}
	out, err := scanAttempts(rows)
	if err != nil {
		return nil, fmt.Errorf("read attempts of run %s: %w", run, classify(err))
	}
	return out, nil
}

// InStates implements ledger.Attempts.
func (s attempts) InStates(ctx context.Context, states ...ledger.AttemptState) ([]ledger.Attempt, error) {
	var w where
	in(&w, "state", states)
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+attemptColumns+` FROM attempt`+w.String()+` ORDER BY seq`, w.args...)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", classify(err))
	}
	out, err := scanAttempts(rows)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", classify(err))
	}
	return out, nil
}

// Beat implements ledger.Attempts.
func (s attempts) Beat(ctx context.Context, agent, attempt string, n uint64, next ledger.AttemptState) (h ledger.Heard, err error) {
	err = s.l.write(ctx, "beat of attempt "+attempt, func(t *txn) error {
		a, err := t.held(agent, attempt)
		if err != nil {
			return err
		}
		h = ledger.Heard{State: a.State}
		if h.HighWater, err = highWater(t.ctx, t.tx, attempt); err != nil {
			return err
		}
		if a.State.Terminal() {
			h.MustStop, h.Reason = true, "the attempt is "+string(a.State)
			return nil
		}
		if h.MustStop, h.Reason, err = t.mustStop(a.Run); err != nil {
			return err
		}
		if n <= a.Beat {
			return nil
		}
		if a.State.MayBecome(next) && next != a.State {
			h.State = next
			if err := t.event(a.Run, "attempt."+string(next), map[string]any{"attempt": attempt}); err != nil {
				return err
			}
		}
		_, err = t.exec(`UPDATE attempt SET beat = ?, state = ? WHERE id = ?`, n, string(h.State), attempt)
		return err
	})
	return h, err
}

// mustStop says whether a run's attempts are to stop, and why.
func (t *txn) mustStop(run string) (bool, string, error) {
	var state, reason string
	if err := t.tx.QueryRowContext(t.ctx, `SELECT state, reason FROM run WHERE id = ?`, run).Scan(&state, &reason); err != nil {
		return false, "", err
	}
	if ledger.RunState(state) != ledger.RunCancelled {
		return false, "", nil
	}
	return true, "the run is cancelled: " + reason, nil
}

// End implements ledger.Attempts.
func (s attempts) End(ctx context.Context, agent string, e wire.EndRequest) (missing map[string]uint64, err error) {
	final := ledger.AttemptState(e.Outcome)
	err = s.l.write(ctx, "end attempt "+e.Attempt, func(t *txn) error {
		if e.Outcome != wire.OutcomeDone && e.Outcome != wire.OutcomeError && e.Outcome != wire.OutcomeCancelled {
			return fmt.Errorf("unknown outcome %q: %w", e.Outcome, ledger.ErrInvalid)
		}
		a, err := t.held(agent, e.Attempt)
		if err != nil {
			return err
		}
		if a.State.Terminal() {
			if a.State == final {
				return nil
			}
			return fmt.Errorf("it is %s: %w", a.State, ledger.ErrState)
		}
		if missing, err = t.missing(e); err != nil || len(missing) > 0 {
			return err
		}
		return t.over(a, final, e.Problem)
	})
	return missing, err
}

// missing compares what an agent says it delivered with what is stored.
func (t *txn) missing(e wire.EndRequest) (map[string]uint64, error) {
	high, err := highWater(t.ctx, t.tx, e.Attempt)
	if err != nil {
		return nil, err
	}
	missing := map[string]uint64{}
	for stream, last := range e.Counts {
		if high[stream] < last {
			missing[stream] = high[stream] + 1
		}
	}
	if len(missing) > 0 {
		return missing, nil
	}
	rows, err := t.tx.QueryContext(t.ctx, `SELECT stream, sum FROM batch WHERE attempt_id = ? ORDER BY stream, seq`, e.Attempt)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	sums := map[string][][32]byte{}
	for rows.Next() {
		var stream string
		var sum []byte
		if err := rows.Scan(&stream, &sum); err != nil {
			return nil, err
		}
		if len(sum) != 32 {
			return nil, fmt.Errorf("checksum of a batch has %d bytes: %w", len(sum), ledger.ErrCorrupt)
		}
		sums[stream] = append(sums[stream], [32]byte(sum))
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if got := wire.Digest(sums); got != e.Digest {
		return nil, fmt.Errorf("the digest of what is stored is %.12s…, the agent says %.12s…: %w", got, e.Digest, ledger.ErrInvalid)
	}
	return nil, nil
}

// over writes a terminal state: devices are free, the agent is idle, the run is to be
// judged.
func (t *txn) over(a ledger.Attempt, final ledger.AttemptState, p *wire.Error) error {
	problem := ""
	if p != nil {
		var err error
		if problem, err = text(p); err != nil {
			return err
		}
	}
	if _, err := t.exec(`UPDATE attempt SET state = ?, ended_ns = ?, problem = ? WHERE id = ?`,
		string(final), t.now.UnixNano(), problem, a.ID); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE device_lease SET active = 0 WHERE attempt_id = ?`, a.ID); err != nil {
		return err
	}
	if a.Agent != "" {
		next := ledger.AgentIdle
		if final == ledger.AttemptLost {
			next = ledger.AgentLost
		}
		if _, err := t.exec(`UPDATE agent SET state = ? WHERE id = ? AND state = 'busy'
			AND NOT EXISTS (SELECT 1 FROM device_lease WHERE agent_id = agent.id AND active = 1)`, string(next), a.Agent); err != nil {
			return err
		}
	}
	if err := t.event(a.Run, "attempt."+string(final), map[string]any{"attempt": a.ID, "problem": p}); err != nil {
		return err
	}
	return t.task(ledger.NewTask{Kind: ledger.TaskJudge, Key: a.Run})
}

// Lose implements ledger.Attempts.
func (s attempts) Lose(ctx context.Context, attempt string, n uint64, p wire.Error) error {
	return s.l.write(ctx, "give up attempt "+attempt, func(t *txn) error {
		a, err := t.attempt(attempt)
		if err != nil {
			return err
		}
		if !a.State.Active() || a.Beat != n {
			return fmt.Errorf("it is %s at beat %d, not %d: %w", a.State, a.Beat, n, ledger.ErrState)
		}
		return t.over(a, ledger.AttemptLost, &p)
	})
}

// Expire implements ledger.Attempts.
func (s attempts) Expire(ctx context.Context, attempt string, p wire.Error) error {
	return s.l.write(ctx, "expire attempt "+attempt, func(t *txn) error {
		a, err := t.attempt(attempt)
		if err != nil {
			return err
		}
		if a.State != ledger.AttemptQueued {
			return fmt.Errorf("it is %s: %w", a.State, ledger.ErrState)
		}
		return t.over(a, ledger.AttemptExpired, &p)
	})
}
