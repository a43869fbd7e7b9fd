package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/ledgertest"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/coordinator/series/sql"
	"github.com/paceline/paceline/dashboard/page"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

const suiteText = `apiVersion: paceline/v1
kind: Suite
metadata: {name: ci, title: made up for a test}
spec:
  seed: 7
  model: default
  targets: [engine]
  rounds: 1
  defaults:
    request: {api: chat, stream: true, ignore_eos: true, temperature: 0.7, top_p: 0.9}
    trials: {count: 2}
  workloads:
    - name: throughput
      request: {max_tokens: 512}
      data: {type: prompt, prompts: ["Write a short story about a robot."]}
      load: {type: sequential}
      warmup: {mode: requests, requests: 1}
      window: {min_duration: 3s, min_requests: 2, max: 5m}
      gates:
        - {metric: output_rate, max_drop: 0.20, severity: fail}
        - {metric: output_rate, min: 4.0, severity: investigate}
      bands:
        - {metric: output_rate, label: Candle adapter, value: 4.89}
        - {metric: output_rate, label: llama.cpp, low: 20, high: 40}
`

// world is a ledger with made-up runs and the dashboard over it.
type world struct {
	t       *testing.T
	ledger  *sqlite.Ledger
	clock   *ledgertest.Clock
	agent   ledger.Agent
	handler http.Handler
	base    []float64
	bases   []string
	last    *result.Round // of the baseline
	doc     map[string]*result.Document
	bus     bus.Bus
}

func newWorld(t *testing.T) *world { return newWorldBehind(t, nil) }

// newWorldBehind is the same behind a door.
func newWorldBehind(t *testing.T, door *page.Door) *world {
	t.Helper()
	clock := ledgertest.NewClock()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &world{t: t, ledger: l, clock: clock, doc: map[string]*result.Document{}, bus: bus.NewLocal()}
	t.Cleanup(func() { w.bus.Close() })
	if w.agent, err = l.Agents().Enrol(t.Context(), ledger.Agent{ID: "a1", Name: "gpu-07", Local: true}); err != nil {
		t.Fatal(err)
	}
	w.handler, err = page.New(page.Deps{
		Door: door, Ledger: l, Series: sql.New(l.ReadDB()), Progress: w.bus, Now: clock.Now, Version: "test",
		Document: func(_ context.Context, run string) (result.Document, error) {
			d, ok := w.doc[run]
			if !ok {
				return result.Document{}, fmt.Errorf("run %s: %w", run, ledger.ErrNotFound)
			}
			return *d, nil
		},
		Samples: func(_ context.Context, run string, f func(result.Sample) error) error {
			return eachSample(w.doc[run], f)
		},
		Log: func(_ context.Context, a string, f func(string) error) error { return f("worker of " + a + " <ready>") },
		Cancel: func(ctx context.Context, run, reason string) error {
			_, err := l.Runs().Cancel(ctx, run, reason)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// fill makes ten base runs around 39.1 tok/s, then a slow one of three rounds.
func (w *world) fill() {
	for i := range 10 {
		w.run(fmt.Sprintf("base-%02d", i+1), nil, 39.1*(1+0.012*math.Sin(2.4*float64(i))))
		w.clock.Advance(3 * time.Hour)
	}
	w.run("slow-2f81", []string{"slow=1.43"}, 29.9, 30.3, 29.5)
	w.clock.Advance(4 * time.Minute)
}

// run makes a decided run with a round for each rate.
func (w *world) run(id string, faults []string, rates ...float64) {
	w.t.Helper()
	ctx := w.t.Context()
	r, a := ledgertest.NewRun(id, len(rates))
	r.SuiteText, r.Faults, r.Created = suiteText, faults, w.clock.Now()
	r.Subject.Model, r.Repeat, r.Commit = "robot-stories", "paceline run ci --seed 7", "9d0e7c4"+id
	w.must(w.ledger.Runs().Create(ctx, r, []ledger.Attempt{a}))
	_, _, ok, err := w.ledger.Attempts().Claim(ctx, ledger.Claim{ID: "c" + id, Agent: w.agent.ID, Devices: []string{"cpu"}}, ledgertest.First)
	w.must(err)
	if !ok {
		w.t.Fatal("nothing claimed")
	}
	var rounds []result.Round
	var cand gate.Candidate
	for i, v := range rates {
		x := ledgertest.NewRound(a, i+1, v)
		c := &x.Cells[0]
		c.Workload, c.Point = "throughput", nil
		x.Started, x.Ended, x.Subject.Faults = w.clock.Now(), w.clock.Now().Add(21*time.Second), faults
		x.Environment.Host, x.Environment.Hardware.CPUModel = "gpu-07", "Test CPU"
		x.Environment.Kernel = map[bool]string{true: "6.12.1", false: "6.12.0"}[faults != nil]
		for k := range 2 {
			c.Trials = append(c.Trials, result.Trial{Index: k + 1, Valid: true, Requests: 12, WindowNanos: 3e9, Values: []result.Value{{Metric: "output_rate", Value: v + 0.3*float64(2*k-1), N: 12}}})
		}
		rounds = append(rounds, x)
		cand.Rounds = append(cand.Rounds, gate.Round{ID: x.ID, Value: v})
	}
	b := ledgertest.Batch(a.ID, 1, rounds...)
	_, err = w.ledger.Batches().Put(ctx, w.agent.ID, b, rounds)
	w.must(err)
	_, err = w.ledger.Attempts().End(ctx, w.agent.ID, ledgertest.End(a.ID, wire.OutcomeDone, b))
	w.must(err)
	drop := 0.2
	v := gate.Decide(gate.Rule{Metric: "output_rate", Severity: gate.Failing, MaxDrop: &drop}, gate.Baseline{Values: w.base, Runs: w.bases, Name: "main"}, cand).Verdict
	if v == nil {
		w.t.Fatalf("run %s: no verdict", id)
	}
	key := result.KeyOf(&rounds[0], r.Subject, &rounds[0].Cells[0], "output_rate").Digest()
	rep := format.Report{
		RunID: id, Suite: "ci", Subject: "engine · robot-stories (bf16/f32)", Branch: "main", Decided: w.clock.Now(), Rounds: len(rates),
		Overall: gate.Overall([]gate.Verdict{*v}, []string{"throughput output_rate"}, nil, gate.Options{}),
		Lines:   []format.Line{{Workload: "throughput", Metric: "output_rate", Unit: "tok/s", Series: key, Value: v.Value, Spread: v.Spread, Rounds: v.K, Verdict: v}},
	}
	raw, err := json.Marshal(rep)
	w.must(err)
	_, err = w.ledger.Runs().Judge(ctx, id)
	w.must(err)
	join := ledger.JoinBase
	if faults != nil {
		join = ledger.JoinNone
	}
	w.must(w.ledger.Runs().Decide(ctx, ledger.Judgement{Run: id, Verdict: string(rep.Overall.Kind), Exit: rep.Overall.Exit, Input: []byte("{}"), Report: raw}, join, nil))
	if faults == nil {
		w.base, w.bases, w.last = append(w.base, rates[0]), append(w.bases, id), &rounds[0]
	}
	w.doc[id] = &result.Document{Schema: result.SchemaVersion, Run: r.Run, Rounds: rounds, Verdict: rep}
}

// eachSample makes up the requests of a run.
func eachSample(d *result.Document, f func(result.Sample) error) error {
	if d == nil {
		return nil
	}
	for i := range 230 {
		n := 16
		s := result.Sample{Round: 1, Cell: "cell1", Trial: 1 + i%2, Index: i, Admitted: 1e6, PromptTokens: 12, WantTokens: n, Tokens: result.Counts{Engine: &n}, Finish: "length"}
		for k := range n {
			s.Events = append(s.Events, int64(1e6)+int64(4e6+1e6*math.Sin(float64(i)))+int64(k)*25e6+int64(2e6*math.Sin(float64(i*k))))
		}
		s.End = s.Events[n-1]
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// running makes a run that has only begun.
func (w *world) running(id string) {
	r, a := ledgertest.NewRun(id, 1)
	r.SuiteText, r.Created = suiteText, w.clock.Now()
	w.must(w.ledger.Runs().Create(w.t.Context(), r, []ledger.Attempt{a}))
}
