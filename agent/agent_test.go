package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/wire"
)

// TestMain lets this test binary be the worker that an agent starts.
func TestMain(m *testing.M) {
	if mode := os.Getenv("PACELINE_TEST_WORKER"); mode != "" {
		playWorker(mode)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// playWorker is a real process that speaks the worker protocol.
func playWorker(mode string) {
	out := func(f *wire.Frame) {
		if err := wire.WriteFrame(os.Stdout, f); err != nil {
			os.Exit(9)
		}
	}
	if mode == "garbage" {
		fmt.Println("Segmentation fault? no: just not a worker")
		return
	}
	protocol := wire.WorkerProtocol
	if mode == "future" {
		protocol = 99
	}
	out(&wire.Frame{Hello: &wire.Hello{Protocol: protocol, Version: "test", Targets: []string{"engine"}}})
	in := bufio.NewReader(os.Stdin)
	f, err := wire.ReadFrame(in)
	if err != nil {
		os.Exit(8)
	}
	o := f.Order
	out(&wire.Frame{Progress: &wire.Progress{Phase: "warm-up", Done: 0.1}})
	switch mode {
	case "killed":
		fmt.Fprintln(os.Stderr, "about to be killed")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "silent":
		_, _ = in.ReadByte() // until standard input ends
		return
	case "refuses":
		out(&wire.Frame{Error: &wire.Error{Class: wire.ClassRequest, Message: "no such workload"}})
		return
	}
	var samples []result.Sample
	for i := range 300 {
		samples = append(samples, result.Sample{Round: o.Round, Index: i, Cell: "c", TextHash: fmt.Sprintf("%064x", i*7919)})
	}
	out(&wire.Frame{Samples: samples})
	out(&wire.Frame{Round: &result.Round{ID: fmt.Sprintf("%s-%d", o.Attempt, o.Round), RunID: o.Run, Index: o.Round, Valid: true}})
	_, _ = in.ReadByte()
}

// coordinator is a fake one that keeps what it is told, over a real bus.
type coordinator struct {
	t   *testing.T
	bus bus.Bus

	mu       sync.Mutex
	order    *wire.Order
	mustStop bool
	away     bool // answers nothing useful
	beats    []wire.BeatRequest
	stored   map[string]map[uint64]wire.BatchRequest
	ended    chan wire.EndRequest
}

func newCoordinator(t *testing.T, o wire.Order) *coordinator {
	c := &coordinator{t: t, bus: bus.NewLocal(), order: &o, stored: map[string]map[uint64]wire.BatchRequest{}, ended: make(chan wire.EndRequest, 4)}
	t.Cleanup(func() { _ = c.bus.Close() })
	serve(c, wire.Claim, func(wire.ClaimRequest) any {
		o := c.order
		c.order = nil
		return wire.ClaimReply{Order: o}
	})
	serve(c, wire.Beat, func(r wire.BeatRequest) any {
		c.beats = append(c.beats, r)
		return wire.BeatReply{MustStop: c.mustStop, Reason: "test", BeatEvery: 20 * time.Millisecond}
	})
	serve(c, wire.Put, func(r wire.BatchRequest) any {
		if c.stored[r.Stream] == nil {
			c.stored[r.Stream] = map[uint64]wire.BatchRequest{}
		}
		c.stored[r.Stream][r.Seq] = r
		return wire.BatchReply{HighWater: uint64(len(c.stored[r.Stream]))}
	})
	serve(c, wire.End, func(r wire.EndRequest) any {
		c.ended <- r
		return wire.EndReply{}
	})
	return c
}

func serve[R any](c *coordinator, kind string, h func(R) any) {
	_, err := c.bus.Serve(wire.RPC("a1", kind), "q", func(_ context.Context, _ string, data []byte) []byte {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.away && kind != wire.Beat {
			return []byte("the coordinator is away")
		}
		var r R
		if err := json.Unmarshal(data, &r); err != nil {
			c.t.Error(err)
		}
		b, err := json.Marshal(h(r))
		if err != nil {
			c.t.Error(err)
		}
		return b
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *coordinator) set(f func()) { c.mu.Lock(); defer c.mu.Unlock(); f() }

func (c *coordinator) waitEnd() wire.EndRequest {
	c.t.Helper()
	select {
	case e := <-c.ended:
		return e
	case <-time.After(30 * time.Second):
		c.t.Fatal("the attempt did not end")
		panic("unreachable")
	}
}

// agent starts one with a worker of the mode; stop ends it.
func (c *coordinator) agent(spool, mode string, change func(*Config)) (stop func()) {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cfg := Config{
		ID: "a1", Devices: []string{"cpu"}, Spool: spool, Bus: c.bus,
		Worker:     []string{"env", "PACELINE_TEST_WORKER=" + mode, self},
		Model:      func(name string) (string, error) { return "/models/" + name, nil },
		ClaimEvery: 20 * time.Millisecond, Retry: 5 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil {
			c.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	c.t.Cleanup(stop)
	return stop
}

func testOrder() wire.Order {
	return wire.Order{Attempt: "at1", Run: "r1", Rounds: 2, FirstRound: 1, Model: "default", Subject: result.Subject{Target: "engine", Build: "self"}}
}

func TestAttemptDelivers(t *testing.T) {
	c := newCoordinator(t, testOrder())
	spool := t.TempDir()
	heard := make(chan string, 100)
	if _, err := c.bus.Subscribe(wire.Live("r1"), func(_ string, b []byte) { heard <- string(b) }); err != nil {
		t.Fatal(err)
	}
	c.agent(spool, "measures", nil)
	end := c.waitEnd()
	if end.Outcome != wire.OutcomeDone || end.Problem != nil {
		t.Fatalf("outcome %s, %v", end.Outcome, end.Problem)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if got, want := len(c.stored[wire.StreamRounds]), 2; got != want {
		t.Errorf("%d batches of rounds, want %d", got, want)
	}
	samples := 0
	for _, b := range c.stored[wire.StreamSamples] {
		records, err := wire.DecodeBody(b.Body)
		if err != nil || len(records) != b.Records {
			t.Errorf("batch %d: %d records of %d, %v", b.Seq, len(records), b.Records, err)
		}
		samples += len(records)
	}
	if samples != 600 {
		t.Errorf("%d samples, want 600", samples)
	}
	if len(c.beats) == 0 || c.beats[0].State != "leased" || c.beats[0].N != 1 {
		t.Errorf("beats %+v", c.beats)
	}
	if len(heard) == 0 {
		t.Error("no progress was announced")
	}
	waitGone(t, filepath.Join(spool, "at1"))
}

func TestFailures(t *testing.T) {
	for _, tc := range []struct {
		mode, class, says string
		change            func(*Config)
	}{
		{mode: "killed", class: wire.ClassSubject, says: "signal 9"},
		{mode: "killed", class: wire.ClassSubject, says: "about to be killed"},
		{mode: "silent", class: wire.ClassSubject, says: "killed", change: func(c *Config) { c.Silence = 300 * time.Millisecond }},
		{mode: "refuses", class: wire.ClassRequest, says: "no such workload"},
		{mode: "garbage", class: wire.ClassSubject, says: "not understood"},
		{mode: "future", class: wire.ClassRequest, says: "protocol 99"},
		{mode: "measures", class: wire.ClassRequest, says: "model \"default\"", change: func(c *Config) {
			c.Model = func(string) (string, error) { return "", os.ErrNotExist }
		}},
		{mode: "measures", class: wire.ClassMachine, says: "start", change: func(c *Config) { c.Worker = []string{"/nowhere"} }},
	} {
		t.Run(tc.mode+" "+tc.says, func(t *testing.T) {
			c := newCoordinator(t, testOrder())
			c.agent(t.TempDir(), tc.mode, tc.change)
			end := c.waitEnd()
			if end.Outcome != wire.OutcomeError || end.Problem == nil {
				t.Fatalf("outcome %s, %v", end.Outcome, end.Problem)
			}
			if end.Problem.Class != tc.class || !strings.Contains(end.Problem.Message, tc.says) {
				t.Errorf("problem %q of class %s, want %q of class %s", end.Problem.Message, end.Problem.Class, tc.says, tc.class)
			}
		})
	}
}

func TestMustStop(t *testing.T) {
	c := newCoordinator(t, testOrder())
	c.agent(t.TempDir(), "silent", nil)
	waitUntil(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.beats) > 2 })
	c.set(func() { c.mustStop = true })
	if end := c.waitEnd(); end.Outcome != wire.OutcomeCancelled {
		t.Errorf("outcome %s", end.Outcome)
	}
}

func TestCoordinatorAway(t *testing.T) {
	c := newCoordinator(t, testOrder())
	spool := t.TempDir()
	c.agent(spool, "measures", nil)
	waitUntil(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.beats) > 0 })
	c.set(func() { c.away = true })
	waitUntil(t, func() bool { m, _ := filepath.Glob(filepath.Join(spool, "at1", "rounds-*2.batch")); return len(m) == 1 })
	c.set(func() { c.away = false })
	end := c.waitEnd()
	c.mu.Lock()
	defer c.mu.Unlock()
	got := map[string]uint64{}
	for stream, batches := range c.stored {
		got[stream] = uint64(len(batches))
	}
	if !maps.Equal(got, end.Counts) {
		t.Errorf("stored %v, the agent counts %v", got, end.Counts)
	}
}

func TestLeftoversAreDelivered(t *testing.T) {
	c := newCoordinator(t, testOrder())
	spool := t.TempDir()
	stop := c.agent(spool, "silent", nil)
	waitUntil(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.beats) > 0 })
	stop() // in the middle of a round, as a crash would
	c.agent(spool, "measures", nil)
	end := c.waitEnd()
	if end.Outcome != wire.OutcomeError || !strings.Contains(end.Problem.Message, "restarted") {
		t.Errorf("outcome %s, %v", end.Outcome, end.Problem)
	}
	waitGone(t, filepath.Join(spool, "at1"))
}

// TestOneMeasurementAHost: the second agent's worker starts when the first one's has ended.
func TestOneMeasurementAHost(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "host.lock")
	first, second := newCoordinator(t, testOrder()), newCoordinator(t, testOrder())
	shared := func(c *Config) { c.HostLock = lock }
	first.agent(t.TempDir(), "silent", shared)
	waitUntil(t, func() bool { first.mu.Lock(); defer first.mu.Unlock(); return len(first.beats) > 2 })
	waits := make(chan string, 10)
	if _, err := second.bus.Subscribe(wire.Live("r1"), func(_ string, b []byte) { waits <- string(b) }); err != nil {
		t.Fatal(err)
	}
	second.agent(t.TempDir(), "measures", shared)
	if heard := <-waits; !strings.Contains(heard, "waiting for another measurement") {
		t.Errorf("heard %s", heard)
	}
	if n := len(second.ended); n != 0 {
		t.Fatal("the second agent measured while the first did")
	}
	first.set(func() { first.mustStop = true })
	first.waitEnd()
	if end := second.waitEnd(); end.Outcome != wire.OutcomeDone {
		t.Errorf("outcome %s, %v", end.Outcome, end.Problem)
	}
}

func TestSpoolThatCantBeMade(t *testing.T) {
	c := newCoordinator(t, testOrder())
	c.agent("/dev/null/spool", "measures", nil)
	end := c.waitEnd()
	if end.Problem == nil || end.Problem.Class != wire.ClassMachine || !strings.Contains(end.Problem.Message, "spool of attempt at1") {
		t.Errorf("problem %v", end.Problem)
	}
}

func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass")
		}
	}
}

func waitGone(t *testing.T, path string) {
	t.Helper()
	waitUntil(t, func() bool { _, err := os.Stat(path); return os.IsNotExist(err) })
}
