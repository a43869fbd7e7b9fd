package ledgertest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

func testLife(t *testing.T, f *fixture) {
	f.create("r1", 1)
	f.wants(f.Runs().Create(f.ctx, mustRun("r1"), nil), ledger.ErrExists)
	_, err := f.Runs().Judge(f.ctx, "r1")
	f.wants(err, ledger.ErrState) // its attempt is queued

	a, ok := f.claim()
	if !ok || a.State != ledger.AttemptLeased || a.Agent != f.agent.ID {
		t.Fatalf("claimed %+v, %v", a, ok)
	}
	if _, again := f.claim(); again {
		t.Error("a second claim got something")
	}
	r := NewRound(a, 1, 10)
	b := Batch(a.ID, 1, r)
	_, err = f.Batches().Put(f.ctx, f.agent.ID, b, rounds(r))
	f.must(err)
	_, err = f.Attempts().End(f.ctx, f.agent.ID, End(a.ID, wire.OutcomeDone, b))
	f.must(err)

	run, err := f.Runs().Judge(f.ctx, "r1")
	f.must(err)
	if run.State != ledger.RunJudging {
		t.Errorf("state %s, want judging", run.State)
	}
	_, err = f.Runs().Judge(f.ctx, "r1") // after a crash in between
	f.must(err)
	j := ledger.Judgement{Run: "r1", Verdict: "pass", Exit: 0, Input: []byte(`{"in":1}`), Report: []byte(`{"out":2}`)}
	f.must(f.Runs().Decide(f.ctx, j, ledger.JoinBase, []ledger.NewTask{{Kind: ledger.TaskExport, Key: "r1"}}))
	f.wants(f.Runs().Decide(f.ctx, j, ledger.JoinBase, nil), ledger.ErrState)

	run, err = f.Runs().Get(f.ctx, "r1")
	f.must(err)
	if run.State != ledger.RunDecided || run.Verdict != "pass" || run.DecidedAt.IsZero() || run.Seq < 1 {
		t.Errorf("decided run is %+v", run)
	}
	js, err := f.Runs().Judgements(f.ctx, "r1")
	f.must(err)
	if len(js) != 1 || js[0].Pass != 1 || string(js[0].Input) != `{"in":1}` || string(js[0].Report) != `{"out":2}` {
		t.Errorf("judgements are %+v", js)
	}
	rs, err := f.Rounds().OfRun(f.ctx, "r1")
	f.must(err)
	if len(rs) != 1 || rs[0].Join != ledger.JoinBase || rs[0].Agent != f.agent.ID || rs[0].Branch != "main" {
		t.Fatalf("rounds are %+v", rs)
	}
	if d := cmp.Diff(r, rs[0].Round); d != "" {
		t.Error(d)
	}
	if n, _, err := f.Tasks().Count(f.ctx, ledger.TaskExport); err != nil || n != 1 {
		t.Errorf("%d export tasks, %v; want 1", n, err)
	}

	f.create("r2", 1)
	list, err := f.Runs().List(f.ctx, ledger.RunFilter{})
	f.must(err)
	if len(list) != 2 || list[0].ID != "r2" || list[1].ID != "r1" {
		t.Errorf("list is %+v, want r2, r1", list)
	}
	list, err = f.Runs().List(f.ctx, ledger.RunFilter{States: []ledger.RunState{ledger.RunDecided}, Branch: "main", Suite: "ci"})
	f.must(err)
	if len(list) != 1 || list[0].ID != "r1" {
		t.Errorf("filtered list is %+v, want r1", list)
	}
}

func mustRun(id string) ledger.Run {
	r, _ := NewRun(id, 1)
	return r
}

func testCancel(t *testing.T, f *fixture) {
	f.create("r1", 1)
	for range 2 {
		r, err := f.Runs().Cancel(f.ctx, "r1", "by hand")
		f.must(err)
		if r.State != ledger.RunCancelled || r.Exit != 5 || r.Reason != "by hand" {
			t.Errorf("cancelled run is %+v", r)
		}
	}
	if _, ok := f.claim(); ok {
		t.Error("an attempt of a cancelled run was claimed")
	}
	// One on a machine is told by its next message and may still end.
	f.create("r2", 1)
	a, _ := f.claim()
	_, err := f.Runs().Cancel(f.ctx, "r2", "by hand")
	f.must(err)
	h, err := f.Attempts().Beat(f.ctx, f.agent.ID, a.ID, 1, ledger.AttemptRunning)
	f.must(err)
	if !h.MustStop || h.Reason == "" {
		t.Errorf("beat of a cancelled run gives %+v", h)
	}
	st, err := f.Batches().Put(f.ctx, f.agent.ID, Batch(a.ID, 1, NewRound(a, 1, 5)), nil)
	f.must(err)
	if !st.MustStop {
		t.Error("batch of a cancelled run isn't told to stop")
	}
	_, err = f.Attempts().End(f.ctx, f.agent.ID, End(a.ID, wire.OutcomeCancelled, Batch(a.ID, 1, NewRound(a, 1, 5))))
	f.must(err)
	_, err = f.Runs().Judge(f.ctx, "r2")
	f.wants(err, ledger.ErrState)

	f.finish("r3", 10)
	f.decide("r3", "pass", ledger.JoinBase)
	_, err = f.Runs().Cancel(f.ctx, "r3", "too late")
	f.wants(err, ledger.ErrState)
}

// testCancelRace: of a cancellation and a decision at once, exactly one holds.
func testCancelRace(t *testing.T, f *fixture) {
	f.finish("r1", 10)
	_, err := f.Runs().Judge(f.ctx, "r1")
	f.must(err)
	var wg sync.WaitGroup
	errs := make([]error, 2)
	wg.Go(func() {
		errs[0] = f.Runs().Decide(f.ctx, ledger.Judgement{Run: "r1", Verdict: "pass", Input: []byte(`1`), Report: []byte(`1`)}, ledger.JoinBase, nil)
	})
	wg.Go(func() { _, errs[1] = f.Runs().Cancel(f.ctx, "r1", "x") })
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("decide gave %v and cancel %v: exactly one must hold", errs[0], errs[1])
	}
	for _, err := range errs {
		if err != nil {
			f.wants(err, ledger.ErrState)
		}
	}
}

func testExpire(t *testing.T, f *fixture) {
	_, a := f.create("r1", 1)
	f.must(f.Attempts().Expire(f.ctx, a.ID, wire.Error{Class: wire.ClassMachine, Message: "no machine took it"}))
	got, err := f.Attempts().Get(f.ctx, a.ID)
	f.must(err)
	if got.State != ledger.AttemptExpired || got.Problem == nil || got.Problem.Message != "no machine took it" {
		t.Errorf("expired attempt is %+v", got)
	}
	if n, _, _ := f.Tasks().Count(f.ctx, ledger.TaskJudge); n != 1 {
		t.Errorf("%d judge tasks, want 1", n)
	}
	f.create("r2", 1)
	b, _ := f.claim()
	f.wants(f.Attempts().Expire(f.ctx, b.ID, wire.Error{}), ledger.ErrState)
}

func testMore(t *testing.T, f *fixture) {
	f.finish("r1", 10)
	f.wants(f.Runs().More(f.ctx, ledger.Judgement{Run: "r1", Input: []byte(`1`), Report: []byte(`1`)},
		[]ledger.Attempt{{ID: "r1-a2", Run: "r1", FirstRound: 2, Rounds: 2}}), ledger.ErrState) // not judging
	_, err := f.Runs().Judge(f.ctx, "r1")
	f.must(err)
	j := ledger.Judgement{Run: "r1", Verdict: "more", Input: []byte(`1`), Report: []byte(`1`)}
	f.wants(f.Runs().More(f.ctx, j, []ledger.Attempt{{ID: "x", Run: "other"}}), ledger.ErrInvalid)
	f.must(f.Runs().More(f.ctx, j, []ledger.Attempt{{ID: "r1-a2", Run: "r1", FirstRound: 2, Rounds: 2, Device: "cpu", Devices: 1}}))
	r, err := f.Runs().Get(f.ctx, "r1")
	f.must(err)
	if r.State != ledger.RunMore || r.Rounds != 3 {
		t.Errorf("run is %s with %d rounds, want more with 3", r.State, r.Rounds)
	}
	as, err := f.Attempts().OfRun(f.ctx, "r1")
	f.must(err)
	if len(as) != 2 || as[0].State != ledger.AttemptDone || as[1].State != ledger.AttemptQueued {
		t.Errorf("attempts are %+v", as)
	}
	_, err = f.Runs().Judge(f.ctx, "r1")
	f.wants(err, ledger.ErrState) // the second attempt is not over
	a, ok := f.claim()
	if !ok || a.ID != "r1-a2" {
		t.Errorf("claimed %+v", a)
	}
}

func testTasks(t *testing.T, f *fixture) {
	now := f.clock.Now()
	f.must(f.Tasks().Add(f.ctx, ledger.NewTask{Kind: "k", Key: "later", Due: now.Add(time.Minute)}))
	f.must(f.Tasks().Add(f.ctx, ledger.NewTask{Kind: "k", Key: "now"}))
	f.must(f.Tasks().Add(f.ctx, ledger.NewTask{Kind: "other", Key: "now"}))
	k, ok, err := f.Tasks().Claim(f.ctx, []string{"k"}, time.Minute)
	f.must(err)
	if !ok || k.Key != "now" || k.Tries != 0 {
		t.Fatalf("claimed %+v, %v", k, ok)
	}
	if x, ok, _ := f.Tasks().Claim(f.ctx, []string{"k"}, time.Minute); ok {
		t.Errorf("claimed %+v while it is leased", x)
	}
	// Written again while somebody works on it: due again after that.
	f.must(f.Tasks().Add(f.ctx, ledger.NewTask{Kind: "k", Key: "now"}))
	f.must(f.Tasks().Done(f.ctx, k))
	k, ok, err = f.Tasks().Claim(f.ctx, []string{"k"}, time.Minute)
	f.must(err)
	if !ok || k.Key != "now" {
		t.Fatalf("after being written again: claimed %+v, %v", k, ok)
	}
	// A coordinator that died: its lease ends.
	f.clock.Advance(2 * time.Minute)
	k, ok, err = f.Tasks().Claim(f.ctx, []string{"k"}, time.Minute)
	f.must(err)
	if !ok || k.Key != "now" || k.Tries != 1 {
		t.Fatalf("after the lease: claimed %+v, %v", k, ok)
	}
	f.must(f.Tasks().Later(f.ctx, k, f.clock.Now().Add(time.Hour), "down"))
	k, ok, err = f.Tasks().Claim(f.ctx, []string{"k"}, time.Minute)
	f.must(err)
	if !ok || k.Key != "later" {
		t.Fatalf("claimed %+v, %v, want the other", k, ok)
	}
	f.must(f.Tasks().Done(f.ctx, k))
	if n, _, _ := f.Tasks().Count(f.ctx, "k"); n != 1 {
		t.Errorf("%d tasks wait, want 1", n)
	}
}

func testEvents(t *testing.T, f *fixture) {
	before, err := f.Events().Last(f.ctx)
	f.must(err)
	done := make(chan error, 1)
	go func() { done <- f.Events().Wait(f.ctx, before) }()
	f.create("r1", 1)
	f.must(<-done)
	f.create("r2", 1)
	all, err := f.Events().After(f.ctx, before, "", 0)
	f.must(err)
	for i := 1; i < len(all); i++ {
		if all[i].ID <= all[i-1].ID {
			t.Errorf("event %d has id %d after %d", i, all[i].ID, all[i-1].ID)
		}
	}
	if len(all) != 4 { // created and queued, twice
		t.Errorf("%d events, want 4: %+v", len(all), all)
	}
	one, err := f.Events().After(f.ctx, before, "r2", 1)
	f.must(err)
	if len(one) != 1 || one[0].Run != "r2" || one[0].Kind != "run.created" {
		t.Errorf("events of r2 are %+v", one)
	}
	last, err := f.Events().Last(f.ctx)
	f.must(err)
	if last != all[len(all)-1].ID {
		t.Errorf("last is %d, want %d", last, all[len(all)-1].ID)
	}
	if rest, _ := f.Events().After(f.ctx, last, "", 0); len(rest) != 0 {
		t.Errorf("events after the last: %+v", rest)
	}
}

func testAudit(t *testing.T, f *fixture) {
	for _, a := range []string{"one", "two"} {
		f.must(f.Audit().Add(f.ctx, ledger.AuditEntry{Who: "me", Action: a, Object: "x"}))
	}
	got, err := f.Audit().List(f.ctx, 1)
	f.must(err)
	want := []ledger.AuditEntry{{At: f.clock.Now(), Who: "me", Action: "two", Object: "x"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func testUnknown(t *testing.T, f *fixture) {
	_, err := f.Runs().Get(f.ctx, "no")
	f.wants(err, ledger.ErrNotFound)
	_, err = f.Attempts().Get(f.ctx, "no")
	f.wants(err, ledger.ErrNotFound)
	_, err = f.Agents().Get(f.ctx, "no")
	f.wants(err, ledger.ErrNotFound)
	_, err = f.Rounds().Get(f.ctx, "no")
	f.wants(err, ledger.ErrNotFound)
	_, err = f.Rounds().OneSeries(f.ctx, "no")
	f.wants(err, ledger.ErrNotFound)
	_, err = f.Runs().Cancel(f.ctx, "no", "")
	f.wants(err, ledger.ErrNotFound)
	_, err = f.Attempts().Beat(f.ctx, f.agent.ID, "no", 1, ledger.AttemptRunning)
	f.wants(err, ledger.ErrNotFound)
	_, _, _, err = f.Attempts().Claim(f.ctx, ledger.Claim{ID: "c", Agent: "no"}, First)
	f.wants(err, ledger.ErrNotFound)
	if vs, err := f.Rounds().Values(f.ctx, ledger.ValueFilter{Series: "no"}); err != nil || len(vs) != 0 {
		t.Errorf("values of an unknown series: %v, %v", vs, err)
	}
}
