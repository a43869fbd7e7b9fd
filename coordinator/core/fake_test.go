package core

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/ledgertest"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/coordinator/place"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites/spec"
)

// suiteText has one workload with a gate of 20 % on output_rate, and a critical one.
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
        - {metric: token_agreement, severity: critical, min: 1}
`

// world is a coordinator over a real ledger and a local bus, with a clock that tests
// move.
type world struct {
	*Core
	t     *testing.T
	ctx   context.Context
	clock *ledgertest.Clock
	bus   bus.Bus
	agent ledger.Agent
	n     int // claims
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	clock := ledgertest.NewClock()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	b := bus.NewLocal()
	cfg := Config{Ledger: l, Bus: b, Now: clock.Now, Rand: rand.Reader, Tick: 20 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := c.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Core: c, t: t, ctx: t.Context(), clock: clock, bus: b}
	w.agent = w.enrol("here")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) enrol(name string) ledger.Agent {
	w.t.Helper()
	a, err := w.EnrolLocal(w.ctx, name)
	w.must(err)
	return a
}

// ask sends a request as an agent does.
func ask[T any](w *world, agent, kind string, req any) (reply T) {
	w.t.Helper()
	b, err := json.Marshal(req)
	w.must(err)
	b, err = w.bus.Request(w.ctx, wire.RPC(agent, kind), b)
	w.must(err)
	w.must(json.Unmarshal(b, &reply))
	return reply
}

// claim asks for work until there is some, which comes after the judge.
func (w *world) claim(agent string) wire.Order {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // between polls
		w.n++
		r := ask[wire.ClaimReply](w, agent, wire.Claim, wire.ClaimRequest{
			Version: wire.Version, ClaimID: fmt.Sprint(agent, "-", w.n), Devices: []string{place.CPU},
		})
		if r.Order != nil {
			return *r.Order
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("no work: %s %v", r.Why, r.Error)
		}
	}
}

// machine is what a fake agent finds on its machine.
type machine struct {
	id     string
	cores  int
	rate   func(index int) float64
	change func(*result.Round)
}

func at(rate float64) machine {
	return machine{id: "m1", cores: 2, rate: func(int) float64 { return rate }}
}

// measured makes the round that a worker would have measured.
func (m machine) measured(t *testing.T, o wire.Order, index int) result.Round {
	t.Helper()
	s, err := spec.Parse("order.yml", []byte(o.Suite))
	if err != nil {
		t.Fatal(err)
	}
	r := result.Round{
		ID: fmt.Sprintf("%s-r%d", o.Attempt, index), RunID: o.Run, AttemptID: o.Attempt, Index: index, Valid: true,
		Environment: result.Environment{MachineID: m.id, Hardware: result.Hardware{CPUModel: "cpu", Cores: m.cores}},
		Subject:     result.Identity{Build: "v1", DType: "bf16/f32", Faults: o.Faults},
	}
	for _, c := range s.Expand() {
		r.Cells = append(r.Cells, result.CellResult{
			Cell: c.Digest, Workload: c.Workload, Point: c.Point, Valid: true,
			Values: []result.Value{{Metric: "output_rate", Value: m.rate(index), N: 2}, {Metric: "token_agreement", Value: 1, N: 2}},
		})
	}
	if m.change != nil {
		m.change(&r)
	}
	return r
}

// sender delivers batches of an attempt.
type sender struct {
	w       *world
	agent   string
	attempt string
	counts  map[string]uint64
	sums    map[string][][32]byte
}

func (w *world) sender(agent, attempt string) *sender {
	return &sender{w: w, agent: agent, attempt: attempt, counts: map[string]uint64{}, sums: map[string][][32]byte{}}
}

func send[T any](s *sender, stream string, records ...T) wire.BatchReply {
	s.w.t.Helper()
	var raw []json.RawMessage
	for _, r := range records {
		b, err := json.Marshal(r)
		s.w.must(err)
		raw = append(raw, b)
	}
	body, err := wire.EncodeBody(raw)
	s.w.must(err)
	s.counts[stream]++
	s.sums[stream] = append(s.sums[stream], sha256.Sum256(body))
	return ask[wire.BatchReply](s.w, s.agent, wire.Put, wire.BatchRequest{
		Attempt: s.attempt, Stream: stream, Seq: s.counts[stream], Records: len(records), Body: body,
	})
}

func (s *sender) end(outcome string, p *wire.Error) wire.EndReply {
	s.w.t.Helper()
	return ask[wire.EndReply](s.w, s.agent, wire.End, wire.EndRequest{
		Attempt: s.attempt, Outcome: outcome, Counts: s.counts, Digest: wire.Digest(s.sums), Problem: p,
	})
}

// attempt claims one order and runs it on the machine.
func (w *world) attempt(agent string, m machine) wire.Order {
	w.t.Helper()
	o := w.claim(agent)
	s := w.sender(agent, o.Attempt)
	if b := ask[wire.BeatReply](w, agent, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: 1, State: "running"}); b.Error != nil || b.MustStop {
		w.t.Fatalf("beat: %+v", b)
	}
	for i := range o.Rounds {
		send(s, wire.StreamSamples, result.Sample{Round: o.FirstRound + i, End: 5}, result.Sample{Round: o.FirstRound + i, End: 6})
		if r := send(s, wire.StreamRounds, m.measured(w.t, o, o.FirstRound+i)); r.Error != nil {
			w.t.Fatalf("batch: %v", r.Error)
		}
	}
	if r := s.end(wire.OutcomeDone, nil); r.Error != nil || len(r.Missing) > 0 {
		w.t.Fatalf("end: %+v", r)
	}
	return o
}

// submit asks for a run of the suite.
func (w *world) submit(q SubmitRequest) ledger.Run {
	w.t.Helper()
	if q.Suite == "" {
		q.Suite = suiteText
	}
	r, err := w.Submit(w.ctx, q)
	w.must(err)
	return r
}

// measure runs a run to its end: as many attempts as the gate asks for.
func (w *world) measure(q SubmitRequest, m machine) (run ledger.Run, attempts int) {
	w.t.Helper()
	r := w.submit(q)
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	for {
		w.attempt(w.agent.ID, m)
		attempts++
		// Either decided or more: both come with an event.
		for {
			last, err := w.cfg.Ledger.Events().Last(ctx)
			w.must(err)
			got, err := w.cfg.Ledger.Runs().Get(ctx, r.ID)
			w.must(err)
			if got.State.Terminal() {
				return got, attempts
			}
			if got.State == ledger.RunMore {
				as, err := w.cfg.Ledger.Attempts().OfRun(ctx, r.ID)
				w.must(err)
				if as[len(as)-1].State == ledger.AttemptQueued {
					break
				}
			}
			w.must(w.cfg.Ledger.Events().Wait(ctx, last))
		}
	}
}

// store is a series store in memory that can be made to fail.
type store struct {
	mu     sync.Mutex
	fail   func([]series.Point) error
	points map[string]series.Point
	writes int
}

func (s *store) Write(_ context.Context, ps []series.Point) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.fail != nil {
		if err := s.fail(ps); err != nil {
			return err
		}
	}
	for _, p := range ps {
		s.points[p.Series+p.At.String()] = p
	}
	return nil
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.points)
}

// eventually polls for a condition with a deadline.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s didn't come about", what)
		}
	}
}

// rate is the metric that the tests' gate is on.
const rate metric.ID = "output_rate"
