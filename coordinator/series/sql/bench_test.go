package sql_test

import (
	stdsql "database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/coordinator/series/seriestest"
	"github.com/paceline/paceline/coordinator/series/sql"
)

// large makes a ledger with so many series of so many points each, past its writer.
func large(b *testing.B, seriesN, each int) *sql.Store {
	b.Helper()
	path := filepath.Join(b.TempDir(), "l.db")
	l, err := sqlite.Open(b.Context(), path, seriestest.Clock())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	db, err := stdsql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	exec := func(q string, args ...any) {
		if _, err := tx.Exec(q, args...); err != nil {
			b.Fatal(err)
		}
	}
	key, err := json.Marshal(result.Key{Metric: "output_rate", Target: "engine"})
	if err != nil {
		b.Fatal(err)
	}
	for i := range each {
		exec(`INSERT INTO round (seq, id, run_id, attempt_id, agent_id, idx, at_ns, machine, project, suite, branch, commit_id, commit_ns, lane, build,
			valid, faults, synthetic, doc) VALUES (?, ?, 'r', 'a', 'x', 1, ?, 'm', '', 's', 'main', 'c', 0, 'base', 'v', 1, 0, 0, x'')`,
			i+1, fmt.Sprint("r", i), int64(i)*1e6)
	}
	insert, err := tx.Prepare(`INSERT INTO round_value VALUES (?, ?, ?, ?, 0.1, 3, 1)`)
	if err != nil {
		b.Fatal(err)
	}
	for s := range seriesN {
		exec(`INSERT INTO series (id, digest, key, project, suite, workload, point, metric, target, model, synthetic, last_ns)
			VALUES (?, ?, ?, '', 's', ?, '{}', 'output_rate', 'engine', 'm', 0, 0)`, s+1, fmt.Sprint("d", s), string(key), fmt.Sprint("w", s))
		for i := range each {
			if _, err := insert.Exec(s+1, int64(i)*1e6, i+1, float64(i)); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return sql.New(l.ReadDB())
}

func BenchmarkList(b *testing.B) {
	s := large(b, 10_000, 30)
	for b.Loop() {
		list, err := s.List(b.Context(), series.ListQuery{Limit: 10_000, Recent: 20})
		if err != nil || len(list) != 10_000 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkTrend(b *testing.B) {
	s := large(b, 1, 100_000)
	for b.Loop() {
		ps, err := s.Trend(b.Context(), series.Query{Series: "d0", Limit: 1000})
		if err != nil || len(ps) != 1000 {
			b.Fatal(len(ps), err)
		}
	}
}
