// Package seriestest is the conformance suite of coordinator/series: every store
// runs it.
package seriestest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
)

// Fill makes a store that holds exactly these rounds, in their order. Whatever must
// be true of a round's points is taken from the ledger's own rows for it.
type Fill func(t *testing.T, rounds []Round) series.Reader

// Round is one round with one cell to be stored.
type Round struct {
	Suite, Workload string
	Target          string
	Lane            result.Lane
	Commit          string
	Invalid         bool
	Faults          []string
	Values          map[metric.ID]float64
}

// Run holds a store to the suite.
func Run(t *testing.T, fill Fill) {
	t.Run("trend", func(t *testing.T) { testTrend(t, fill) })
	t.Run("list", func(t *testing.T) { testList(t, fill) })
	t.Run("empty", func(t *testing.T) { testEmpty(t, fill) })
	t.Run("difficult names", func(t *testing.T) { testNames(t, fill) })
}

// round is one with an output_rate.
func round(lane result.Lane, rate float64) Round {
	return Round{
		Suite: "ci", Workload: "story", Target: "engine", Lane: lane, Commit: fmt.Sprint("c", rate),
		Values: map[metric.ID]float64{"output_rate": rate, "ttft.p50": 1000 / rate},
	}
}

// find gives the digest of the one series that matches.
func find(t *testing.T, s series.Reader, q series.ListQuery) string {
	t.Helper()
	list, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Fatalf("%d series match %+v, want 1: %+v", len(list), q, list)
	}
	return list[0].Tags.Series
}

func values(ps []series.Point) []float64 {
	var out []float64
	for _, p := range ps {
		out = append(out, p.Value)
	}
	return out
}

func testTrend(t *testing.T, fill Fill) {
	bad := round(result.LaneBase, 13)
	bad.Invalid = true
	faulty := round(result.LaneLocal, 14)
	faulty.Faults = []string{"slow=1.43"}
	s := fill(t, []Round{round(result.LaneBase, 10), round(result.LaneCandidate, 11), round(result.LaneBase, 12), bad, faulty})
	digest := find(t, s, series.ListQuery{Metric: "output_rate"})
	all, err := s.Trend(t.Context(), series.Query{Series: digest})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float64{10, 11, 12, 13, 14}, values(all)); d != "" {
		t.Fatal(d)
	}
	if !slices.IsSortedFunc(all, func(a, b series.Point) int { return a.At.Compare(b.At) }) {
		t.Error("the trend is not in order of time")
	}
	p := all[1]
	want := series.Point{
		Tags: series.Tags{
			Series: digest, Suite: "ci", Workload: "story", Metric: "output_rate", Target: "engine", GPU: "cpu", Precision: "bf16/f32",
			Lane: result.LaneCandidate,
		},
		At: p.At, Value: 11, Spread: 0.25, N: 3, Valid: true, Branch: "main", Commit: "c11", Run: p.Run, Attempt: p.Attempt, Round: p.Round,
		Build: "v1", Machine: "m1",
	}
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}
	if p.Run == "" || p.Attempt == "" || p.Round == "" || p.At.IsZero() {
		t.Errorf("the point doesn't say where it is from: %+v", p)
	}
	if all[3].Valid || !all[4].Faults || all[4].Lane != result.LaneLocal {
		t.Errorf("marks are lost: %+v, %+v", all[3], all[4])
	}
	for _, c := range []struct {
		name string
		q    series.Query
		want []float64
	}{
		{"the newest two", series.Query{Limit: 2}, []float64{13, 14}},
		{"one lane", series.Query{Lanes: []result.Lane{result.LaneBase}}, []float64{10, 12, 13}},
		{"two lanes, the newest two", series.Query{Lanes: []result.Lane{result.LaneBase, result.LaneCandidate}, Limit: 2}, []float64{12, 13}},
		{"from, inclusive", series.Query{From: all[2].At}, []float64{12, 13, 14}},
		{"to, exclusive", series.Query{To: all[2].At}, []float64{10, 11}},
		{"from to", series.Query{From: all[1].At, To: all[3].At}, []float64{11, 12}},
		{"no such lane", series.Query{Lanes: []result.Lane{"x"}}, nil},
	} {
		c.q.Series = digest
		got, err := s.Trend(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, values(got)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func testList(t *testing.T, fill Fill) {
	var rounds []Round
	for i := range 12 {
		rounds = append(rounds, round(result.LaneBase, float64(10+i)))
	}
	rounds = append(rounds, round(result.LaneCandidate, 1))
	other := round(result.LaneBase, 50)
	other.Suite, other.Workload, other.Target = "other", "w2", "vllm"
	other.Invalid = true
	rounds = append(rounds, other)
	s := fill(t, rounds)
	list, err := s.List(t.Context(), series.ListQuery{Recent: 11})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range list {
		got = append(got, x.Tags.Suite+"/"+x.Tags.Metric)
	}
	if d := cmp.Diff([]string{"ci/output_rate", "ci/ttft.p50", "other/output_rate", "other/ttft.p50"}, got); d != "" {
		t.Fatal(d)
	}
	x := list[0]
	if x.Last.Value != 1 || x.Values != 10 || x.Level != 16.5 || len(x.Recent) != 11 {
		t.Errorf("last %v, level %v of %d, recent %v; want 1, 16.5 of 10", x.Last.Value, x.Level, x.Values, values(x.Recent))
	}
	if want := 1.4826 * 2.5; math.Abs(x.Spread-want) > 1e-12 {
		t.Errorf("spread %v, want %v", x.Spread, want)
	}
	if y := list[2]; y.Values != 0 || y.Last.Value != 50 {
		t.Errorf("without a valid value: %d values, last %v", y.Values, y.Last.Value)
	}
	for _, q := range []series.ListQuery{{Suite: "other", Metric: "output_rate"}, {Workload: "w2", Limit: 1}, {Target: "vllm", Metric: "ttft.p50"}} {
		find(t, s, q)
	}
	if none, err := s.List(t.Context(), series.ListQuery{Suite: "no"}); err != nil || len(none) != 0 {
		t.Errorf("of an unknown suite: %v, %v", none, err)
	}
}

func testEmpty(t *testing.T, fill Fill) {
	s := fill(t, nil)
	if ps, err := s.Trend(t.Context(), series.Query{Series: "00"}); err != nil || len(ps) != 0 {
		t.Errorf("trend of nothing: %v, %v", ps, err)
	}
	if list, err := s.List(t.Context(), series.ListQuery{}); err != nil || len(list) != 0 {
		t.Errorf("list of nothing: %v, %v", list, err)
	}
}

func testNames(t *testing.T, fill Fill) {
	for _, name := range []string{`sp ace`, `a,b=c`, `q"uote`, `${r.x}`, `") |> drop(`, `üñï`, `'; --`, "`"} {
		r := round(result.LaneBase, 10)
		r.Workload = name
		s := fill(t, []Round{r, round(result.LaneBase, 11)})
		digest := find(t, s, series.ListQuery{Workload: name, Metric: "output_rate"})
		ps, err := s.Trend(t.Context(), series.Query{Series: digest})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff([]float64{10}, values(ps)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Store writes rounds into a ledger in the way in which agents deliver them, and
// gives the points of each.
func Store(t *testing.T, ctx context.Context, l ledger.Ledger, rounds []Round) []series.Point {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.Agents().Enrol(ctx, ledger.Agent{ID: "a1", Name: "alpha"})
	must(err)
	var out []series.Point
	for i, x := range rounds {
		r := result.Round{
			ID: fmt.Sprintf("r%d-1", i), RunID: fmt.Sprint("r", i), AttemptID: fmt.Sprintf("r%d-a1", i), Index: 1, Valid: !x.Invalid,
			Environment: result.Environment{MachineID: "m1", Hardware: result.Hardware{CPUModel: "cpu", Cores: 2}},
			Subject:     result.Identity{Build: "v1", DType: "bf16/f32", Faults: x.Faults},
			Cells:       []result.CellResult{{Cell: "cell of " + x.Workload, Workload: x.Workload, Valid: true}},
		}
		for _, id := range []metric.ID{"output_rate", "ttft.p50"} {
			if v, ok := x.Values[id]; ok {
				r.Cells[0].Values = append(r.Cells[0].Values, result.Value{Metric: id, Value: v, N: 3, Spread: 0.25})
			}
		}
		run := ledger.Run{Run: result.Run{
			ID: r.RunID, Suite: x.Suite, Branch: "main", Lane: x.Lane, Commit: x.Commit, Subject: result.Subject{Target: x.Target},
		}, Rounds: 1}
		must(l.Runs().Create(ctx, run, []ledger.Attempt{{ID: r.AttemptID, Run: r.RunID, FirstRound: 1, Rounds: 1}}))
		a, _, ok, err := l.Attempts().Claim(ctx, ledger.Claim{ID: "claim" + r.ID, Agent: "a1", Devices: []string{fmt.Sprint("device", i)}},
			func(_ []ledger.Attempt, _ ledger.Agent, free []string) (int, []string, string) { return 0, free, "" })
		must(err)
		if !ok || a.ID != r.AttemptID {
			t.Fatalf("claimed %+v, want %s", a, r.AttemptID)
		}
		_, err = l.Batches().Put(ctx, "a1", batch(t, a.ID, r), []result.Round{r})
		must(err)
		vs, err := l.Rounds().ValuesOf(ctx, r.ID)
		must(err)
		for _, v := range vs {
			s, err := l.Rounds().OneSeries(ctx, v.Series)
			must(err)
			out = append(out, series.FromLedger(s, v))
		}
	}
	return out
}

// Clock gives a clock that moves by a second with each look at it.
func Clock() func() time.Time {
	now := make(chan time.Time, 1)
	now <- time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)
	return func() time.Time {
		t := <-now
		now <- t.Add(time.Second)
		return t
	}
}
