package core

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/gate"
)

func (w *world) joined(run string) []ledger.Join {
	w.t.Helper()
	rs, err := w.cfg.Ledger.Rounds().OfRun(w.ctx, run)
	w.must(err)
	var out []ledger.Join
	for _, r := range rs {
		out = append(out, r.Join)
	}
	return out
}

func (w *world) headline(run string) string {
	w.t.Helper()
	js, err := w.cfg.Ledger.Runs().Judgements(w.ctx, run)
	w.must(err)
	if len(js) == 0 {
		return ""
	}
	return string(js[len(js)-1].Report)
}

func TestFirstRunComparesNothing(t *testing.T) {
	w := newWorld(t, nil)
	r, attempts := w.measure(SubmitRequest{}, at(10))
	if r.State != ledger.RunDecided || r.Verdict != string(gate.NoBaseline) || r.Exit != 0 || attempts != 1 {
		t.Errorf("run is %+v after %d attempts", r, attempts)
	}
	if h := w.headline(r.ID); !strings.Contains(h, "NOTHING WAS COMPARED") {
		t.Errorf("report is %s", h)
	}
	if r.Lane != result.LaneLocal || r.Branch != LocalBranch {
		t.Errorf("lane %s of branch %s", r.Lane, r.Branch)
	}
	if j := w.joined(r.ID); len(j) != 1 || j[0] != ledger.JoinBase {
		t.Errorf("the first run's rounds are %v, want joined", j)
	}
}

func TestPlantedSlowdownFails(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 10 {
		r, attempts := w.measure(SubmitRequest{}, at(10+0.05*float64(i%3)))
		if i > 0 && (r.Verdict != string(gate.Pass) || attempts != 1) {
			t.Fatalf("base run %d: %s after %d attempts: %s", i, r.Verdict, attempts, w.headline(r.ID))
		}
	}
	// Three rounds at least: the gate really asks for them and they are really run.
	r, attempts := w.measure(SubmitRequest{Faults: []string{"slow=1.43"}}, at(7))
	if r.Verdict != string(gate.Fail) || r.Exit != gate.ExitFail || attempts != 2 || r.Rounds != 3 {
		t.Errorf("run is %s, exit %d, %d rounds in %d attempts: %s", r.Verdict, r.Exit, r.Rounds, attempts, w.headline(r.ID))
	}
	js, err := w.cfg.Ledger.Runs().Judgements(w.ctx, r.ID)
	w.must(err)
	if len(js) != 2 || js[0].Verdict != VerdictMore || js[1].Verdict != "fail" {
		t.Fatalf("judgements are %+v", js)
	}
	var in Input
	w.must(json.Unmarshal(js[1].Input, &in))
	failed := 0
	for _, o := range in.Outcomes {
		if err := gate.Replay(*o.Verdict); err != nil {
			t.Error(err)
		}
		if o.Verdict.Kind == gate.Fail {
			failed++
			if o.Verdict.K != 3 || o.Verdict.N != 10 {
				t.Errorf("failed on %d rounds against %d", o.Verdict.K, o.Verdict.N)
			}
		}
	}
	if failed != 1 || len(in.Rounds) != 3 {
		t.Errorf("%d failed checks of %d rounds, want 1 of 3", failed, len(in.Rounds))
	}
	for _, j := range w.joined(r.ID) {
		if j != ledger.JoinNone {
			t.Errorf("a round with a planted defect is %s", j)
		}
	}
	if r, _ := w.measure(SubmitRequest{}, at(10)); r.Verdict != string(gate.Pass) {
		t.Errorf("the next good run is %s: %s", r.Verdict, w.headline(r.ID))
	}
}

func TestLanes(t *testing.T) {
	w := newWorld(t, nil)
	base := func(commit string, rate float64) ledger.Run {
		r, _ := w.measure(SubmitRequest{Branch: "main", Commit: commit}, at(rate))
		return r
	}
	for i := range 6 {
		base(fmt.Sprint("old", i), 10)
	}
	// A candidate never joins, whatever its verdict.
	r, _ := w.measure(SubmitRequest{Branch: "topic", Commit: "x1", Lane: result.LaneCandidate, BaseRef: "main"}, at(10.1))
	if r.Verdict != "pass" || w.joined(r.ID)[0] != ledger.JoinNone {
		t.Errorf("candidate is %s and %v", r.Verdict, w.joined(r.ID))
	}
	// A base branch that fails keeps its old level; its rounds wait.
	bad := base("bad", 6)
	if bad.Verdict != "fail" || w.joined(bad.ID)[0] != ledger.JoinPending {
		t.Errorf("failing base run is %s and %v: %s", bad.Verdict, w.joined(bad.ID), w.headline(bad.ID))
	}
	if again := base("bad2", 6); again.Verdict != "fail" {
		t.Errorf("the branch is %s, want red still", again.Verdict)
	}
	_, err := w.cfg.Ledger.Baselines().Accept(w.ctx, ledger.Acceptance{Branch: "main", Reason: "known", By: "me"})
	w.must(err)
	if ok := base("bad3", 6); ok.Verdict != "pass" {
		t.Errorf("after the acceptance: %s: %s", ok.Verdict, w.headline(ok.ID))
	}
	// A candidate whose merge base lies before that is compared with the level of then.
	r, _ = w.measure(SubmitRequest{Branch: "topic", Lane: result.LaneCandidate, BaseRef: "bad3"}, at(6))
	if r.Verdict != "pass" {
		t.Errorf("candidate from bad3: %s: %s", r.Verdict, w.headline(r.ID))
	}
}

func TestOtherClassIsNotComparable(t *testing.T) {
	w := newWorld(t, nil)
	w.measure(SubmitRequest{}, at(10))
	m := at(20)
	m.id, m.cores = "m2", 8
	r, _ := w.measure(SubmitRequest{}, m)
	if r.Verdict != string(gate.NotComparable) || r.Exit != 0 || !strings.Contains(w.headline(r.ID), "cores was 2, now 8") {
		t.Errorf("run is %s: %s", r.Verdict, w.headline(r.ID))
	}
}

// TestPooledSpread: a workload that is new in a suite borrows the noise of the
// suite's other workloads in the class.
func TestPooledSpread(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 6 {
		w.measure(SubmitRequest{}, at(10+float64(i%3)))
	}
	two := suiteText + strings.Replace(suiteText[strings.Index(suiteText, "    - name: story"):], "name: story", "name: tale", 1)
	two = strings.Replace(two, `prompts: ["Write a short story about a robot."]`, `prompts: ["Write a tale."]`, 2)
	two = strings.Replace(two, "Write a tale.", "Write a short story about a robot.", 1)
	w.measure(SubmitRequest{Suite: two}, at(10))
	r, _ := w.measure(SubmitRequest{Suite: two}, at(10))
	rep, err := w.Report(w.ctx, r.ID)
	w.must(err)
	pooled := map[string]float64{}
	for _, l := range rep.Lines {
		if l.Metric == rate {
			pooled[l.Workload] = l.Verdict.Baseline.Pooled
		}
	}
	if pooled["story"] != 0 || pooled["tale"] <= 0.01 {
		t.Errorf("pooled spreads are %v, want one of the new workload only", pooled)
	}
}

func TestCriticalFailsAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	m := at(10)
	m.change = func(r *result.Round) { r.Cells[0].Values[1].Value = 0.5 }
	r, attempts := w.measure(SubmitRequest{}, m)
	if r.Verdict != "fail" || attempts != 1 {
		t.Errorf("run is %s after %d attempts: %s", r.Verdict, attempts, w.headline(r.ID))
	}
}

func TestInvalidRoundIsRepeated(t *testing.T) {
	w := newWorld(t, nil)
	m := at(10)
	m.change = func(r *result.Round) {
		if r.Index == 1 {
			r.Valid, r.Reasons = false, []result.Reason{{Code: "throttled", Detail: "the machine was throttled"}}
		}
	}
	r, attempts := w.measure(SubmitRequest{}, m)
	if r.Verdict != string(gate.NoBaseline) || attempts != 2 {
		t.Errorf("run is %s after %d attempts: %s", r.Verdict, attempts, w.headline(r.ID))
	}
	always := at(10)
	always.change = func(r *result.Round) {
		r.Valid, r.Reasons = false, []result.Reason{{Code: "throttled", Detail: "the machine was throttled"}}
	}
	r, attempts = w.measure(SubmitRequest{}, always)
	if r.Verdict != string(gate.Invalid) || r.Exit != gate.ExitMachine || attempts < 2 || !strings.Contains(w.headline(r.ID), "throttled") {
		t.Errorf("run is %s, exit %d, after %d attempts: %s", r.Verdict, r.Exit, attempts, w.headline(r.ID))
	}
	for _, j := range w.joined(r.ID) {
		if j != ledger.JoinNone {
			t.Errorf("an invalid round is %s", j)
		}
	}
}

func TestMachineProbe(t *testing.T) {
	w := newWorld(t, nil)
	with := func(gbps float64) machine {
		m := at(10)
		m.change = func(r *result.Round) {
			r.Probes = []result.Probe{{Kind: "cpu.read", Unit: "GB/s", Value: gbps, When: "before"}}
		}
		return m
	}
	for range 10 {
		w.measure(SubmitRequest{}, with(10))
	}
	r, attempts := w.measure(SubmitRequest{}, with(5))
	if r.Verdict != string(gate.Invalid) || r.Exit != gate.ExitMachine || attempts < 2 || !strings.Contains(w.headline(r.ID), "machine probe") {
		t.Errorf("run on a slow machine is %s, exit %d, after %d attempts: %s", r.Verdict, r.Exit, attempts, w.headline(r.ID))
	}
}
