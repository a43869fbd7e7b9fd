package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/ledgertest"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/wire"
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

// world is a coordinator over a real ledger, its API on a real port, a client, and an
// agent that speaks the protocol over the local bus.
type world struct {
	*client.Client
	t      *testing.T
	core   *core.Core
	ledger ledger.Ledger
	bus    bus.Bus
	agent  ledger.Agent
	deps   Deps
	addr   string
	server *http.Server
	claims int
	clock  *ledgertest.Clock

	mu      sync.Mutex
	waiting []error // what the client said of outages
}

func newWorld(t *testing.T) *world {
	t.Helper()
	clock := ledgertest.NewClock()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ledger: l, bus: bus.NewLocal(), clock: clock}
	w.core, err = core.New(core.Config{Ledger: l, Bus: w.bus, Now: clock.Now, Rand: rand.Reader, Tick: 20 * time.Millisecond})
	w.must(err)
	stop, err := w.core.Start(t.Context())
	w.must(err)
	w.agent, err = w.core.EnrolLocal(t.Context(), "here")
	w.must(err)
	w.deps = From(w.core, l)
	w.deps.Version = "v1"
	t.Cleanup(func() {
		w.stop()
		stop()
		_ = w.bus.Close()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w.start("127.0.0.1:0")
	w.Client, err = client.New("http://"+w.addr, client.Options{RetryFrom: time.Millisecond, RetryTo: 20 * time.Millisecond, Waiting: func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waiting = append(w.waiting, err)
	}})
	w.must(err)
	return w
}

// start serves the API at an address.
func (w *world) start(addr string) {
	w.t.Helper()
	h, err := New(w.deps)
	w.must(err)
	in, err := net.Listen("tcp", addr)
	w.must(err)
	w.addr, w.server = in.Addr().String(), Server(h)
	go func(s *http.Server) { _ = s.Serve(in) }(w.server)
}

// stop shuts the server down, as a program that is stopped does.
func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.t.Errorf("shut the server down: %v", err)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// outages is how often the client said that it waits.
func (w *world) outages() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

func (w *world) submit() client.Run {
	w.t.Helper()
	r, err := w.Submit(w.t.Context(), client.Submission{Suite: suiteText})
	w.must(err)
	return r
}

// eventually polls for a condition with a deadline.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s didn't come about", what)
		}
	}
}

// ask sends a request as an agent does.
func ask[T any](w *world, kind string, req any) (reply T) {
	w.t.Helper()
	b, err := json.Marshal(req)
	w.must(err)
	b, err = w.bus.Request(w.t.Context(), wire.RPC(w.agent.ID, kind), b)
	w.must(err)
	w.must(json.Unmarshal(b, &reply))
	return reply
}

// claim takes the next order.
func (w *world) claim() wire.Order {
	w.t.Helper()
	var o wire.Order
	w.eventually("an order", func() bool {
		w.claims++
		r := ask[wire.ClaimReply](w, wire.Claim, wire.ClaimRequest{Version: wire.Version, ClaimID: fmt.Sprint("c", w.claims), Devices: []string{"cpu"}})
		if r.Order == nil {
			return false
		}
		o = *r.Order
		return true
	})
	return o
}

// deliver measures an order: samples, a round, the end.
func (w *world) deliver(o wire.Order, samples int, rate float64) {
	w.t.Helper()
	ask[wire.BeatReply](w, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: 1, State: "running"})
	s, err := spec.Parse("order.yml", []byte(o.Suite))
	w.must(err)
	counts, sums := map[string]uint64{}, map[string][][32]byte{}
	put := func(stream string, records ...any) {
		w.t.Helper()
		var raw []json.RawMessage
		for _, r := range records {
			b, err := json.Marshal(r)
			w.must(err)
			raw = append(raw, b)
		}
		body, err := wire.EncodeBody(raw)
		w.must(err)
		counts[stream]++
		sums[stream] = append(sums[stream], sha256.Sum256(body))
		r := ask[wire.BatchReply](w, wire.Put, wire.BatchRequest{Attempt: o.Attempt, Stream: stream, Seq: counts[stream], Records: len(records), Body: body})
		if r.Error != nil {
			w.t.Fatal(r.Error)
		}
	}
	for i := range o.Rounds {
		index := o.FirstRound + i
		r := result.Round{
			ID: fmt.Sprintf("%s-r%d", o.Attempt, index), RunID: o.Run, AttemptID: o.Attempt, Index: index, Valid: true, Started: w.clock.Now(), Ended: w.clock.Now(),
			Environment: result.Environment{MachineID: "m1", Hardware: result.Hardware{CPUModel: "cpu", Cores: 2}},
			Subject:     result.Identity{Build: "v1", DType: "bf16/f32"},
		}
		for _, c := range s.Expand() {
			r.Cells = append(r.Cells, result.CellResult{
				Cell: c.Digest, Workload: c.Workload, Point: c.Point, Valid: true, Values: []result.Value{{Metric: "output_rate", Value: rate, N: 2}},
			})
			for n := range samples {
				put(wire.StreamSamples, result.Sample{Round: index, Cell: c.Digest, Trial: 1, Index: n, Scheduled: 1, Admitted: 1, End: 5})
			}
		}
		put(wire.StreamRounds, r)
	}
	e := ask[wire.EndReply](w, wire.End, wire.EndRequest{Attempt: o.Attempt, Outcome: wire.OutcomeDone, Counts: counts, Digest: wire.Digest(sums)})
	if e.Error != nil || len(e.Missing) > 0 {
		w.t.Fatalf("end: %+v", e)
	}
}

// measured is a decided run with three samples.
func (w *world) measured() client.Run {
	w.t.Helper()
	r := w.submit()
	w.deliver(w.claim(), 3, 10)
	r, err := w.Wait(w.t.Context(), r.ID)
	w.must(err)
	return r
}
