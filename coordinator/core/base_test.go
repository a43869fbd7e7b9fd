package core

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/level"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/gate"
)

// baseRuns measures commits of main, each at its rate.
func (w *world) baseRuns(commits []string, rate float64) {
	w.t.Helper()
	for _, c := range commits {
		if r, _ := w.measure(SubmitRequest{Branch: "main", Commit: c}, timed(w, rate)); r.Exit != 0 {
			w.t.Fatalf("commit %s is %s: %s", c, r.Verdict, w.headline(r.ID))
		}
	}
}

// timed is a machine whose rounds say when they ended, as real ones do.
func timed(w *world, rate float64) machine {
	m := at(rate)
	m.change = func(r *result.Round) {
		w.clock.Advance(time.Minute)
		r.Started, r.Ended = w.clock.Now().Add(-time.Second), w.clock.Now()
	}
	return m
}

func (w *world) verdict(run string) *gate.Verdict {
	w.t.Helper()
	rep, err := w.Report(w.ctx, run)
	w.must(err)
	for _, l := range rep.Lines {
		if l.Metric == rate && l.Verdict != nil && l.Verdict.Rule.Relative() {
			return l.Verdict
		}
	}
	w.t.Fatal("no verdict")
	return nil
}

// TestMergeBase: a candidate is compared with what its history has, whatever the base
// branch did since, and whether or not its merge base was measured.
func TestMergeBase(t *testing.T) {
	w := newWorld(t, nil)
	w.baseRuns([]string{"c1", "c2", "c3"}, 10)
	w.baseRuns([]string{"c5", "c6"}, 13) // main got faster
	for _, c := range []struct {
		name      string
		ancestors []string // of c1 … c6, the first is the merge base
		cut       bool
		n         int // rounds of the level
		kind      gate.Kind
	}{
		{"the merge base was measured", []string{"c3", "c2", "c1"}, false, 3, gate.Pass},
		{"the merge base was not measured", []string{"c4", "c3", "c2", "c1"}, false, 3, gate.Pass},
		{"one that main has left", []string{"x9", "c2", "c1"}, false, 2, gate.Pass},
		{"a cut list has older rounds too", []string{"c4", "c3"}, true, 3, gate.Pass},
		{"a whole list has not", []string{"c4", "c3"}, false, 1, gate.Pass},
		{"nothing of it was measured", []string{"b2", "b1"}, false, 0, gate.NotComparable},
		{"up to date", []string{"c6", "c5", "c4", "c3", "c2", "c1"}, false, 5, gate.Pass},
	} {
		r, _ := w.measure(SubmitRequest{
			Branch: "topic", Lane: result.LaneCandidate, BaseRef: "main", Given: Given{Ancestors: c.ancestors, AncestorsCut: c.cut},
		}, timed(w, 9.9))
		v := w.verdict(r.ID)
		if c.name != "up to date" && r.Verdict != string(c.kind) || v.N != c.n || v.Baseline.Name != "main" {
			t.Errorf("%s: %s against %d rounds: %s", c.name, r.Verdict, v.N, v.Reason)
		}
		if c.n == 0 && !strings.Contains(w.headline(r.ID), "none of the 2 up to its merge base b2 was measured") {
			t.Errorf("%s: %s", c.name, w.headline(r.ID))
		}
	}
}

// TestMeasuredLate: a newer commit that was measured before an older one doesn't count
// for a candidate that branched off the older one.
func TestMeasuredLate(t *testing.T) {
	w := newWorld(t, nil)
	w.baseRuns([]string{"c1", "c3", "c2"}, 10)
	r, _ := w.measure(SubmitRequest{Branch: "topic", Lane: result.LaneCandidate, BaseRef: "main", Given: Given{Ancestors: []string{"c2", "c1"}}}, timed(w, 10))
	if v := w.verdict(r.ID); v.N != 2 {
		t.Errorf("compared with %d rounds, want those of c1 and c2", v.N)
	}
}

// TestCommitOfAnotherBranch: a merge base that was measured on another branch too
// doesn't make that branch the base.
func TestCommitOfAnotherBranch(t *testing.T) {
	w := newWorld(t, nil)
	w.baseRuns([]string{"c1", "c2"}, 10)
	w.measure(SubmitRequest{Branch: "next", Commit: "c3"}, timed(w, 20))
	given := Given{Ancestors: []string{"c3", "c2", "c1"}}
	r, _ := w.measure(SubmitRequest{Branch: "topic", Lane: result.LaneCandidate, BaseRef: "main", Given: given}, timed(w, 10))
	if v := w.verdict(r.ID); v.N != 2 || v.Baseline.Name != "main" {
		t.Errorf("compared with %d rounds of %s", v.N, v.Baseline.Name)
	}
	// By a commit's name, the branch is the one on which it was measured.
	hash := strings.Repeat("c3", 20)
	w.measure(SubmitRequest{Branch: "next", Commit: hash}, timed(w, 20))
	r, _ = w.measure(SubmitRequest{Branch: "topic", Lane: result.LaneCandidate, BaseRef: hash, Given: Given{Ancestors: []string{hash, "c3"}}}, timed(w, 20))
	if v := w.verdict(r.ID); v.N != 2 || v.Baseline.Name != "next" {
		t.Errorf("by its name: compared with %d rounds of %s", v.N, v.Baseline.Name)
	}
}

// exported is main's level as a file.
func (w *world) exported() []byte {
	w.t.Helper()
	f, err := level.New(w.cfg.Ledger, w.clock.Now, "v1").Export(w.ctx, baseline.Which{Branch: "main"})
	w.must(err)
	var b bytes.Buffer
	w.must(baseline.WriteFile(&b, f))
	return b.Bytes()
}

// TestBaselineFile: on a machine whose ledger is empty, a file is what a run is
// compared with.
func TestBaselineFile(t *testing.T) {
	from := newWorld(t, nil)
	from.baseRuns([]string{"c1", "c2", "c3", "c4", "c5", "c6"}, 10)
	file := from.exported()

	w := newWorld(t, nil)
	r, attempts := w.measure(SubmitRequest{Given: Given{Baseline: file}}, timed(w, 6))
	if r.Verdict != "fail" || r.Exit != gate.ExitFail || attempts != 2 || r.Lane != result.LaneCandidate || r.BaseRef != "main" || r.Branch != LocalBranch {
		t.Fatalf("run is %+v after %d attempts: %s", r, attempts, w.headline(r.ID))
	}
	v := w.verdict(r.ID)
	if v.N != 6 || !strings.HasPrefix(v.Baseline.Name, "main (file of 2026-") {
		t.Errorf("compared with %d rounds of %s", v.N, v.Baseline.Name)
	}
	if err := gate.Replay(*v); err != nil {
		t.Error(err)
	}
	if j := w.joined(r.ID); j[0] != ledger.JoinNone {
		t.Errorf("its rounds are %v", j)
	}
	// The file is kept with the run.
	got, err := w.file(w.ctx, optionsOf(r).Against.File)
	w.must(err)
	if len(got.Runs) != 6 {
		t.Errorf("kept %d runs", len(got.Runs))
	}
	m := timed(w, 10)
	m.cores = 8
	if r, _ = w.measure(SubmitRequest{Given: Given{Baseline: file}}, m); r.Verdict != string(gate.NotComparable) || !strings.Contains(w.headline(r.ID), "cores was 2, now 8") {
		t.Errorf("another class: %s: %s", r.Verdict, w.headline(r.ID))
	}
}

// TestBaselineFileKnowsTheMachine: on a machine whose own history is empty, what the
// file's rounds read of it tells a disturbed machine from a slower subject.
func TestBaselineFileKnowsTheMachine(t *testing.T) {
	reading := func(w *world, rate, gbps float64) machine {
		m := timed(w, rate)
		timed := m.change
		m.change = func(r *result.Round) {
			timed(r)
			r.Probes = []result.Probe{{Kind: "cpu.read", Unit: "GB/s", Value: gbps, When: "before"}, {Kind: "cpu.read", Unit: "GB/s", Value: gbps, When: "after"}}
		}
		return m
	}
	from := newWorld(t, nil)
	for _, c := range []string{"c1", "c2", "c3", "c4", "c5", "c6"} {
		if r, _ := from.measure(SubmitRequest{Branch: "main", Commit: c}, reading(from, 10, 20)); r.Exit != 0 {
			t.Fatalf("commit %s is %s", c, r.Verdict)
		}
	}
	file := from.exported()
	w := newWorld(t, nil)
	r, _ := w.measure(SubmitRequest{Given: Given{Baseline: file}}, reading(w, 4, 9))
	if r.Verdict != string(gate.Invalid) || r.Exit != gate.ExitMachine || !strings.Contains(w.headline(r.ID), "the median of its last 12 is 20") {
		t.Errorf("on a disturbed machine: %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
	if r, _ := newWorld(t, nil).measure(SubmitRequest{Given: Given{Baseline: file}}, reading(w, 4, 20)); r.Verdict != string(gate.Fail) {
		t.Errorf("a slower subject on a machine that is itself: %s", r.Verdict)
	}
}

func TestGivenThatIsRefused(t *testing.T) {
	from := newWorld(t, nil)
	from.baseRuns([]string{"c1"}, 10)
	file := from.exported()
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		q    SubmitRequest
		want string
	}{
		"cut off":           {SubmitRequest{Given: Given{Baseline: file[:len(file)/2]}}, "cut off"},
		"another version":   {SubmitRequest{Given: Given{Baseline: bytes.Replace(file, []byte(`"schema":1`), []byte(`"schema":7`), 1)}}, "version 7, this program reads 1"},
		"another suite":     {SubmitRequest{Suite: strings.NewReplacer("name: ci", "name: other", "count: 2", "count: 3").Replace(suiteText), Given: Given{Baseline: file}}, "the baseline file is of suite ci, the run is of suite other"},
		"a base run":        {SubmitRequest{Branch: "main", Lane: result.LaneBase, Given: Given{Baseline: file}}, "only a candidate"},
		"no suite":          {SubmitRequest{Given: Given{BaseSuite: "name: x"}}, "suite of the base ref"},
		"not commits":       {SubmitRequest{Given: Given{Ancestors: []string{"a b"}}}, "ancestors are commits"},
		"too many commits":  {SubmitRequest{Given: Given{Ancestors: make([]string, MaxAncestors+1)}}, "201 ancestors"},
		"an empty ancestor": {SubmitRequest{Given: Given{Ancestors: []string{""}}}, "ancestors are commits"},
	} {
		if c.q.Suite == "" {
			c.q.Suite = suiteText
		}
		_, err := w.Submit(w.ctx, c.q)
		if !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	runs, err := w.cfg.Ledger.Runs().List(w.ctx, ledger.RunFilter{})
	w.must(err)
	if len(runs) != 0 {
		t.Errorf("%d runs of refused requests", len(runs))
	}
}

// TestRulesOfTheBase: a change is judged by the gates of its base, wherever these come
// from; where it loosens them, it is told both.
func TestRulesOfTheBase(t *testing.T) {
	drop := func(limit string) string { return strings.Replace(suiteText, "max_drop: 0.20", "max_drop: "+limit, 1) }
	for _, c := range []struct {
		name     string
		suite    string  // of the change
		rate     float64 // against 10
		kind     gate.Kind
		loosened string
	}{
		{"the same", suiteText, 10, gate.Pass, ""},
		{"loosened, and not needed", drop("0.6"), 10, gate.Warn, "max_drop was 0.2, now 0.6"},
		{"loosened, and needed", drop("0.6"), 6, gate.Fail, "max_drop was 0.2, now 0.6"},
		{"tightened: holds once it is on the base", drop("0.05"), 9.2, gate.Pass, ""},
		{"a severity less", strings.Replace(suiteText, "severity: fail", "severity: investigate", 1), 6, gate.Fail, "severity was fail, now investigate"},
		{"a gate less", suiteText[:strings.Index(suiteText, "        - {metric: token_agreement")], 10, gate.Warn, "gate on token_agreement: min 1 is gone"},
		{"a gate more", suiteText + "        - {metric: output_rate, severity: critical, min: 100}\n", 10, gate.Fail, ""},
	} {
		for _, source := range []string{"ledger", "file", "git"} {
			t.Run(c.name+", from "+source, func(t *testing.T) {
				w := newWorld(t, nil)
				w.baseRuns([]string{"c1", "c2", "c3", "c4", "c5"}, 10)
				q := SubmitRequest{Suite: c.suite, Branch: "topic", Lane: result.LaneCandidate, BaseRef: "main"}
				switch source {
				case "file":
					q.Baseline = w.exported()
				case "git":
					q.BaseSuite = suiteText
				}
				r, _ := w.measure(q, timed(w, c.rate))
				text := w.headline(r.ID)
				if r.Verdict != string(c.kind) {
					t.Errorf("%s, want %s: %s", r.Verdict, c.kind, text)
				}
				if told := strings.Contains(text, "looser than on main, whose rule holds"); told != (c.loosened != "") || !strings.Contains(text, c.loosened) {
					t.Errorf("told of looser rules: %v: %s", told, text)
				}
			})
		}
	}
}

// TestBaseRunHasItsOwnRules: what is merged holds.
func TestBaseRunHasItsOwnRules(t *testing.T) {
	w := newWorld(t, nil)
	w.baseRuns([]string{"c1", "c2", "c3"}, 10)
	r, _ := w.measure(SubmitRequest{Suite: strings.Replace(suiteText, "0.20", "0.60", 1), Branch: "main", Commit: "c4"}, timed(w, 7))
	if r.Verdict != "pass" || strings.Contains(w.headline(r.ID), "looser") {
		t.Errorf("%s: %s", r.Verdict, w.headline(r.ID))
	}
}

func TestOtherRepository(t *testing.T) {
	w := newWorld(t, nil)
	m := timed(w, 10)
	stamp := m.change
	m.change = func(r *result.Round) { stamp(r); r.Subject.Revision = "feedface" }
	r, _ := w.measure(SubmitRequest{Branch: "main", Commit: "c0ffee"}, m)
	if r.Exit != gate.ExitRequest {
		t.Errorf("a claimed commit: exit %d: %s", r.Exit, w.headline(r.ID))
	}
	if r, _ = w.measure(SubmitRequest{Branch: "main", Commit: "c0ffee", Given: Given{OtherRepository: true}}, m); r.Exit != 0 {
		t.Errorf("a commit of another repository: exit %d: %s", r.Exit, w.headline(r.ID))
	}
}
