package ledgertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

func rounds(rs ...result.Round) []result.Round { return rs }

func testClaimRepeated(t *testing.T, f *fixture) {
	claim := func(id string) (ledger.Attempt, bool) {
		a, _, ok, err := f.Attempts().Claim(f.ctx, ledger.Claim{ID: id, Agent: f.agent.ID, Devices: []string{"cpu"}}, First)
		f.must(err)
		return a, ok
	}
	if _, ok := claim("early"); ok {
		t.Error("claimed from an empty queue")
	}
	f.create("r1", 1)
	f.create("r2", 1)
	if _, ok := claim("early"); ok {
		t.Error("the repeated claim got another answer than before")
	}
	a, ok := claim("c")
	if !ok || a.Run != "r1" {
		t.Fatalf("claimed %+v, %v", a, ok)
	}
	b, ok := claim("c")
	if d := cmp.Diff(a, b); d != "" || !ok {
		t.Errorf("the repeated claim got another answer: %s", d)
	}
	agent, err := f.Agents().Get(f.ctx, f.agent.ID)
	f.must(err)
	if agent.State != ledger.AgentBusy || !agent.LastSeen.Equal(f.clock.Now()) {
		t.Errorf("agent is %+v, want busy and seen", agent)
	}
	// Even with the same answers, the device is leased once: another claim finds none free.
	if _, ok := claim("d"); ok {
		t.Error("a device was leased twice")
	}
	f.enrol("a2", "beta")
	_, _, _, err = f.Attempts().Claim(f.ctx, ledger.Claim{ID: "c", Agent: "a2"}, First)
	f.wants(err, ledger.ErrForeign)
}

func testClaimsAtOnce(t *testing.T, f *fixture) {
	const agents, runs = 8, 5
	for i := range runs {
		f.create(fmt.Sprint("r", i), 1)
	}
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for i := range agents {
		a := f.enrol(fmt.Sprint("x", i), fmt.Sprint("x", i))
		wg.Go(func() {
			for j := range 3 {
				at, _, ok, err := f.Attempts().Claim(f.ctx, ledger.Claim{ID: fmt.Sprint(a.ID, "-", j), Agent: a.ID, Devices: []string{"cpu"}}, First)
				if err != nil {
					t.Error(err)
				}
				if ok {
					mu.Lock()
					got[at.ID]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(got) != runs {
		t.Errorf("%d attempts claimed, want %d", len(got), runs)
	}
	for id, n := range got {
		if n != 1 {
			t.Errorf("attempt %s was claimed %d times", id, n)
		}
	}
}

func testForeign(_ *testing.T, f *fixture) {
	f.create("r1", 1)
	a, _ := f.claim()
	f.enrol("a2", "beta")
	_, err := f.Attempts().Beat(f.ctx, "a2", a.ID, 1, ledger.AttemptRunning)
	f.wants(err, ledger.ErrForeign)
	_, err = f.Batches().Put(f.ctx, "a2", Batch(a.ID, 1), nil)
	f.wants(err, ledger.ErrForeign)
	_, err = f.Attempts().End(f.ctx, "a2", End(a.ID, wire.OutcomeDone))
	f.wants(err, ledger.ErrForeign)
}

func testBeats(t *testing.T, f *fixture) {
	f.create("r1", 1)
	a, _ := f.claim()
	for _, c := range []struct {
		n     uint64
		say   ledger.AttemptState
		state ledger.AttemptState
		beat  uint64
	}{
		{1, ledger.AttemptLeased, ledger.AttemptLeased, 1},
		{2, ledger.AttemptRunning, ledger.AttemptRunning, 2},
		{2, ledger.AttemptUploading, ledger.AttemptRunning, 2}, // not above the last
		{3, ledger.AttemptLeased, ledger.AttemptRunning, 3},    // never back
		{4, ledger.AttemptDone, ledger.AttemptRunning, 4},      // End does that
		{1, ledger.AttemptUploading, ledger.AttemptRunning, 4}, // late
		{9, ledger.AttemptUploading, ledger.AttemptUploading, 9},
	} {
		h, err := f.Attempts().Beat(f.ctx, f.agent.ID, a.ID, c.n, c.say)
		f.must(err)
		got, err := f.Attempts().Get(f.ctx, a.ID)
		f.must(err)
		if h.State != c.state || got.State != c.state || got.Beat != c.beat || h.MustStop {
			t.Errorf("beat %d %s: heard %+v, stored %s at %d; want %s at %d", c.n, c.say, h, got.State, got.Beat, c.state, c.beat)
		}
	}
}

func testBatches(t *testing.T, f *fixture) {
	f.create("r1", 3)
	a, _ := f.claim()
	put := func(b wire.BatchRequest, rs ...result.Round) ledger.Stored {
		t.Helper()
		st, err := f.Batches().Put(f.ctx, f.agent.ID, b, rs)
		f.must(err)
		return st
	}
	r1, r2, r3 := NewRound(a, 1, 10), NewRound(a, 2, 11), NewRound(a, 3, 12)
	b1, b2, b3 := Batch(a.ID, 1, r1), Batch(a.ID, 2, r2), Batch(a.ID, 3, r3)
	for i, c := range []struct {
		b    wire.BatchRequest
		r    result.Round
		want ledger.Stored
	}{
		{b1, r1, ledger.Stored{HighWater: 1, New: true}},
		{b1, r1, ledger.Stored{HighWater: 1}},
		{b3, r3, ledger.Stored{HighWater: 1, New: true}},
		{b3, r3, ledger.Stored{HighWater: 1}},
		{b2, r2, ledger.Stored{HighWater: 3, New: true}},
		{b2, r2, ledger.Stored{HighWater: 3}},
	} {
		if got := put(c.b, c.r); got != c.want {
			t.Errorf("step %d: %+v, want %+v", i, got, c.want)
		}
	}
	rs, err := f.Rounds().OfRun(f.ctx, "r1")
	f.must(err)
	if len(rs) != 3 || rs[0].Index != 1 || rs[1].Index != 2 || rs[2].Index != 3 {
		t.Errorf("rounds are %+v, want indices 1, 2, 3", rs)
	}
	seen := map[time.Time]bool{}
	for _, r := range rs {
		if seen[r.At] {
			t.Errorf("two rounds at %s", r.At)
		}
		seen[r.At] = true
	}
	var seqs []uint64
	f.must(f.Batches().Each(f.ctx, a.ID, wire.StreamRounds, func(seq uint64, body []byte) error {
		seqs = append(seqs, seq)
		if want := []wire.BatchRequest{b1, b2, b3}[seq-1].Body; string(body) != string(want) {
			t.Errorf("body %d is not as it came", seq)
		}
		return nil
	}))
	if d := cmp.Diff([]uint64{1, 2, 3}, seqs); d != "" {
		t.Error(d)
	}
	high, err := f.Batches().HighWater(f.ctx, a.ID)
	f.must(err)
	if d := cmp.Diff(map[string]uint64{wire.StreamRounds: 3}, high); d != "" {
		t.Error(d)
	}
	for name, r := range map[string]result.Round{
		"another attempt": NewRound(ledger.Attempt{ID: "x", Run: "r1"}, 1, 1),
		"index too high":  NewRound(a, 4, 1),
		"without id":      {RunID: a.Run, AttemptID: a.ID, Index: 1},
	} {
		if _, err := f.Batches().Put(f.ctx, f.agent.ID, Batch(a.ID, 4, r), rounds(r)); err == nil {
			t.Errorf("%s: stored", name)
		} else {
			f.wants(err, ledger.ErrInvalid)
		}
	}
	// What was refused left nothing behind.
	if st := put(Batch(a.ID, 4)); st.HighWater != 4 || !st.New {
		t.Errorf("after a refusal: %+v", st)
	}
}

func testEnd(t *testing.T, f *fixture) {
	f.create("r1", 1)
	a, _ := f.claim()
	r := NewRound(a, 1, 10)
	b1 := Batch(a.ID, 1, r)
	b2 := Batch(a.ID, 2)
	_, err := f.Batches().Put(f.ctx, f.agent.ID, b2, nil)
	f.must(err)
	e := End(a.ID, wire.OutcomeDone, b1, b2)
	missing, err := f.Attempts().End(f.ctx, f.agent.ID, e)
	f.must(err)
	if d := cmp.Diff(map[string]uint64{wire.StreamRounds: 1}, missing); d != "" {
		t.Error(d)
	}
	_, err = f.Batches().Put(f.ctx, f.agent.ID, b1, rounds(r))
	f.must(err)
	bad := e
	bad.Digest = "00"
	_, err = f.Attempts().End(f.ctx, f.agent.ID, bad)
	f.wants(err, ledger.ErrInvalid)
	for range 2 { // repeated: harmless
		missing, err = f.Attempts().End(f.ctx, f.agent.ID, e)
		f.must(err)
		if len(missing) != 0 {
			t.Errorf("missing %v", missing)
		}
	}
	if n, _, _ := f.Tasks().Count(f.ctx, ledger.TaskJudge); n != 1 {
		t.Errorf("%d judge tasks, want 1", n)
	}
	other := e
	other.Outcome = wire.OutcomeError
	_, err = f.Attempts().End(f.ctx, f.agent.ID, other)
	f.wants(err, ledger.ErrState)
	agent, err := f.Agents().Get(f.ctx, f.agent.ID)
	f.must(err)
	if agent.State != ledger.AgentIdle {
		t.Errorf("agent is %s after the end, want idle", agent.State)
	}
	h, err := f.Attempts().Beat(f.ctx, f.agent.ID, a.ID, 99, ledger.AttemptRunning)
	f.must(err)
	if !h.MustStop || h.State != ledger.AttemptDone {
		t.Errorf("beat of a finished attempt gives %+v", h)
	}
	_, err = f.Batches().Put(f.ctx, f.agent.ID, Batch(a.ID, 3), nil)
	f.wants(err, ledger.ErrState)
	if st, err := f.Batches().Put(f.ctx, f.agent.ID, b1, rounds(r)); err != nil || st.New || st.HighWater != 2 {
		t.Errorf("a late repetition gives %+v, %v", st, err)
	}
	f.create("r2", 1)
	if _, ok := f.claim(); !ok {
		t.Error("the device was not freed")
	}
}

func testLost(t *testing.T, f *fixture) {
	f.create("r1", 1)
	a, _ := f.claim()
	_, err := f.Attempts().Beat(f.ctx, f.agent.ID, a.ID, 3, ledger.AttemptRunning)
	f.must(err)
	p := wire.Error{Class: wire.ClassMachine, Message: "not heard for 60s"}
	f.wants(f.Attempts().Lose(f.ctx, a.ID, 2, p), ledger.ErrState) // it has beaten since
	f.must(f.Attempts().Lose(f.ctx, a.ID, 3, p))
	f.wants(f.Attempts().Lose(f.ctx, a.ID, 3, p), ledger.ErrState)
	got, err := f.Attempts().Get(f.ctx, a.ID)
	f.must(err)
	if got.State != ledger.AttemptLost || got.Problem == nil || got.EndedAt.IsZero() {
		t.Errorf("lost attempt is %+v", got)
	}
	agent, err := f.Agents().Get(f.ctx, f.agent.ID)
	f.must(err)
	if agent.State != ledger.AgentLost {
		t.Errorf("agent is %s, want lost", agent.State)
	}
	// A late end changes nothing: the attempt's id is the fence.
	_, err = f.Attempts().End(f.ctx, f.agent.ID, End(a.ID, wire.OutcomeDone))
	f.wants(err, ledger.ErrState)
	// The agent is back with its next claim.
	f.create("r2", 1)
	if b, ok := f.claim(); !ok || b.Run != "r2" {
		t.Errorf("claimed %+v, %v", b, ok)
	}
}

func testAgents(t *testing.T, f *fixture) {
	again, err := f.Agents().Enrol(f.ctx, ledger.Agent{ID: "another", Name: "alpha"})
	f.must(err)
	if again.ID != f.agent.ID {
		t.Errorf("enrolled %q twice: %s and %s", again.Name, f.agent.ID, again.ID)
	}
	f.enrol("a0", "aaa")
	list, err := f.Agents().List(f.ctx)
	f.must(err)
	if len(list) != 2 || list[0].Name != "aaa" || list[1].Name != "alpha" {
		t.Errorf("agents are %+v", list)
	}
	f.must(f.Agents().SetState(f.ctx, "a0", []ledger.AgentState{ledger.AgentIdle}, ledger.AgentQuarantined, "slow"))
	f.wants(f.Agents().SetState(f.ctx, "a0", []ledger.AgentState{ledger.AgentIdle}, ledger.AgentDraining, ""), ledger.ErrState)
	got, err := f.Agents().Get(f.ctx, "a0")
	f.must(err)
	if got.State != ledger.AgentQuarantined || got.Reason != "slow" {
		t.Errorf("agent is %+v", got)
	}
}
