// Package sql reads trends from the ledger's own tables: always there, never behind.
//
// It is the default store of coordinator/series and what pages fall back to where
// another lags. It only reads; the tables are coordinator/ledger/sqlite's.
package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/series"
)

// Store implements series.Reader.
type Store struct{ db *sql.DB }

// New reads through db, which the caller keeps open.
func New(db *sql.DB) *Store { return &Store{db} }

const columns = `s.digest, r.project, s.suite, s.workload, s.metric, s.target, s.key, r.lane, v.at_ns, v.value, v.spread, v.n, v.valid,
	r.branch, r.commit_id, r.run_id, r.attempt_id, r.id, r.build, r.machine, r.faults`

// scanner reads rows of columns. A series' key is decoded once.
type scanner struct {
	keyText string
	key     result.Key
}

func (c *scanner) point(rows *sql.Rows) (series.Point, error) {
	var p series.Point
	var key string
	var when int64
	if err := rows.Scan(&p.Series, &p.Project, &p.Suite, &p.Workload, &p.Metric, &p.Target, &key, &p.Lane, &when, &p.Value, &p.Spread, &p.N, &p.Valid,
		&p.Branch, &p.Commit, &p.Run, &p.Attempt, &p.Round, &p.Build, &p.Machine, &p.Faults); err != nil {
		return p, err
	}
	if key != c.keyText {
		c.key = result.Key{}
		if err := json.Unmarshal([]byte(key), &c.key); err != nil {
			return p, fmt.Errorf("decode key of series %s: %w", p.Series, err)
		}
		c.keyText = key
	}
	p.At = time.Unix(0, when).UTC()
	p.GPU, p.Precision = series.GPUName(c.key.Hardware), c.key.DType
	return p, nil
}

// Trend implements series.Reader.
func (s *Store) Trend(ctx context.Context, q series.Query) ([]series.Point, error) {
	conds := []string{"v.series_id = (SELECT id FROM series WHERE digest = ?)"}
	args := []any{q.Series}
	if len(q.Lanes) > 0 {
		conds = append(conds, "r.lane IN (?"+strings.Repeat(", ?", len(q.Lanes)-1)+")")
		for _, l := range q.Lanes {
			args = append(args, string(l))
		}
	}
	if !q.From.IsZero() {
		conds, args = append(conds, "v.at_ns >= ?"), append(args, q.From.UnixNano())
	}
	if !q.To.IsZero() {
		conds, args = append(conds, "v.at_ns < ?"), append(args, q.To.UnixNano())
	}
	args = append(args, series.Bound(q.Limit, 1000, series.MaxLimit))
	rows, err := s.db.QueryContext(ctx, `SELECT `+columns+`
		FROM round_value v JOIN round r ON r.seq = v.round_seq JOIN series s ON s.id = v.series_id
		WHERE `+strings.Join(conds, " AND ")+` ORDER BY v.at_ns DESC LIMIT ?`, args...)
	if err != nil {
		return nil, fmt.Errorf("read the trend of series %s: %w", q.Series, err)
	}
	defer rows.Close()
	var c scanner
	var out []series.Point
	for rows.Next() {
		p, err := c.point(rows)
		if err != nil {
			return nil, fmt.Errorf("read the trend of series %s: %w", q.Series, err)
		}
		out = append(out, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the trend of series %s: %w", q.Series, err)
	}
	slices.Reverse(out)
	return out, nil
}

// List implements series.Reader.
func (s *Store) List(ctx context.Context, q series.ListQuery) ([]series.Summary, error) {
	var conds []string
	var args []any
	for _, c := range []struct{ column, v string }{
		{"project", q.Project}, {"suite", q.Suite}, {"workload", q.Workload}, {"metric", q.Metric}, {"target", q.Target},
	} {
		if c.v != "" {
			conds, args = append(conds, c.column+" = ?"), append(args, c.v)
		}
	}
	where := ""
	if len(conds) > 0 {
		where = " WHERE " + strings.Join(conds, " AND ")
	}
	args = append(args, series.Bound(q.Limit, 1000, series.MaxLimit), series.Bound(q.Recent, 20, 200))
	// The newest points of each chosen series are one seek in the primary key of
	// round_value each, whatever the length of the history.
	rows, err := s.db.QueryContext(ctx, `SELECT `+columns+`
		FROM (SELECT * FROM series`+where+` ORDER BY suite, workload, metric, digest LIMIT ?) s
		JOIN round_value v ON v.series_id = s.id AND v.at_ns IN (SELECT at_ns FROM round_value WHERE series_id = s.id ORDER BY at_ns DESC LIMIT ?)
		JOIN round r ON r.seq = v.round_seq
		ORDER BY s.suite, s.workload, s.metric, s.digest, v.at_ns`, args...)
	if err != nil {
		return nil, fmt.Errorf("list series: %w", err)
	}
	defer rows.Close()
	var c scanner
	var out []series.Summary
	var recent []series.Point
	for rows.Next() {
		p, err := c.point(rows)
		if err != nil {
			return nil, fmt.Errorf("list series: %w", err)
		}
		if len(recent) > 0 && recent[0].Series != p.Series {
			out = append(out, series.Summarise(recent))
			recent = nil
		}
		recent = append(recent, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list series: %w", err)
	}
	if len(recent) > 0 {
		out = append(out, series.Summarise(recent))
	}
	return out, nil
}
