package harness

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// A request of 11 tokens: 5 ms queue, 20 ms prefill, ten steps of 10 ms = 125 ms.
func steady() *fake {
	return &fake{queue: 5 * time.Millisecond, prefill: 20 * time.Millisecond, step: 10 * time.Millisecond, noCache: true}
}

func TestSequentialFiguresAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spawned := time.Now().Add(-2 * time.Second)
		f := steady()
		d := Deps{Open: func(context.Context, Order) (Opened, error) {
			return Opened{Target: f, Tokenizer: wordTokenizer{}}, nil
		}}
		round, err := RunRound(t.Context(), Order{Run: "r", Attempt: "a", Index: 1, Cells: []spec.Cell{cellOf(nil)}, Spawned: spawned}, d)
		if err != nil {
			t.Fatal(err)
		}
		if !round.Valid || len(round.Cells) != 1 || len(round.Cells[0].Trials) != 2 {
			t.Fatalf("round %+v", round)
		}
		c := round.Cells[0]
		exact := map[metric.ID]*float64{
			"output_rate": new(44 / 0.5), "request_rate": new(4 / 0.5), "total_rate": new((44 + 16) / 0.5),
			"ttft.p50": new(25.0), "ttft.max": new(25.0), "ttft_sched.p50": new(25.0), "tpot.p50": new(10.0),
			"decode_rate_user.p50": new(100.0), "e2e.p50": new(125.0), "e2e_sched.mean": new(125.0),
			"gap.p50": new(10.0), "gap.max": new(10.0), "stall_ratio.mean": new(0.0), "tokens_per_event.mean": new(1.0),
			"engine_ttft.p50": new(25.0), "transport_overhead.p50": new(0.0), "prefill_rate.p50": new(4 / 0.020),
			"prefill_rate_est.p50": nil, "queue_client.p50": new(0.0), "concurrency_mean": new(1.0),
			"error_rate": new(0.0), "token_agreement": new(1.0), "osl_exact": new(1.0), "stream_integrity": new(1.0),
			"cancel_honoured": nil, "ttft.p90": nil, "ttft.p99": nil, "client_lag.max": new(0.0),
		}
		for _, trial := range c.Trials {
			want(t, "trial", trial.Values, exact)
			if !trial.Valid || trial.Requests != 4 || trial.WindowNanos != 500e6 {
				t.Errorf("trial %+v: want 4 requests in 500 ms, valid", trial)
			}
			if got := codes(trial.Reasons, true); !slices.Equal(got, []string{"samples"}) || !strings.Contains(trial.Reasons[0].Detail, "ttft.p95 (4 of 90)") {
				t.Errorf("warnings %v", trial.Reasons)
			}
		}
		exact["client_lag.max"] = new(0.0)
		want(t, "cell", c.Values, exact)
		want(t, "cell", c.Values, map[metric.ID]*float64{
			"load_time": new(2.0), "ttft_process_cold": new(2025.0), "ttft_first_request": new(25.0),
			"mem_weights": new(1000.0), "mem_peak_alloc": new(1500.0), "mem_peak_process": new(9000.0), "kv_bytes_per_token": new(12.5),
		})
		if got := c.Trials[1].Started.Sub(c.Trials[0].Started); got != 500*time.Millisecond {
			t.Errorf("the second trial began %v after the first, want at once at its end", got)
		}
	})
}

func TestConcurrentFiguresAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cellOf(func(c *spec.Cell) {
			c.Load = spec.Load{Type: "closed", Concurrency: 4}
			c.Window.MinRequests, c.Window.MinDuration = 40, time.Second
		})
		round := mustRun(t, steady(), Deps{}, c)
		for _, trial := range round.Cells[0].Trials {
			want(t, "trial", trial.Values, map[metric.ID]*float64{
				"output_rate": new(4 * 11 / 0.125), "concurrency_mean": new(4.0), "ttft.p50": new(25.0), "tpot.max": new(10.0),
			})
			if trial.WindowNanos < 1e9 || trial.Requests < 40 {
				t.Errorf("window of %v ns with %d requests, want at least 1 s and 40", trial.WindowNanos, trial.Requests)
			}
		}
	})
}

func TestFixedRequestsRunInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cellOf(func(c *spec.Cell) {
			c.Load = spec.Load{Type: "closed", Concurrency: 3, Requests: 6}
			c.Warmup = spec.Warmup{Mode: "none"}
			c.Window = spec.Window{MinDuration: time.Hour}
		})
		round := mustRun(t, steady(), Deps{}, c)
		for _, trial := range round.Cells[0].Trials {
			if trial.Requests != 6 || trial.WindowNanos != 250e6 {
				t.Errorf("%d requests in %d ns, want 6 in two turns of 125 ms", trial.Requests, trial.WindowNanos)
			}
			want(t, "trial", trial.Values, map[metric.ID]*float64{"output_rate": new(66 / 0.25), "queue_client.max": new(0.0)})
		}
	})
}

func TestStoredSamplesGiveTheSameValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var samples []result.Sample
		var trials []result.Trial
		d := Deps{Emit: Emit{
			Samples: func(s []result.Sample) { samples = append(samples, s...) },
			Trial:   func(_ spec.Cell, t result.Trial) { trials = append(trials, t) },
		}}
		mustRun(t, steady(), d, cellOf(nil))
		if len(samples) != 1+2*4 || len(trials) != 2 {
			t.Fatalf("%d samples and %d trials, want 9 and 2", len(samples), len(trials))
		}
		for _, trial := range trials {
			own := slices.DeleteFunc(slices.Clone(samples), func(s result.Sample) bool { return s.Trial != trial.Index })
			if own[0].Scheduled != 1 || own[0].Round != 1 || own[0].Cell != cellOf(nil).Digest {
				t.Errorf("first sample %+v: want it scheduled 1 ns after the start", own[0])
			}
			again, _ := Values(Window{Nanos: trial.WindowNanos, Own: own, Exact: true})
			for _, v := range again {
				if got, _ := find(trial.Values, v.Metric); got != v.Value {
					t.Errorf("%s: %v from the stored samples, %v in the trial", v.Metric, v.Value, got)
				}
			}
			if len(again) < 15 {
				t.Errorf("only %d values", len(again))
			}
		}
	})
}

// late oversleeps every timer of the generator.
type late struct{ load.System }

func (l late) Sleep(ctx context.Context, t time.Time) error {
	return l.System.Sleep(ctx, t.Add(4*time.Millisecond))
}

// stealer loses a tenth of its CPU time; a throttled one is too hot besides.
type stealer struct {
	n         uint64
	throttled bool
}

func (s *stealer) Name() string                                        { return "steal" }
func (s *stealer) Describe(context.Context, *result.Environment) error { return nil }
func (s *stealer) Close() error                                        { return nil }
func (s *stealer) Sample(context.Context) (probe.Reading, error) {
	s.n += 10
	c := probe.CPUTimes{Total: 10 * s.n, Steal: s.n}
	if s.throttled {
		c.Throttled = s.n
	}
	return probe.Reading{At: time.Now(), CPU: &c}, nil
}

type hot struct{ throttle string }

func (h *hot) Name() string                                        { return "hot" }
func (h *hot) Describe(context.Context, *result.Environment) error { return nil }
func (h *hot) Close() error                                        { return nil }
func (h *hot) Sample(context.Context) (probe.Reading, error) {
	return probe.Reading{At: time.Now(), GPUs: []probe.GPUReading{{UUID: "g", Throttle: []string{h.throttle}, MemoryUsedBytes: new(int64(5 << 30))}}}, nil
}

func TestInvalidTrials(t *testing.T) {
	gpus := result.Environment{Hardware: result.Hardware{GPUCount: 1}}
	for _, c := range []struct {
		name    string
		deps    Deps
		cell    func(*spec.Cell)
		change  func(n int, r *target.Request, reply *target.Reply, emit func(target.Event)) error
		invalid []string
		warned  []string // beside "samples"
	}{
		{name: "nothing wrong"},
		{name: "planted lateness", deps: Deps{Clock: late{}}, invalid: []string{"client_lag"}},
		{
			name: "wrong length", invalid: []string{"osl"},
			change: func(n int, r *target.Request, reply *target.Reply, _ func(target.Event)) error {
				reply.IDs = reply.IDs[:len(reply.IDs)-1]
				reply.Tokens = result.Counts{Engine: new(len(reply.IDs)), Usage: new(len(reply.IDs))}
				return nil
			},
		},
		{
			name: "a third of requests fails", invalid: []string{"errors"},
			change: func(n int, _ *target.Request, _ *target.Reply, _ func(target.Event)) error {
				if n > 1 && n%3 == 0 {
					return errors.New("broken pipe")
				}
				return nil
			},
		},
		{
			name: "no end marker", invalid: []string{"errors"},
			change: func(_ int, _ *target.Request, reply *target.Reply, _ func(target.Event)) error {
				reply.DoneSeen = false
				return nil
			},
		},
		{
			name: "prefix cache used under bust", invalid: []string{"cache"},
			change: func(_ int, _ *target.Request, reply *target.Reply, _ func(target.Event)) error {
				reply.Cached = 2
				return nil
			},
		},
		{
			name: "prefix cache used under shared", cell: func(c *spec.Cell) { c.Request.Cache = "shared" },
			change: func(_ int, _ *target.Request, reply *target.Reply, _ func(target.Event)) error {
				reply.Cached = 2
				return nil
			},
		},
		{name: "steal", deps: Deps{Samplers: []probe.Sampler{&stealer{}}}, invalid: []string{"steal"}},
		{
			name: "throttled CPU", deps: Deps{Samplers: []probe.Sampler{&stealer{throttled: true}}},
			cell: func(c *spec.Cell) { c.Validity.MaxSteal = 1 }, invalid: []string{"throttled"},
		},
		{name: "throttled GPU", deps: Deps{Environment: gpus, Samplers: []probe.Sampler{&hot{probe.ThrottleHWThermal}}}, invalid: []string{"throttled"}},
		{name: "throttled GPU that isn't used", deps: Deps{Samplers: []probe.Sampler{&hot{probe.ThrottleHWThermal}}}},
		{name: "a process that isn't the subject's", deps: Deps{Environment: gpus, Samplers: []probe.Sampler{&hot{}}, Foreign: func([]int) []int { return []int{4711} }}, invalid: []string{"foreign"}},
		{name: "processes of the subject's only", deps: Deps{Environment: gpus, Samplers: []probe.Sampler{&hot{}}, Foreign: func([]int) []int { return nil }}},
		{name: "power cap only warns", deps: Deps{Environment: gpus, Samplers: []probe.Sampler{&hot{probe.ThrottleSWPowerCap}}}, warned: []string{"throttled"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := steady()
				f.change = c.change
				round := mustRun(t, f, c.deps, cellOf(c.cell))
				for _, trial := range round.Cells[0].Trials {
					if got := codes(trial.Reasons, false); !slices.Equal(got, c.invalid) || trial.Valid != (len(c.invalid) == 0) {
						t.Errorf("valid %v, reasons %+v; want %v", trial.Valid, trial.Reasons, c.invalid)
					}
					got := slices.DeleteFunc(codes(trial.Reasons, true), func(s string) bool { return s == "samples" })
					if !slices.Equal(got, c.warned) {
						t.Errorf("warnings %v, want %v", got, c.warned)
					}
				}
				good := len(c.invalid) == 0
				if round.Cells[0].Valid != good || round.Valid != good {
					t.Errorf("cell valid %v, round valid %v, want %v", round.Cells[0].Valid, round.Valid, good)
				}
				if _, ok := find(round.Cells[0].Values, "output_rate"); ok != good {
					t.Errorf("the cell has a rate: %v, want %v", ok, good)
				}
			})
		})
	}
}

// hiccup oversleeps for a while after the start.
type hiccup struct {
	load.System
	until time.Time
}

func (h hiccup) Sleep(ctx context.Context, t time.Time) error {
	if time.Now().Before(h.until) {
		t = t.Add(4 * time.Millisecond)
	}
	return h.System.Sleep(ctx, t)
}

func TestTrialsSpoiltByTheMachineAreRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var samples []result.Sample
		d := Deps{
			Clock: hiccup{until: time.Now().Add(600 * time.Millisecond)},
			Emit:  Emit{Samples: func(s []result.Sample) { samples = append(samples, s...) }},
		}
		c := mustRun(t, steady(), d, cellOf(nil)).Cells[0]
		var valid []bool
		for i, trial := range c.Trials {
			valid = append(valid, trial.Valid)
			n := 0
			for _, s := range samples {
				if s.Trial == trial.Index {
					n++
				}
			}
			if trial.Index != i+1 || n != trial.Requests {
				t.Errorf("trial %d has index %d and %d samples of %d", i+1, trial.Index, n, trial.Requests)
			}
		}
		if !slices.Equal(valid, []bool{false, true, true}) || !c.Valid {
			t.Errorf("trials %v, cell valid %v; want the spoilt one repeated", valid, c.Valid)
		}
		if got := codes(c.Reasons, true); !slices.Equal(got, []string{"trials"}) {
			t.Errorf("warnings %v, want that a trial is invalid", c.Reasons)
		}
		want(t, "cell", c.Values, map[metric.ID]*float64{"output_rate": new(88.0)})
	})
}

func TestACellIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		cell   func(*spec.Cell)
		change func(n int, r *target.Request, reply *target.Reply, emit func(target.Event)) error
		code   string
		within time.Duration
	}{
		{
			name: "every request fails", code: "errors", within: 3 * time.Second,
			change: func(n int, _ *target.Request, _ *target.Reply, _ func(target.Event)) error {
				if n > 0 { // the first one of all opens the round
					return errors.New("out of memory")
				}
				return nil
			},
		},
		{name: "a trial is too long", code: "window", within: 3 * time.Second, cell: func(c *spec.Cell) {
			c.Window.MinRequests, c.Window.Max = 1000, 2*time.Second
		}},
		{name: "one request is too long", code: "window", within: 8 * time.Second, cell: func(c *spec.Cell) {
			c.Request.MaxTokens, c.Window.Max = 1000, 2*time.Second
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := steady()
				f.change = c.change
				start := time.Now()
				round := mustRun(t, f, Deps{}, cellOf(c.cell))
				if round.Valid || round.Cells[0].Valid || !slices.Contains(codes(round.Cells[0].Reasons, false), c.code) {
					t.Errorf("cell %+v, want it invalid by %q", round.Cells[0], c.code)
				}
				if took := time.Since(start); took > c.within {
					t.Errorf("given up after %v, want %v", took, c.within)
				}
			})
		})
	}
}

func TestCancelledRoundGivesNoResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := errors.New("the user pressed Ctrl-C")
		time.AfterFunc(300*time.Millisecond, func() { cancel(stopped) })
		f := steady()
		d := Deps{Open: func(context.Context, Order) (Opened, error) { return Opened{Target: f}, nil }}
		_, err := RunRound(ctx, Order{Index: 1, Cells: []spec.Cell{cellOf(nil)}}, d)
		if !errors.Is(err, stopped) || !f.closed {
			t.Errorf("error %v, closed %v; want the cause and a closed target", err, f.closed)
		}
	})
}

func TestOrdersThatCantRun(t *testing.T) {
	broken := errors.New("no such model")
	opens := func(context.Context, Order) (Opened, error) { return Opened{Target: steady()}, nil }
	for _, c := range []struct {
		name  string
		cells []spec.Cell
		open  func(context.Context, Order) (Opened, error)
		want  string
	}{
		{"no cell", nil, opens, "no cell"},
		{"a load of a later version", []spec.Cell{cellOf(func(c *spec.Cell) { c.Load.Type = "uniform" })}, opens, `"uniform"`},
		{"an open load without a rate", []spec.Cell{cellOf(func(c *spec.Cell) { c.Load.Type = "poisson" })}, opens, "rate of 0"},
		{"the same cell twice", []spec.Cell{cellOf(nil), cellOf(nil)}, opens, "twice"},
		{"a data set that isn't here", []spec.Cell{cellOf(func(c *spec.Cell) { c.Data = spec.Data{Type: "dataset", Dataset: "x"} })}, opens, `"x"`},
		{"a subject that doesn't start", []spec.Cell{cellOf(nil)}, func(context.Context, Order) (Opened, error) { return Opened{}, broken }, "no such model"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := RunRound(t.Context(), Order{Index: 1, Cells: c.cells}, Deps{Open: c.open})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %s", err, c.want)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Progress
		long := func(name string) spec.Cell {
			return cellOf(func(c *spec.Cell) {
				c.Workload, c.Window.MinDuration = name, 2*time.Second
			})
		}
		d := Deps{Emit: Emit{Progress: func(p Progress) { seen = append(seen, p) }}}
		mustRun(t, steady(), d, long("a"), long("b"))
		var phases []string
		last := 0.0
		for _, p := range seen {
			if len(phases) == 0 || phases[len(phases)-1] != p.Workload+" "+p.Phase {
				phases = append(phases, p.Workload+" "+p.Phase)
			}
			if p.Done < last || p.Done > 1 || p.Left < 0 {
				t.Errorf("done %v after %v, %v left", p.Done, last, p.Left)
			}
			last = p.Done
		}
		for _, w := range []string{"a starting", "a trial 1 of 2", "a trial 2 of 2", "b trial 1 of 2", " done"} {
			if !slices.Contains(phases, w) {
				t.Errorf("phases %q lack %q", phases, w)
			}
		}
		if last != 1 {
			t.Errorf("ended at %v", last)
		}
		rated := slices.ContainsFunc(seen, func(p Progress) bool { return p.Rate > 70 && p.Rate < 110 })
		if !rated {
			t.Error("no progress had the rate of 88 tok/s")
		}
	})
}

// noting is a target that has something to say of the round.
type noting struct{ *fake }

func (noting) Notes() []string { return []string{"top_k was not sent"} }

// TestServersAreDescribedHonestly: what a subject without tokenizer and in a process
// of its own can't know is said, or measured from where it can be.
func TestServersAreDescribedHonestly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := steady()
		cell := cellOf(func(c *spec.Cell) { c.Data = spec.Data{Type: "synthetic", ISL: 40} })
		spawned := time.Now().Add(-time.Minute) // long before the subject's own process
		o := Order{Index: 1, Cells: []spec.Cell{cell}, Spawned: spawned}
		round, err := RunRound(t.Context(), o, Deps{Open: func(context.Context, Order) (Opened, error) {
			return Opened{Target: noting{f}, Spawned: time.Now().Add(-3 * time.Second)}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(codes(round.Reasons, true), "unsupported") {
			t.Errorf("the target's notes are not among %+v", round.Reasons)
		}
		if !slices.Contains(codes(round.Cells[0].Reasons, true), "prompt_length") {
			t.Errorf("nobody says that the prompts were not counted in tokens: %+v", round.Cells[0].Reasons)
		}
		seen := map[string]bool{}
		for _, r := range f.requests {
			if n := len(strings.Fields(r.Text)); n != 40 || seen[r.Text] {
				t.Fatalf("a prompt of %d words, seen before: %v", n, seen[r.Text])
			}
			seen[r.Text] = true
		}
		if v, ok := find(round.Cells[0].Values, "load_time"); !ok || v < 3 || v > 10 {
			t.Errorf("load time %v s, want that of the subject's own process", v)
		}
	})
}
