package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/place"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/internal/wire"
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

func TestProblemsOfAttempts(t *testing.T) {
	for _, c := range []struct {
		class string
		exit  int
	}{{wire.ClassRequest, gate.ExitRequest}, {wire.ClassMachine, gate.ExitMachine}, {wire.ClassSubject, gate.ExitMachine}} {
		t.Run(c.class, func(t *testing.T) {
			w := newWorld(t, nil)
			r := w.submit(SubmitRequest{})
			o := w.claim(w.agent.ID)
			s := w.sender(w.agent.ID, o.Attempt)
			if e := s.end(wire.OutcomeError, &wire.Error{Class: c.class, Message: "no model at /somewhere"}); e.Error != nil {
				t.Fatal(e.Error)
			}
			r, err := w.Wait(w.ctx, r.ID)
			w.must(err)
			if r.Verdict != string(gate.Error) || r.Exit != c.exit || !strings.Contains(w.headline(r.ID), "no model at /somewhere") {
				t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
			}
		})
	}
}

// TestEndWithoutRounds: an attempt that says it is done and delivered nothing is an
// error of that machine, never a pass.
func TestEndWithoutRounds(t *testing.T) {
	w := newWorld(t, nil)
	r := w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	if e := w.sender(w.agent.ID, o.Attempt).end(wire.OutcomeDone, nil); e.Error != nil {
		t.Fatal(e.Error)
	}
	r, err := w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != gate.ExitMachine || !strings.Contains(w.headline(r.ID), "0 of its 1 rounds") {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

func TestIdentityMismatch(t *testing.T) {
	w := newWorld(t, nil)
	m := at(10)
	m.change = func(r *result.Round) { r.Subject.Revision = "deadbeef00" }
	r, _ := w.measure(SubmitRequest{Branch: "main", Commit: "cafe"}, m)
	if r.Exit != gate.ExitRequest {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
	if r, _ = w.measure(SubmitRequest{Branch: "main", Commit: "deadbeef"}, m); r.Exit != 0 {
		t.Errorf("with the right commit: %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

func TestLostAndExpired(t *testing.T) {
	w := newWorld(t, nil)
	r := w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	beat := func(n uint64) wire.BeatReply {
		return ask[wire.BeatReply](w, w.agent.ID, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: n, State: "running"})
	}
	pass := func(d time.Duration) {
		for ; d > 0; d -= time.Second {
			w.clock.Advance(time.Second)
			w.must(w.Look(w.ctx))
		}
	}
	for n := range uint64(5) { // beating
		pass(50 * time.Second)
		if b := beat(n + 1); b.MustStop || b.Error != nil {
			t.Fatalf("beat %d: %+v", n+1, b)
		}
	}
	pass(70 * time.Second) // silent
	r, err := w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != gate.ExitMachine || !strings.Contains(w.headline(r.ID), "not heard") {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
	if b := beat(9); !b.MustStop {
		t.Errorf("a beat after the loss gives %+v", b)
	}
	s := w.sender(w.agent.ID, o.Attempt)
	if b := send(s, wire.StreamLog, "late"); b.Error == nil || b.Error.Class != wire.ClassTerminal {
		t.Errorf("a batch after the loss gives %+v", b)
	}

	r = w.submit(SubmitRequest{QueueFor: time.Minute, Machine: "another"})
	pass(2 * time.Minute)
	r, err = w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != gate.ExitMachine || !strings.Contains(w.headline(r.ID), "no machine took") {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

// TestClockJump: a clock that jumps ahead by a day loses nobody.
func TestClockJump(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.QueueFor = 1000 * time.Hour })
	w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	for range 3 {
		w.clock.Advance(24 * time.Hour)
		w.must(w.Look(w.ctx))
	}
	a, err := w.cfg.Ledger.Attempts().Get(w.ctx, o.Attempt)
	w.must(err)
	if a.State != ledger.AttemptLeased {
		t.Errorf("the attempt is %s", a.State)
	}
}

func TestLostIsRepeatedElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	other := w.enrol("there")
	r := w.submit(SubmitRequest{})
	w.claim(w.agent.ID)
	for range 70 {
		w.clock.Advance(time.Second)
		w.must(w.Look(w.ctx))
	}
	if o := w.attempt(other.ID, at(10)); o.FirstRound != 1 || o.Run != r.ID {
		t.Errorf("the second attempt is %+v", o)
	}
	r, err := w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != 0 {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, nil)
	r := w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	hints := make(chan string, 8)
	stop, err := w.bus.Subscribe(wire.Ctl(w.agent.ID), func(_ string, b []byte) { hints <- string(b) })
	w.must(err)
	defer stop()
	for range 2 {
		r, err = w.Core.Cancel(w.ctx, r.ID, "Ctrl-C")
		w.must(err)
		if r.State != ledger.RunCancelled || r.Exit != gate.ExitCancelled {
			t.Errorf("run is %+v", r)
		}
	}
	if h := <-hints; !strings.Contains(h, "stop") {
		t.Errorf("hint is %s", h)
	}
	b := ask[wire.BeatReply](w, w.agent.ID, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: 1, State: "running"})
	if !b.MustStop || !strings.Contains(b.Reason, "Ctrl-C") {
		t.Errorf("beat gives %+v", b)
	}
	if e := w.sender(w.agent.ID, o.Attempt).end(wire.OutcomeCancelled, nil); e.Error != nil {
		t.Error(e.Error)
	}
	w.eventually("the judge", func() bool {
		n, _, err := w.cfg.Ledger.Tasks().Count(w.ctx, ledger.TaskJudge)
		return err == nil && n == 0
	})
	if r, err = w.Wait(w.ctx, r.ID); err != nil || r.State != ledger.RunCancelled {
		t.Errorf("run is %+v, %v", r, err)
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		q    SubmitRequest
		want string
	}{
		"no suite":          {SubmitRequest{Suite: "x: 1"}, "x"},
		"misspelt metric":   {SubmitRequest{Suite: strings.Replace(suiteText, "output_rate", "output_rat", 1)}, "output_rate"},
		"unknown target":    {SubmitRequest{Subject: result.Subject{Target: "vllm"}}, `no target "vllm"`},
		"too many rounds":   {SubmitRequest{Rounds: 1000}, "outside 1..100"},
		"candidate of what": {SubmitRequest{Branch: "x", Lane: result.LaneCandidate}, "base_ref"},
		"unknown lane":      {SubmitRequest{Lane: "fast", Branch: "x"}, `unknown lane "fast"`},
		"bad branch":        {SubmitRequest{Branch: "a\nb"}, "branch"},
		"two at once":       {SubmitRequest{Rounds: -1, Commit: strings.Repeat("x", 300)}, "rounds are outside"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.q.Suite == "" {
				c.q.Suite = suiteText
			}
			_, err := w.Submit(w.ctx, c.q)
			if !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want ErrRequest with %q", err, c.want)
			}
		})
	}
}

func TestProtocolErrors(t *testing.T) {
	w := newWorld(t, nil)
	if r := ask[wire.ClaimReply](w, "nobody", wire.Claim, wire.ClaimRequest{Version: 1, ClaimID: "x"}); r.Error == nil || r.Error.Class != wire.ClassTerminal {
		t.Errorf("an unknown agent's claim gives %+v", r)
	}
	if r := ask[wire.ClaimReply](w, w.agent.ID, wire.Claim, wire.ClaimRequest{Version: 99, ClaimID: "x"}); r.Error == nil || r.Error.Class != wire.ClassRequest {
		t.Errorf("a version of the future gives %+v", r)
	}
	if r := ask[wire.BeatReply](w, w.agent.ID, wire.Beat, "no object"); r.Error == nil || r.Error.Class != wire.ClassRequest {
		t.Errorf("nonsense gives %+v", r)
	}
	w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	for name, b := range map[string]wire.BatchRequest{
		"no zstd":        {Attempt: o.Attempt, Stream: wire.StreamRounds, Seq: 1, Records: 1, Body: []byte("x")},
		"unknown stream": {Attempt: o.Attempt, Stream: "x", Seq: 1, Records: 1},
	} {
		if r := ask[wire.BatchReply](w, w.agent.ID, wire.Put, b); r.Error == nil || r.Error.Class != wire.ClassRequest {
			t.Errorf("%s gives %+v", name, r)
		}
	}
	if r := ask[wire.BeatReply](w, w.enrol("other").ID, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: 1}); r.Error == nil || r.Error.Class != wire.ClassTerminal {
		t.Errorf("a foreign beat gives %+v", r)
	}
}

func TestReads(t *testing.T) {
	w := newWorld(t, nil)
	changed := make(chan string, 100)
	stop, err := w.bus.Subscribe("changed.*", func(s string, _ []byte) { changed <- s })
	w.must(err)
	defer stop()
	r, _ := w.measure(SubmitRequest{}, at(10))
	if got := <-changed; got != wire.Changed(r.ID) {
		t.Errorf("announced %s", got)
	}
	n := 0
	w.must(w.Samples(w.ctx, r.ID, func(s result.Sample) error { n++; return nil }))
	if n != 2 {
		t.Errorf("%d samples, want 2", n)
	}
	n = 0
	w.must(w.Samples(w.ctx, r.ID, func(result.Sample) error { n++; return ErrStop }))
	if n != 1 {
		t.Errorf("%d samples before stopping, want 1", n)
	}
	d, err := w.Document(w.ctx, r.ID)
	w.must(err)
	if d.Schema != result.SchemaVersion || len(d.Rounds) != 1 || d.Verdict == nil || d.Run.ID != r.ID {
		t.Errorf("document is %+v", d)
	}
	var kinds []string
	err = w.Follow(w.ctx, 0, r.ID, func(e ledger.Event) error {
		kinds = append(kinds, e.Kind)
		if e.Kind == "run.decided" {
			return ErrStop
		}
		return nil
	})
	want := "run.created attempt.queued attempt.leased attempt.running round attempt.done run.judging run.decided"
	if !errors.Is(err, ErrStop) || strings.Join(kinds, " ") != want {
		t.Errorf("events are %v, %v; want %s", kinds, err, want)
	}
}

func TestReport(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Page = func(run string) string { return "http://here/runs/" + run } })
	m := at(10)
	m.change = func(r *result.Round) {
		r.Cells[0].Values = append(r.Cells[0].Values, result.Value{Metric: "ttft.p50", Value: 100, N: 2})
		r.Reasons = []result.Reason{{Code: "power_cap", Detail: "the power cap was reached", Warn: true}}
		r.Subject.Synthetic = true
	}
	r, _ := w.measure(SubmitRequest{Faults: []string{"slow=1.43"}, Repeat: "paceline run ci"}, m)
	got, err := w.Report(w.ctx, r.ID)
	w.must(err)
	if got.RunID != r.ID || got.Rounds != 1 || got.Base != LocalBranch || got.PageURL != "http://here/runs/"+r.ID || got.Repeat != "paceline run ci" ||
		got.Overall.Exit != 0 || got.Decided.IsZero() {
		t.Errorf("report is %+v", got)
	}
	if d := cmp.Diff([]string{"synthetic", "fault-injected: slow=1.43"}, got.Badges); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"round 1: the power cap was reached"}, got.Warnings); d != "" {
		t.Error(d)
	}
	var lines []string
	for _, l := range got.Lines {
		lines = append(lines, fmt.Sprintf("%s %s %g %s gated %v", l.Workload, l.Metric, l.Value, l.Unit, l.Verdict != nil))
		if l.Series == "" || l.Rounds != 1 {
			t.Errorf("line is %+v", l)
		}
	}
	want := []string{"story output_rate 10 tok/s gated true", "story token_agreement 1 1 gated true", "story ttft.p50 100 ms gated false"}
	if d := cmp.Diff(want, lines); d != "" {
		t.Error(d)
	}
	// Of a run that is not decided it is what is known.
	open := w.submit(SubmitRequest{})
	if got, err = w.Report(w.ctx, open.ID); err != nil || got.Overall.Kind != "open" || got.Rounds != 0 {
		t.Errorf("report of an open run is %+v, %v", got, err)
	}
	_, err = w.Core.Cancel(w.ctx, open.ID, "by hand")
	w.must(err)
	if got, err = w.Report(w.ctx, open.ID); err != nil || got.Overall.Kind != gate.Cancelled || got.Overall.Exit != gate.ExitCancelled {
		t.Errorf("report of a cancelled run is %+v, %v", got, err)
	}
}

func TestExport(t *testing.T) {
	s := &store{points: map[string]series.Point{}}
	down := errors.New("down")
	s.fail = func([]series.Point) error { return fmt.Errorf("%w: %w", series.ErrUnavailable, down) }
	w := newWorld(t, func(c *Config) { c.Series = s })
	r, _ := w.measure(SubmitRequest{}, at(10)) // decided although the store is down
	w.eventually("a try", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.writes > 0 })
	if n, oldest, err := w.ExportLag(w.ctx); err != nil || n != 1 || oldest.IsZero() {
		t.Errorf("lag is %d since %s, %v", n, oldest, err)
	}
	s.mu.Lock()
	s.fail = func(ps []series.Point) error { // one point is poison
		for _, p := range ps {
			if p.Metric == "token_agreement" {
				return series.ErrRejected
			}
		}
		return nil
	}
	s.mu.Unlock()
	w.clock.Advance(2 * time.Minute)
	w.eventually("the export", func() bool { n, _, err := w.ExportLag(w.ctx); return err == nil && n == 0 })
	if s.count() != 1 {
		t.Errorf("%d points, want 1", s.count())
	}
	log, err := w.cfg.Ledger.Audit().List(w.ctx, 0)
	w.must(err)
	if len(log) != 1 || log[0].Action != "export.quarantine" {
		t.Errorf("audit log is %+v", log)
	}
	for _, p := range s.points {
		if p.Run != r.ID || p.Value != 10 || p.Metric != string(rate) {
			t.Errorf("point is %+v", p)
		}
	}
}

func TestStartBoundRoundsLieApart(t *testing.T) {
	w := newWorld(t, nil)
	m := at(10)
	m.change = func(r *result.Round) {
		if r.Index == 1 {
			r.Valid, r.Reasons = false, []result.Reason{{Code: "errors", Detail: "too many errors"}}
		}
	}
	r := w.submit(SubmitRequest{Subject: result.Subject{Build: "url:http://127.0.0.1:1"}})
	w.attempt(w.agent.ID, m)
	var next ledger.Attempt
	w.eventually("a second attempt", func() bool {
		as, err := w.cfg.Ledger.Attempts().OfRun(w.ctx, r.ID)
		w.must(err)
		next = as[len(as)-1]
		return len(as) == 2
	})
	if got := next.NotBefore.Sub(w.clock.Now()); got != startApart {
		t.Errorf("the next round may start after %s, want %s", got, startApart)
	}
	reply := ask[wire.ClaimReply](w, w.agent.ID, wire.Claim, wire.ClaimRequest{Version: 1, ClaimID: "early", Devices: []string{place.CPU}})
	if reply.Order != nil || !strings.Contains(reply.Why, "waits until") {
		t.Errorf("claimed %+v", reply)
	}
	w.clock.Advance(startApart)
	w.attempt(w.agent.ID, m)
	if r, err := w.Wait(w.ctx, r.ID); err != nil || r.Exit != 0 {
		t.Errorf("run is %+v, %v", r, err)
	}
}
