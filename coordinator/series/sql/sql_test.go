package sql_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/coordinator/series/seriestest"
	"github.com/paceline/paceline/coordinator/series/sql"
)

func open(t testing.TB) *sqlite.Ledger {
	t.Helper()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), seriestest.Clock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestConformance(t *testing.T) {
	seriestest.Run(t, func(t *testing.T, rounds []seriestest.Round) series.Reader {
		l := open(t)
		seriestest.Store(t, t.Context(), l, rounds)
		return sql.New(l.ReadDB())
	})
}

// TestSameAsLedger: a point read is the point that the export makes of the ledger's
// row, so that stores agree with each other.
func TestSameAsLedger(t *testing.T) {
	l := open(t)
	var rounds []seriestest.Round
	for i := range 5 {
		rounds = append(rounds, seriestest.Round{
			Suite: "ci", Workload: "w", Target: "engine", Lane: result.LaneBase, Commit: fmt.Sprint(i),
			Values: map[metric.ID]float64{"output_rate": float64(i + 1)},
		})
	}
	want := seriestest.Store(t, t.Context(), l, rounds)
	got, err := sql.New(l.ReadDB()).Trend(t.Context(), series.Query{Series: want[0].Series})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d points, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("point %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}
