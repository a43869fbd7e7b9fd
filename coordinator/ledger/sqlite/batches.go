package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

type batches struct{ l *Ledger }

// roundStep is the least distance of two rounds' times. Values of a round lie on
// its time plus their index in nanoseconds, so that no two fall together.
const roundStep = time.Millisecond

type querier interface {
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
}

func highWater(ctx context.Context, q querier, attempt string) (map[string]uint64, error) {
	rows, err := q.QueryContext(ctx, `SELECT stream, high FROM stream WHERE attempt_id = ?`, attempt)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	high := map[string]uint64{}
	for rows.Next() {
		var s string
		var n uint64
		if err := rows.Scan(&s, &n); err != nil {
			return nil, err
		}
		high[s] = n
	}
	return high, rows.Err()
}

// HighWater implements ledger.Batches.
func (s batches) HighWater(ctx context.Context, attempt string) (map[string]uint64, error) {
	high, err := highWater(ctx, s.l.reads, attempt)
	if err != nil {
		return nil, fmt.Errorf("read high water of attempt %s: %w", attempt, classify(err))
	}
	return high, nil
}

// Put implements ledger.Batches.
func (s batches) Put(ctx context.Context, agent string, b wire.BatchRequest, rs []result.Round) (st ledger.Stored, err error) {
	err = s.l.write(ctx, fmt.Sprintf("store batch %d of stream %q of attempt %s", b.Seq, b.Stream, b.Attempt), func(t *txn) error {
		st = ledger.Stored{}
		if b.Seq < 1 || b.Stream == "" || len(b.Body) > wire.MaxBatchBytes {
			return fmt.Errorf("sequence %d with %d bytes: %w", b.Seq, len(b.Body), ledger.ErrInvalid)
		}
		a, err := t.held(agent, b.Attempt)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b.Body)
		n, err := int64(0), error(nil)
		if !a.State.Terminal() {
			n, err = t.exec(`INSERT INTO batch (attempt_id, stream, seq, records, stored_ns, sum, body) VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, b.Attempt, b.Stream, b.Seq, b.Records, t.now.UnixNano(), sum[:], b.Body)
			if err != nil {
				return err
			}
		}
		if st.HighWater, err = t.raise(b.Attempt, b.Stream); err != nil {
			return err
		}
		if n == 0 { // there already, or too late
			if a.State.Terminal() && b.Seq > st.HighWater {
				return fmt.Errorf("it is %s: %w", a.State, ledger.ErrState)
			}
			return nil
		}
		st.New = true
		if st.MustStop, _, err = t.mustStop(a.Run); err != nil {
			return err
		}
		for i := range rs {
			if err := t.round(a, &rs[i]); err != nil {
				return err
			}
		}
		if len(rs) == 0 {
			return nil
		}
		return t.task(ledger.NewTask{Kind: ledger.TaskExport, Key: a.Run})
	})
	return st, err
}

// raise moves a stream's high water over what is stored without a gap.
func (t *txn) raise(attempt, stream string) (uint64, error) {
	var high uint64
	err := t.tx.QueryRowContext(t.ctx, `SELECT high FROM stream WHERE attempt_id = ? AND stream = ?`, attempt, stream).Scan(&high)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	was := high
	for {
		var there bool
		if err := t.tx.QueryRowContext(t.ctx, `SELECT EXISTS (SELECT 1 FROM batch WHERE attempt_id = ? AND stream = ? AND seq = ?)`,
			attempt, stream, high+1).Scan(&there); err != nil {
			return 0, err
		}
		if !there {
			break
		}
		high++
	}
	if high == was {
		return high, nil
	}
	_, err = t.exec(`INSERT INTO stream (attempt_id, stream, high) VALUES (?, ?, ?)
		ON CONFLICT (attempt_id, stream) DO UPDATE SET high = excluded.high`, attempt, stream, high)
	return high, err
}

// round writes a round with its values, series and probes.
func (t *txn) round(a ledger.Attempt, r *result.Round) error {
	if r.ID == "" || r.AttemptID != a.ID || r.RunID != a.Run || r.Index < a.FirstRound || r.Index >= a.FirstRound+a.Rounds {
		return fmt.Errorf("round %q (index %d, run %q, attempt %q) is none of attempt %s (run %s, indices %d…%d): %w",
			r.ID, r.Index, r.RunID, r.AttemptID, a.ID, a.Run, a.FirstRound, a.FirstRound+a.Rounds-1, ledger.ErrInvalid)
	}
	run, err := t.run(a.Run)
	if err != nil {
		return err
	}
	var newest int64
	if err := t.tx.QueryRowContext(t.ctx, `SELECT coalesce(max(at_ns), 0) FROM round`).Scan(&newest); err != nil {
		return err
	}
	when := max(t.now.Truncate(roundStep).UnixNano(), newest+int64(roundStep))
	if err := t.roundAt(run, a, r, when, ledger.JoinNone); err != nil {
		return err
	}
	return t.event(a.Run, "round", map[string]any{"round": r.ID, "index": r.Index, "valid": r.Valid, "attempt": a.ID})
}

// roundAt writes a round that lies at a time where no other does.
func (t *txn) roundAt(run ledger.Run, a ledger.Attempt, r *result.Round, when int64, join ledger.Join) error {
	doc, err := pack(r)
	if err != nil {
		return err
	}
	faults := len(run.Faults) > 0 || len(r.Subject.Faults) > 0
	res, err := t.tx.ExecContext(t.ctx, `INSERT INTO round (id, run_id, attempt_id, agent_id, idx, at_ns, machine, project, suite, branch,
		commit_id, commit_ns, lane, build, valid, faults, synthetic, baseline, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, a.Run, a.ID, a.Agent, r.Index, when, r.Environment.MachineID, run.Project, run.Suite, run.Branch,
		run.Commit, ns(run.CommitTime), string(run.Lane), r.Subject.Build, r.Valid, faults, r.Subject.Synthetic, string(join), doc)
	if unique(err) {
		return fmt.Errorf("round %s: %w", r.ID, ledger.ErrExists)
	}
	if err != nil {
		return err
	}
	seq, err := res.LastInsertId()
	if err != nil {
		return err
	}
	if err := t.values(run, r, seq, when); err != nil {
		return err
	}
	return t.probes(r, seq)
}

// values writes a round's values, and the series that they belong to.
func (t *txn) values(run ledger.Run, r *result.Round, seq, when int64) error {
	idx := int64(0)
	for i := range r.Cells {
		c := &r.Cells[i]
		point, err := text(c.Point)
		if err != nil {
			return err
		}
		for _, v := range c.Values {
			key := result.KeyOf(r, run.Subject, c, v.Metric)
			doc, err := text(key)
			if err != nil {
				return err
			}
			var id int64
			if err := t.tx.QueryRowContext(t.ctx, `INSERT INTO series (digest, key, project, suite, workload, point, metric, target, model, synthetic, last_ns)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (digest) DO UPDATE SET project = excluded.project, suite = excluded.suite, workload = excluded.workload,
					model = excluded.model, synthetic = excluded.synthetic, last_ns = max(last_ns, excluded.last_ns)
				RETURNING id`, key.Digest(), doc, run.Project, run.Suite, c.Workload, point, string(v.Metric), key.Target,
				run.Subject.Model, r.Subject.Synthetic, when).Scan(&id); err != nil {
				return err
			}
			n, err := t.exec(`INSERT INTO round_value (series_id, at_ns, round_seq, value, spread, n, valid) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				id, when+idx, seq, v.Value, v.Spread, v.N, r.Valid && c.Valid)
			if err != nil {
				return err
			}
			idx += n
		}
	}
	if idx >= int64(roundStep) {
		return fmt.Errorf("round %s has %d values: %w", r.ID, idx, ledger.ErrInvalid)
	}
	return nil
}

// probes writes a round's machine probes. Those of a round that the probe itself
// made invalid are kept, but are no history to compare with.
func (t *txn) probes(r *result.Round, seq int64) error {
	usable := true
	for _, x := range r.Reasons {
		usable = usable && (x.Code != "probe" || x.Warn)
	}
	for i, p := range r.Probes {
		if _, err := t.exec(`INSERT INTO probe (machine, device, kind, round_seq, idx, value, usable) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			r.Environment.MachineID, p.Device, p.Kind, seq, i, p.Value, usable); err != nil {
			return err
		}
	}
	return nil
}

// Each implements ledger.Batches.
func (s batches) Each(ctx context.Context, attempt, stream string, f func(seq uint64, body []byte) error) error {
	// One row at a time: a reader that writes on to a slow browser must not hold a
	// read transaction open, because that keeps the log from being truncated.
	for seq := uint64(0); ; {
		var body []byte
		err := s.l.reads.QueryRowContext(ctx, `SELECT seq, body FROM batch WHERE attempt_id = ? AND stream = ? AND seq > ? ORDER BY seq LIMIT 1`,
			attempt, stream, seq).Scan(&seq, &body)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stream %q of attempt %s: %w", stream, attempt, classify(err))
		}
		if err := f(seq, body); err != nil {
			return err
		}
	}
}
