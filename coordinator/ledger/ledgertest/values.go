package ledgertest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
)

func numbers(vs []ledger.Value) []float64 {
	var out []float64
	for _, v := range vs {
		out = append(out, v.Value)
	}
	return out
}

func testValues(t *testing.T, f *fixture) {
	for i, rate := range []float64{10, 11, 12, 13} {
		id := string(rune('a' + i))
		f.finish(id, rate)
		f.decide(id, "pass", []ledger.Join{ledger.JoinBase, ledger.JoinNone, ledger.JoinBase, ledger.JoinBase}[i])
	}
	digest := Series("output_rate")
	all, err := f.Rounds().Values(f.ctx, ledger.ValueFilter{Series: digest})
	f.must(err)
	if d := cmp.Diff([]float64{10, 11, 12, 13}, numbers(all)); d != "" {
		t.Fatal(d)
	}
	v := all[0]
	want := ledger.Value{
		Series: digest, At: v.At, Value: 10, Spread: 0.5, N: 3, Valid: true, RoundSeq: v.RoundSeq, Round: "a-a1-r1", Run: "a", Attempt: "a-a1",
		Machine: "m1", Branch: "main", Commit: "c-a", Build: "v1", Lane: result.LaneBase, Join: ledger.JoinBase,
	}
	if d := cmp.Diff(want, v); d != "" {
		t.Error(d)
	}
	for _, c := range []struct {
		name string
		f    ledger.ValueFilter
		want []float64
	}{
		{"joined", ledger.ValueFilter{Joins: []ledger.Join{ledger.JoinBase}}, []float64{10, 12, 13}},
		{"the newest two", ledger.ValueFilter{Limit: 2}, []float64{12, 13}},
		{"before", ledger.ValueFilter{Before: all[2].At}, []float64{10, 11}},
		{"from", ledger.ValueFilter{After: all[2].At}, []float64{12, 13}},
		{"one run", ledger.ValueFilter{Run: "b"}, []float64{11}},
		{"not one run", ledger.ValueFilter{NotRun: "b"}, []float64{10, 12, 13}},
		{"branch", ledger.ValueFilter{Branch: "other"}, nil},
		{"lanes", ledger.ValueFilter{Lanes: []result.Lane{result.LaneBase, result.LaneLocal}}, []float64{10, 11, 12, 13}},
		{"candidates", ledger.ValueFilter{Lanes: []result.Lane{result.LaneCandidate}}, nil},
	} {
		c.f.Series = digest
		got, err := f.Rounds().Values(f.ctx, c.f)
		f.must(err)
		if d := cmp.Diff(c.want, numbers(got)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	of, err := f.Rounds().ValuesOf(f.ctx, "a-a1-r1")
	f.must(err)
	if d := cmp.Diff([]float64{10, 100}, numbers(of)); d != "" {
		t.Error(d)
	}
	series, err := f.Rounds().Series(f.ctx, ledger.SeriesFilter{Suite: "ci"})
	f.must(err)
	if len(series) != 2 || series[0].Key.Metric != "output_rate" || series[0].Digest != digest || series[0].Key.Digest() != digest ||
		series[0].Point["concurrency"] != "1" || series[0].Workload != "story" {
		t.Errorf("series are %+v", series)
	}
	one, err := f.Rounds().OneSeries(f.ctx, digest)
	f.must(err)
	if d := cmp.Diff(series[0], one); d != "" {
		t.Error(d)
	}
	if none, err := f.Rounds().Series(f.ctx, ledger.SeriesFilter{Metric: "gap.p50"}); err != nil || len(none) != 0 {
		t.Errorf("series of another metric: %+v, %v", none, err)
	}
}

func (f *fixture) joined(joins ...ledger.Join) []float64 {
	f.t.Helper()
	vs, err := f.Rounds().Values(f.ctx, ledger.ValueFilter{Series: Series("output_rate"), Joins: joins})
	f.must(err)
	return numbers(vs)
}

func testBaselines(t *testing.T, f *fixture) {
	accept := ledger.Acceptance{Branch: "main", Reason: "known cost of the fix", By: "me"}
	_, err := f.Baselines().Accept(f.ctx, accept)
	f.wants(err, ledger.ErrNotFound)
	f.finish("a", 10)
	f.decide("a", "pass", ledger.JoinBase)
	f.finish("b", 7)
	f.decide("b", "fail", ledger.JoinPending)
	if d := cmp.Diff([]float64{10}, f.joined(ledger.JoinBase)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]float64{7}, f.joined(ledger.JoinPending)); d != "" {
		t.Error(d)
	}
	_, err = f.Baselines().Accept(f.ctx, ledger.Acceptance{Branch: "main"})
	f.wants(err, ledger.ErrInvalid) // without a reason
	done, err := f.Baselines().Accept(f.ctx, accept)
	f.must(err)
	if done.Rounds != 1 {
		t.Errorf("%d rounds accepted, want 1", done.Rounds)
	}
	if d := cmp.Diff([]float64{7}, f.joined(ledger.JoinBase)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]float64{10}, f.joined(ledger.JoinFormer)); d != "" {
		t.Error(d)
	}
	// A branch that recovers by itself drops what waited.
	f.finish("c", 3)
	f.decide("c", "fail", ledger.JoinPending)
	f.finish("d", 7.1)
	f.decide("d", "pass", ledger.JoinBase)
	if got := f.joined(ledger.JoinPending); len(got) != 0 {
		t.Errorf("pending after recovery: %v", got)
	}
	if d := cmp.Diff([]float64{7, 7.1}, f.joined(ledger.JoinBase)); d != "" {
		t.Error(d)
	}
	as, err := f.Baselines().Acceptances(f.ctx, "", "main")
	f.must(err)
	if d := cmp.Diff([]ledger.Acceptance{done}, as); d != "" {
		t.Error(d)
	}
	log, err := f.Audit().List(f.ctx, 0)
	f.must(err)
	if !slices.ContainsFunc(log, func(e ledger.AuditEntry) bool { return e.Action == "baseline.accept" && e.Who == "me" }) {
		t.Errorf("the audit log has no acceptance: %+v", log)
	}
	// Faulty and invalid rounds never join.
	r, a := NewRun("e", 1)
	r.Faults = []string{"slow=1.43"}
	f.must(f.Runs().Create(f.ctx, r, []ledger.Attempt{a}))
	a, _ = f.claim()
	x := NewRound(a, 1, 1)
	b := Batch(a.ID, 1, x)
	_, err = f.Batches().Put(f.ctx, f.agent.ID, b, rounds(x))
	f.must(err)
	_, err = f.Attempts().End(f.ctx, f.agent.ID, End(a.ID, "done", b))
	f.must(err)
	f.decide("e", "pass", ledger.JoinBase)
	if d := cmp.Diff([]float64{7, 7.1}, f.joined(ledger.JoinBase)); d != "" {
		t.Errorf("after a run with planted faults: %s", d)
	}
}

func testPins(t *testing.T, f *fixture) {
	f.finish("a", 10)
	f.decide("a", "pass", ledger.JoinBase)
	p := ledger.Pin{Name: "v1.0", Branch: "main", Suite: "ci", Runs: []string{"a"}, By: "me", Reason: "release"}
	f.must(f.Baselines().Pin(f.ctx, p))
	p.Runs = []string{"no"}
	f.wants(f.Baselines().Pin(f.ctx, p), ledger.ErrNotFound)
	p.Runs, p.Suite = []string{"a"}, "other"
	f.wants(f.Baselines().Pin(f.ctx, p), ledger.ErrInvalid)
	pins, err := f.Baselines().Pins(f.ctx, "", "ci")
	f.must(err)
	if len(pins) != 1 || pins[0].Name != "v1.0" {
		t.Fatalf("pins are %+v", pins)
	}
	vs, err := f.Baselines().PinnedValues(f.ctx, pins[0], Series("output_rate"))
	f.must(err)
	if d := cmp.Diff([]float64{10}, numbers(vs)); d != "" {
		t.Error(d)
	}
	f.wants(f.Baselines().Unpin(f.ctx, ledger.Pin{Name: "v1.0", Suite: "other", By: "me"}), ledger.ErrNotFound)
	f.must(f.Baselines().Unpin(f.ctx, ledger.Pin{Name: "v1.0", Suite: "ci", By: "me", Reason: "old"}))
	if pins, err = f.Baselines().Pins(f.ctx, "", ""); err != nil || len(pins) != 0 {
		t.Errorf("after unpinning: %+v, %v", pins, err)
	}
	log, err := f.Audit().List(f.ctx, 1)
	f.must(err)
	if len(log) != 1 || log[0].Action != "baseline.unpin" || log[0].Who != "me" || log[0].Detail != "old" {
		t.Errorf("the audit log has %+v", log)
	}
}

func testProbes(t *testing.T, f *fixture) {
	f.create("r1", 3)
	a, _ := f.claim()
	for i := 1; i <= 3; i++ {
		r := NewRound(a, i, 10)
		if i == 2 { // found off by the probe: no history to compare with
			r.Valid = false
			r.Reasons = []result.Reason{{Code: "probe", Detail: "slow"}}
		}
		_, err := f.Batches().Put(f.ctx, f.agent.ID, Batch(a.ID, uint64(i), r), rounds(r))
		f.must(err)
	}
	got, err := f.Rounds().Probes(f.ctx, "m1", "", "cpu.read", 0)
	f.must(err)
	if d := cmp.Diff([]float64{11, 13}, got); d != "" {
		t.Error(d)
	}
	got, err = f.Rounds().Probes(f.ctx, "m1", "", "cpu.read", 1)
	f.must(err)
	if d := cmp.Diff([]float64{13}, got); d != "" {
		t.Error(d)
	}
}
