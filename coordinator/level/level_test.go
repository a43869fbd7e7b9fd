package level

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/ledgertest"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/suites/spec"
)

const suiteText = `apiVersion: paceline/v1
kind: Suite
metadata: {name: ci}
spec:
  model: robot-stories
  rounds: 1
  workloads:
    - name: story
      data: {type: prompt, prompts: ["Write a short story about a robot."]}
      trials: {count: 2}
      gates:
        - {metric: output_rate, severity: fail, max_drop: 0.20}
`

// world is a ledger that is filled as a coordinator would.
type world struct {
	*Store
	t     *testing.T
	clock *ledgertest.Clock
	suite *spec.Suite
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := ledgertest.NewClock()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s, err := spec.Parse("ci.yml", []byte(suiteText))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Agents().Enrol(t.Context(), ledger.Agent{ID: "a1", Name: "alpha"}); err != nil {
		t.Fatal(err)
	}
	return &world{Store: New(l, clock.Now, "v1"), t: t, clock: clock, suite: s}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run stores a decided run of one round.
func (w *world) run(id, branch string, rate float64, join ledger.Join) {
	w.t.Helper()
	ctx := w.t.Context()
	w.clock.Advance(time.Hour)
	r, a := ledgertest.NewRun(id, 1)
	r.Branch, r.SuiteText, r.Created = branch, string(w.suite.Resolved()), w.clock.Now()
	w.must(w.ledger.Runs().Create(ctx, r, []ledger.Attempt{a}))
	_, _, ok, err := w.ledger.Attempts().Claim(ctx, ledger.Claim{ID: id, Agent: "a1", Devices: []string{"cpu"}}, ledgertest.First)
	w.must(err)
	if !ok {
		w.t.Fatal("nothing to claim")
	}
	x := ledgertest.NewRound(a, 1, rate)
	x.Started, x.Ended = w.clock.Now(), w.clock.Now().Add(time.Minute)
	x.Cells[0].Cell = w.suite.Expand()[0].Digest
	b := ledgertest.Batch(a.ID, 1, x)
	_, err = w.ledger.Batches().Put(ctx, "a1", b, []result.Round{x})
	w.must(err)
	_, err = w.ledger.Attempts().End(ctx, "a1", ledgertest.End(a.ID, "done", b))
	w.must(err)
	_, err = w.ledger.Runs().Judge(ctx, id)
	w.must(err)
	verdict := map[ledger.Join]string{ledger.JoinBase: "pass", ledger.JoinPending: "fail", ledger.JoinNone: "invalid"}[join]
	w.must(w.ledger.Runs().Decide(ctx, ledger.Judgement{Run: id, Verdict: verdict, Input: []byte(`{}`), Report: []byte(`{}`)}, join, nil))
}

func (w *world) refused(err error, says string) {
	w.t.Helper()
	if !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), says) {
		w.t.Errorf("got %v, want a refusal that says %q", err, says)
	}
}

func TestShow(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.Show(ctx, baseline.Which{})
	w.refused(err, "no level: runs of a base branch")
	for i := range 12 {
		w.run(fmt.Sprintf("r%02d", i), "main", 40+float64(i%3), ledger.JoinBase)
	}
	w.run("bad", "main", 20, ledger.JoinPending)
	list, err := w.List(ctx)
	w.must(err)
	if len(list) != 1 || list[0].Rounds != 12 || list[0].Pending != 1 || list[0].Branch != "main" || list[0].Suite != "ci" {
		t.Errorf("listed %+v", list)
	}
	got, err := w.Show(ctx, baseline.Which{})
	w.must(err)
	if len(got.Series) != 2 || got.Branch != "main" || got.Suite != "ci" {
		t.Fatalf("shown %+v", got)
	}
	s := got.Series[0]
	if s.Metric != "output_rate" || len(s.Rounds) != 10 || s.Rounds[0].Run != "r02" || s.Rounds[0].Commit != "c-r02" || s.Value != 41 || len(s.Pending) != 1 || s.Pending[0].Value != 20 {
		t.Errorf("shown %+v", s)
	}
	if len(s.Gates) != 1 || s.Gates[0].Limit != "a drop of 20 %" || s.Gates[0].SmallestFail < 0.19 || s.Gates[0].SmallestFail > 0.25 || s.Gates[0].CanSee <= 0 {
		t.Errorf("its gates are %+v", s.Gates)
	}
	if len(got.Series[1].Gates) != 0 {
		t.Errorf("a metric without a gate has %+v", got.Series[1].Gates)
	}
	_, err = w.Show(ctx, baseline.Which{Branch: "next"})
	w.refused(err, "no level of branch next; there is: branch main, suite ci")
	w.run("n1", "next", 40, ledger.JoinBase)
	_, err = w.Show(ctx, baseline.Which{Suite: "ci"})
	w.refused(err, "more than one of suite ci: branch main, suite ci; branch next, suite ci")
}

func TestDecisions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.run("r1", "main", 40, ledger.JoinBase)
	_, err := w.Accept(ctx, baseline.Acceptance{Branch: "main", Reason: "x", By: "me"})
	w.refused(err, "nothing waits for an acceptance of branch main")
	w.run("bad", "main", 20, ledger.JoinPending)
	_, err = w.Accept(ctx, baseline.Acceptance{Branch: "main", By: "me"})
	w.refused(err, "say why")
	_, err = w.Accept(ctx, baseline.Acceptance{Reason: "x"})
	w.refused(err, "names its branch")
	a, err := w.Accept(ctx, baseline.Acceptance{Branch: "main", Reason: "the cost of the fix", By: "me"})
	w.must(err)
	if a.Rounds != 1 || a.At.IsZero() {
		t.Errorf("accepted %+v", a)
	}
	for says, p := range map[string]baseline.Pin{
		"needs a name":        {Reason: "x"},
		"say why":             {Name: "v1"},
		"there is no run":     {Name: "v1", Reason: "x", Runs: []string{"none"}},
		"is of suite ci, not": {Name: "v1", Reason: "x", Runs: []string{"r1"}, Suite: "other"},
		"no level of branch":  {Name: "v1", Reason: "x", Branch: "none"},
		"control characters":  {Name: "v\n1", Reason: "x"},
	} {
		_, err := w.Pin(ctx, p)
		w.refused(err, says)
	}
	p, err := w.Pin(ctx, baseline.Pin{Name: "v1", Reason: "release", By: "me"})
	w.must(err)
	if !slices.Equal(p.Runs, []string{"bad"}) || p.Branch != "main" || p.Suite != "ci" {
		t.Errorf("pinned %+v", p)
	}
	p, err = w.Pin(ctx, baseline.Pin{Name: "v0", Reason: "release", By: "me", Runs: []string{"r1"}})
	w.must(err)
	if p.Suite != "ci" {
		t.Errorf("pinned %+v", p)
	}
	shown, err := w.Show(ctx, baseline.Which{})
	w.must(err)
	if len(shown.Pins) != 2 || len(shown.Acceptances) != 1 || shown.Acceptances[0].By != "me" {
		t.Errorf("shown %+v", shown)
	}
	w.refused(w.Unpin(ctx, baseline.Pin{Name: "v9"}), "nothing is pinned as v9; there is: ")
	w.must(w.Unpin(ctx, baseline.Pin{Name: "v0", By: "you"}))
	log, err := w.ledger.Audit().List(ctx, 0)
	w.must(err)
	var acts []string
	for _, e := range log {
		acts = append(acts, e.Who+" "+e.Action)
	}
	if d := cmp.Diff([]string{"you baseline.unpin", "me baseline.pin", "me baseline.pin", "me baseline.accept"}, acts); d != "" {
		t.Error(d)
	}
}

// TestFileRoundTrip: a level that was exported and imported is the same level.
func TestFileRoundTrip(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.Export(ctx, baseline.Which{})
	w.refused(err, "no level")
	for i := range 12 {
		w.run(fmt.Sprintf("r%02d", i), "main", 40+float64(i%3), ledger.JoinBase)
	}
	w.run("bad", "main", 20, ledger.JoinPending)
	w.run("broken", "main", 20, ledger.JoinNone)
	f, err := w.Export(ctx, baseline.Which{Branch: "main"})
	w.must(err)
	var b bytes.Buffer
	w.must(baseline.WriteFile(&b, f))
	if f, err = baseline.ReadFile(&b); err != nil {
		t.Fatal(err)
	}
	if len(f.Runs) != 10 || f.Runs[0].Document.Run.ID != "r02" || f.Program != "v1" {
		t.Fatalf("exported %d runs from %s on, by %s", len(f.Runs), f.Runs[0].Document.Run.ID, f.Program)
	}

	to := newWorld(t)
	to.clock.Advance(1000 * time.Hour)
	got, err := to.Import(ctx, f, "me", "main.json")
	to.must(err)
	if d := cmp.Diff(baseline.Imported{Branch: "main", Suite: "ci", Runs: 10, Rounds: 10}, got); d != "" {
		t.Error(d)
	}
	was, err := w.Show(ctx, baseline.Which{})
	w.must(err)
	now, err := to.Show(ctx, baseline.Which{})
	to.must(err)
	for i := range was.Series {
		was.Series[i].Pending = []baseline.ShownRound{}
		for j := range was.Series[i].Rounds { // stored then, ended now: both are times of its clock
			was.Series[i].Rounds[j].At, now.Series[i].Rounds[j].At = time.Time{}, time.Time{}
		}
	}
	if d := cmp.Diff(was, now); d != "" {
		t.Error(d)
	}
	if got, err = to.Import(ctx, f, "me", "main.json"); err != nil || got.Known != 10 || got.Runs != 0 {
		t.Errorf("again: %+v, %v", got, err)
	}
	if got, err = w.Import(ctx, f, "me", "main.json"); err != nil || got.Known != 10 {
		t.Errorf("where it came from: %+v, %v", got, err)
	}
	js, err := to.ledger.Runs().Judgements(ctx, "r05")
	to.must(err)
	if len(js) != 1 || !strings.Contains(string(js[0].Report), "imported with the baseline file of main") || !strings.Contains(string(js[0].Report), `"value":42`) {
		t.Errorf("the report is %s", js[0].Report)
	}
	f.Runs[3].Document.Rounds[0].Cells[0].Values[0].Value = 99
	_, err = to.Import(ctx, f, "me", "main.json")
	to.refused(err, "has other contents here")
}
