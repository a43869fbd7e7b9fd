// Package ledgertest is the conformance suite of coordinator/ledger: every
// implementation runs it.
package ledgertest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

// Clock is a clock that tests move.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed moment.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)} }

// Now gives the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Run holds an implementation to the suite. open makes an empty ledger that is
// closed by the test's cleanup.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) ledger.Ledger) {
	for _, c := range []struct {
		name string
		f    func(*testing.T, *fixture)
	}{
		{"a run's life", testLife},
		{"a claim repeated", testClaimRepeated},
		{"claims at once", testClaimsAtOnce},
		{"foreign agents", testForeign},
		{"beats", testBeats},
		{"batches", testBatches},
		{"end", testEnd},
		{"lost against end", testLost},
		{"cancel", testCancel},
		{"cancel against decide", testCancelRace},
		{"expire", testExpire},
		{"more rounds", testMore},
		{"values", testValues},
		{"baselines", testBaselines},
		{"pins", testPins},
		{"levels", testLevels},
		{"import", testImport},
		{"import that contradicts", testImportContradicts},
		{"kept", testKept},
		{"tasks", testTasks},
		{"events", testEvents},
		{"agents", testAgents},
		{"probes", testProbes},
		{"audit", testAudit},
		{"unknown ids", testUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := NewClock()
			f := &fixture{Ledger: open(t, clock.Now), t: t, clock: clock, ctx: t.Context()}
			f.agent = f.enrol("a1", "alpha")
			c.f(t, f)
		})
	}
}

// fixture is a ledger with one agent and shorthands that end the test on error.
type fixture struct {
	ledger.Ledger
	t     *testing.T
	ctx   context.Context
	clock *Clock
	agent ledger.Agent
	n     int // ids given out
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) wants(err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Fatalf("error is %v, want %v", err, want)
	}
}

func (f *fixture) enrol(id, name string) ledger.Agent {
	f.t.Helper()
	a, err := f.Agents().Enrol(f.ctx, ledger.Agent{ID: id, Name: name, Labels: map[string]string{"zone": "x"}})
	f.must(err)
	return a
}

// NewRun is a run of the base branch with one attempt of so many rounds.
func NewRun(id string, rounds int) (ledger.Run, ledger.Attempt) {
	r := ledger.Run{Rounds: rounds}
	r.Run = result.Run{
		ID: id, Suite: "ci", SuiteText: "name: ci\n", Branch: "main", Lane: result.LaneBase, Commit: "c-" + id,
		Subject: result.Subject{Target: "engine", Build: "self", Model: "m"},
	}
	return r, ledger.Attempt{ID: id + "-a1", Run: id, FirstRound: 1, Rounds: rounds, Device: "cpu", Devices: 1}
}

// NewRound is a valid round of an attempt with the metric output_rate of one cell.
func NewRound(a ledger.Attempt, index int, rate float64) result.Round {
	return result.Round{
		ID: fmt.Sprintf("%s-r%d", a.ID, index), RunID: a.Run, AttemptID: a.ID, Index: index, Valid: true,
		Environment: result.Environment{MachineID: "m1", Hardware: result.Hardware{CPUModel: "cpu", Cores: 2}},
		Subject:     result.Identity{Build: "v1", ModelDigest: "md", DType: "bf16/f32"},
		Cells: []result.CellResult{{
			Cell: "cell1", Workload: "story", Point: map[string]string{"concurrency": "1"}, Valid: true,
			Values: []result.Value{{Metric: "output_rate", Value: rate, N: 3, Spread: 0.5}, {Metric: "ttft.p50", Value: 1000 / rate, N: 3}},
		}},
		Probes: []result.Probe{{Kind: "cpu.read", Unit: "GB/s", Value: 10 + float64(index), When: "before"}},
	}
}

// Series is the key digest of a NewRound's metric.
func Series(metric string) string {
	r := NewRound(ledger.Attempt{}, 1, 1)
	run, _ := NewRun("x", 1)
	for _, v := range r.Cells[0].Values {
		if string(v.Metric) == metric {
			return result.KeyOf(&r, run.Subject, &r.Cells[0], v.Metric).Digest()
		}
	}
	return ""
}

// First picks the head of the queue and the first free device.
func First(queue []ledger.Attempt, _ ledger.Agent, free []string) (int, []string, string) {
	if len(queue) == 0 || len(free) == 0 {
		return -1, nil, "nothing to do"
	}
	return 0, free[:1], ""
}

func (f *fixture) create(id string, rounds int) (ledger.Run, ledger.Attempt) {
	f.t.Helper()
	r, a := NewRun(id, rounds)
	f.must(f.Runs().Create(f.ctx, r, []ledger.Attempt{a}))
	return r, a
}

func (f *fixture) claim() (ledger.Attempt, bool) {
	f.t.Helper()
	f.n++
	a, _, ok, err := f.Attempts().Claim(f.ctx, ledger.Claim{ID: fmt.Sprint("claim", f.n), Agent: f.agent.ID, Devices: []string{"cpu"}}, First)
	f.must(err)
	return a, ok
}

// Batch makes a batch of rounds as an agent sends it.
func Batch(attempt string, seq uint64, rs ...result.Round) wire.BatchRequest {
	var records []json.RawMessage
	for _, r := range rs {
		b, err := json.Marshal(r)
		if err != nil {
			panic(err)
		}
		records = append(records, b)
	}
	body, err := wire.EncodeBody(records)
	if err != nil {
		panic(err)
	}
	return wire.BatchRequest{Attempt: attempt, Stream: wire.StreamRounds, Seq: seq, Records: len(rs), Body: body}
}

// End makes the end of an attempt that sent these batches.
func End(attempt, outcome string, bs ...wire.BatchRequest) wire.EndRequest {
	sums := map[string][][32]byte{}
	e := wire.EndRequest{Attempt: attempt, Outcome: outcome, Counts: map[string]uint64{}}
	for _, b := range bs {
		sums[b.Stream] = append(sums[b.Stream], sha256.Sum256(b.Body))
		e.Counts[b.Stream] = b.Seq
	}
	e.Digest = wire.Digest(sums)
	return e
}

// finish creates, claims, delivers and ends a run with one round of the rate.
func (f *fixture) finish(id string, rate float64) ledger.Attempt {
	f.t.Helper()
	f.create(id, 1)
	a, ok := f.claim()
	if !ok || a.Run != id {
		f.t.Fatalf("claimed %+v, want an attempt of %s", a, id)
	}
	r := NewRound(a, 1, rate)
	b := Batch(a.ID, 1, r)
	_, err := f.Batches().Put(f.ctx, f.agent.ID, b, []result.Round{r})
	f.must(err)
	missing, err := f.Attempts().End(f.ctx, f.agent.ID, End(a.ID, wire.OutcomeDone, b))
	f.must(err)
	if len(missing) > 0 {
		f.t.Fatalf("missing %v", missing)
	}
	return a
}

// decide judges a run that is over.
func (f *fixture) decide(id, verdict string, join ledger.Join) {
	f.t.Helper()
	_, err := f.Runs().Judge(f.ctx, id)
	f.must(err)
	f.must(f.Runs().Decide(f.ctx, ledger.Judgement{Run: id, Verdict: verdict, Input: []byte(`{"a":1}`), Report: []byte(`{}`)}, join, nil))
}
