package ledgertest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/coordinator/ledger"
)

func testLevels(t *testing.T, f *fixture) {
	f.finish("a", 10)
	f.decide("a", "pass", ledger.JoinBase)
	f.finish("b", 10)
	f.decide("b", "pass", ledger.JoinBase)
	f.finish("c", 5)
	f.decide("c", "fail", ledger.JoinPending)
	f.finish("d", 5)
	f.decide("d", "invalid", ledger.JoinNone)
	got, err := f.Baselines().Levels(f.ctx)
	f.must(err)
	rs, err := f.Rounds().OfRun(f.ctx, "c")
	f.must(err)
	if d := cmp.Diff([]ledger.Level{{Branch: "main", Suite: "ci", Joined: 2, Pending: 1, Newest: rs[0].At}}, got); d != "" {
		t.Error(d)
	}
}

// imported is a run of the base branch that ended at a time.
func imported(id string, ended time.Time, rates ...float64) ledger.ImportedRun {
	r, a := NewRun(id, len(rates))
	r.Created = ended.Add(-time.Hour)
	x := ledger.ImportedRun{Run: r.Run, Verdict: "pass", Report: []byte(`{"run":"` + id + `"}`)}
	for i, rate := range rates {
		y := NewRound(a, i+1, rate)
		y.Started, y.Ended = ended.Add(-time.Minute), ended
		x.Rounds = append(x.Rounds, y)
	}
	return x
}

func testImport(t *testing.T, f *fixture) {
	old := f.clock.Now().Add(-48 * time.Hour)
	invalid := imported("i2", old.Add(time.Hour), 12, 13)
	invalid.Rounds[1].Valid = false
	future := imported("i3", f.clock.Now().Add(24*time.Hour), 14) // another machine's clock
	in := ledger.Import{By: "me", From: "main.json", Runs: []ledger.ImportedRun{imported("i1", old, 11), invalid, future}}
	f.finish("own", 15)
	f.decide("own", "pass", ledger.JoinBase)

	got, err := f.Baselines().Import(f.ctx, in)
	f.must(err)
	if d := cmp.Diff(ledger.Imported{Runs: 3, Rounds: 3}, got); d != "" {
		t.Error(d)
	}
	vs, err := f.Rounds().Values(f.ctx, ledger.ValueFilter{Series: Series("output_rate"), Joins: []ledger.Join{ledger.JoinBase}})
	f.must(err)
	var values []float64
	for _, v := range vs {
		values = append(values, v.Value)
		if v.At.After(f.clock.Now().Add(time.Second)) {
			t.Errorf("round %s lies in the future, at %s", v.Round, v.At)
		}
	}
	if d := cmp.Diff([]float64{11, 12}, values[:2]); d != "" || len(values) != 4 {
		t.Errorf("joined are %v: %s", values, d)
	}
	if !vs[0].At.Equal(old) {
		t.Errorf("the first round lies at %s, it ended at %s", vs[0].At, old)
	}
	run, err := f.Runs().Get(f.ctx, "i1")
	f.must(err)
	if run.State != ledger.RunDecided || run.Verdict != "pass" || run.Commit != "c-i1" || !run.Created.Equal(old.Add(-time.Hour)) || run.DecidedAt.IsZero() {
		t.Errorf("the run is %+v", run)
	}
	js, err := f.Runs().Judgements(f.ctx, "i1")
	f.must(err)
	if len(js) != 1 || string(js[0].Report) != `{"run":"i1"}` {
		t.Errorf("judgements are %+v", js)
	}
	as, err := f.Attempts().OfRun(f.ctx, "i2")
	f.must(err)
	if len(as) != 1 || as[0].State != ledger.AttemptDone || as[0].Rounds != 2 {
		t.Errorf("attempts are %+v", as)
	}
	rs, err := f.Rounds().OfRun(f.ctx, "i2")
	f.must(err)
	if len(rs) != 2 || rs[0].Join != ledger.JoinBase || rs[1].Join != ledger.JoinNone || rs[0].Agent != ledger.ImportAgent {
		t.Errorf("rounds are %+v", rs)
	}
	agent, err := f.Agents().Get(f.ctx, ledger.ImportAgent)
	f.must(err)
	if agent.State != ledger.AgentRetired {
		t.Errorf("the importing agent is %s", agent.State)
	}
	log, err := f.Audit().List(f.ctx, 0)
	f.must(err)
	if len(log) == 0 || log[0].Action != "baseline.import" || log[0].Who != "me" || log[0].Object != "main.json" {
		t.Errorf("the audit log has %+v", log)
	}

	// Again: nothing changes, also what people decided since.
	_, err = f.Baselines().Accept(f.ctx, ledger.Acceptance{Branch: "main", Reason: "x", By: "me"})
	f.wants(err, ledger.ErrNotFound)
	got, err = f.Baselines().Import(f.ctx, in)
	f.must(err)
	if d := cmp.Diff(ledger.Imported{Known: 3}, got); d != "" {
		t.Error(d)
	}
	if again, err := f.Audit().List(f.ctx, 0); err != nil || len(again) != len(log) {
		t.Errorf("importing nothing new was written to the audit log: %+v, %v", again, err)
	}
	// The next round of this machine lies behind them all.
	f.finish("next", 16)
	f.decide("next", "pass", ledger.JoinBase)
	if got := f.joined(ledger.JoinBase); len(got) != 5 || got[4] != 16 {
		t.Errorf("joined are %v", got)
	}
}

// testImportContradicts: one run that can't be, and nothing of the import is there.
func testImportContradicts(t *testing.T, f *fixture) {
	at := f.clock.Now().Add(-time.Hour)
	f.finish("own", 10)
	f.decide("own", "pass", ledger.JoinBase)
	f.finish("open", 10)
	change := func(id string, g func(*ledger.ImportedRun)) ledger.ImportedRun {
		x := imported(id, at, 10)
		g(&x)
		return x
	}
	for name, c := range map[string]struct {
		bad  ledger.ImportedRun
		want error
	}{
		"another run of that id":    {change("own", func(x *ledger.ImportedRun) { x.Run.Commit = "other" }), ledger.ErrExists},
		"a run that is not decided": {imported("open", at, 10), ledger.ErrExists},
		"a round of that id":        {change("n1", func(x *ledger.ImportedRun) { x.Rounds[0].ID = "own-a1-r1" }), ledger.ErrExists},
		"an attempt of that id":     {change("n2", func(x *ledger.ImportedRun) { x.Rounds[0].AttemptID = "own-a1" }), ledger.ErrExists},
		"a round of another run":    {change("n3", func(x *ledger.ImportedRun) { x.Rounds[0].RunID = "own" }), ledger.ErrInvalid},
		"no rounds":                 {change("n4", func(x *ledger.ImportedRun) { x.Rounds = nil }), ledger.ErrInvalid},
	} {
		_, err := f.Baselines().Import(f.ctx, ledger.Import{By: "me", Runs: []ledger.ImportedRun{imported("good", at, 10), c.bad}})
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		f.wants(err, c.want)
		if _, err := f.Runs().Get(f.ctx, "good"); err == nil {
			t.Fatalf("%s: half of the import is there", name)
		}
	}
	if _, err := f.Agents().Get(f.ctx, ledger.ImportAgent); err == nil {
		t.Error("the importing agent is there, and nothing was imported")
	}
}

func testKept(t *testing.T, f *fixture) {
	body := []byte(strings.Repeat("what a run is compared with ", 1000))
	digest, err := f.Baselines().Keep(f.ctx, body)
	f.must(err)
	again, err := f.Baselines().Keep(f.ctx, body)
	f.must(err)
	if digest != again || len(digest) != 64 {
		t.Errorf("digests %q and %q", digest, again)
	}
	got, err := f.Baselines().Kept(f.ctx, digest)
	f.must(err)
	if !bytes.Equal(got, body) {
		t.Errorf("kept %d bytes, got %d", len(body), len(got))
	}
	_, err = f.Baselines().Kept(f.ctx, strings.Repeat("0", 64))
	f.wants(err, ledger.ErrNotFound)
}
