package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/paceline/paceline/coordinator/ledger"
)

type rounds struct{ l *Ledger }

const roundColumns = `seq, at_ns, agent_id, branch, baseline, doc`

func scanRound(s scanner) (ledger.Round, error) {
	var r ledger.Round
	var when int64
	var doc []byte
	if err := s.Scan(&r.Seq, &when, &r.Agent, &r.Branch, &r.Join, &doc); err != nil {
		return r, err
	}
	r.At = at(when)
	return r, unpack(doc, &r.Round)
}

// OfRun implements ledger.Rounds.
func (s rounds) OfRun(ctx context.Context, run string) ([]ledger.Round, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+roundColumns+` FROM round WHERE run_id = ? ORDER BY idx, seq`, run)
	if err != nil {
		return nil, fmt.Errorf("read rounds of run %s: %w", run, classify(err))
	}
	defer rows.Close()
	var out []ledger.Round
	for rows.Next() {
		r, err := scanRound(rows)
		if err != nil {
			return nil, fmt.Errorf("read rounds of run %s: %w", run, classify(err))
		}
		out = append(out, r)
	}
	return out, classify(rows.Err())
}

// Get implements ledger.Rounds.
func (s rounds) Get(ctx context.Context, id string) (ledger.Round, error) {
	r, err := scanRound(s.l.reads.QueryRowContext(ctx, `SELECT `+roundColumns+` FROM round WHERE id = ?`, id))
	if err != nil {
		return r, fmt.Errorf("read round %s: %w", id, classify(err))
	}
	return r, nil
}

const valueColumns = `s.digest, v.at_ns, v.value, v.spread, v.n, v.valid, r.seq, r.id, r.run_id, r.attempt_id, r.machine, r.project, r.branch,
	r.commit_id, r.commit_ns, r.build, r.lane, r.baseline, r.faults, r.synthetic`

func scanValue(s scanner) (ledger.Value, error) {
	var v ledger.Value
	var when, commit int64
	err := s.Scan(&v.Series, &when, &v.Value, &v.Spread, &v.N, &v.Valid, &v.RoundSeq, &v.Round, &v.Run, &v.Attempt, &v.Machine,
		&v.Project, &v.Branch, &v.Commit, &commit, &v.Build, &v.Lane, &v.Join, &v.Faults, &v.Synthetic)
	v.At, v.CommitTime = at(when), at(commit)
	return v, err
}

// Values implements ledger.Rounds.
func (s rounds) Values(ctx context.Context, f ledger.ValueFilter) ([]ledger.Value, error) {
	var w where
	w.add("v.series_id = (SELECT id FROM series WHERE digest = ?)", f.Series)
	w.eq("r.project", f.Project)
	w.eq("r.branch", f.Branch)
	w.eq("r.run_id", f.Run)
	in(&w, "r.lane", f.Lanes)
	in(&w, "r.baseline", f.Joins)
	if f.NotRun != "" {
		w.add("r.run_id <> ?", f.NotRun)
	}
	if !f.Before.IsZero() {
		w.add("v.at_ns < ?", ns(f.Before))
	}
	if !f.After.IsZero() {
		w.add("v.at_ns >= ?", ns(f.After))
	}
	out, err := s.values(ctx, w.String()+` ORDER BY v.at_ns DESC LIMIT ?`, append(w.args, bounded(f.Limit, 1000, 1_000_000))...)
	if err != nil {
		return nil, fmt.Errorf("read values of series %s: %w", f.Series, classify(err))
	}
	slices.Reverse(out)
	return out, nil
}

// ValuesOf implements ledger.Rounds.
func (s rounds) ValuesOf(ctx context.Context, round string) ([]ledger.Value, error) {
	out, err := s.values(ctx, ` WHERE v.round_seq = (SELECT seq FROM round WHERE id = ?) ORDER BY v.at_ns`, round)
	if err != nil {
		return nil, fmt.Errorf("read values of round %s: %w", round, classify(err))
	}
	return out, nil
}

func (s rounds) values(ctx context.Context, rest string, args ...any) ([]ledger.Value, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+valueColumns+`
		FROM round_value v JOIN round r ON r.seq = v.round_seq JOIN series s ON s.id = v.series_id`+rest, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ledger.Value
	for rows.Next() {
		v, err := scanValue(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

const seriesColumns = `digest, key, project, suite, workload, point, model, synthetic, last_ns`

func scanSeries(s scanner) (ledger.Series, error) {
	var x ledger.Series
	var key, point string
	var last int64
	if err := s.Scan(&x.Digest, &key, &x.Project, &x.Suite, &x.Workload, &point, &x.Model, &x.Synthetic, &last); err != nil {
		return x, err
	}
	x.LastAt = at(last)
	if err := json.Unmarshal([]byte(key), &x.Key); err != nil {
		return x, fmt.Errorf("decode key of series %s: %w", x.Digest, err)
	}
	if err := json.Unmarshal([]byte(point), &x.Point); err != nil {
		return x, fmt.Errorf("decode point of series %s: %w", x.Digest, err)
	}
	return x, nil
}

// Series implements ledger.Rounds.
func (s rounds) Series(ctx context.Context, f ledger.SeriesFilter) ([]ledger.Series, error) {
	var w where
	w.eq("project", f.Project)
	w.eq("suite", f.Suite)
	w.eq("workload", f.Workload)
	w.eq("metric", f.Metric)
	w.eq("target", f.Target)
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+seriesColumns+` FROM series`+w.String()+` ORDER BY suite, workload, metric, point, digest LIMIT ?`,
		append(w.args, bounded(f.Limit, 1000, 100_000))...)
	if err != nil {
		return nil, fmt.Errorf("list series: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Series
	for rows.Next() {
		x, err := scanSeries(rows)
		if err != nil {
			return nil, fmt.Errorf("list series: %w", err)
		}
		out = append(out, x)
	}
	return out, classify(rows.Err())
}

// OneSeries implements ledger.Rounds.
func (s rounds) OneSeries(ctx context.Context, digest string) (ledger.Series, error) {
	x, err := scanSeries(s.l.reads.QueryRowContext(ctx, `SELECT `+seriesColumns+` FROM series WHERE digest = ?`, digest))
	if err != nil {
		return x, fmt.Errorf("read series %s: %w", digest, classify(err))
	}
	return x, nil
}

// Probes implements ledger.Rounds.
func (s rounds) Probes(ctx context.Context, machine, device, kind string, limit int) ([]float64, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT value FROM probe WHERE machine = ? AND device = ? AND kind = ? AND usable = 1
		ORDER BY round_seq DESC, idx DESC LIMIT ?`, machine, device, kind, bounded(limit, 100, 10_000))
	if err != nil {
		return nil, fmt.Errorf("read probe history: %w", classify(err))
	}
	defer rows.Close()
	var out []float64
	for rows.Next() {
		var v float64
		if err := rows.Scan(&v); err != nil {
			return nil, fmt.Errorf("read probe history: %w", classify(err))
		}
		out = append(out, v)
	}
	slices.Reverse(out)
	return out, classify(rows.Err())
}
