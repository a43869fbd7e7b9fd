package harness

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// openly is a cell of an open load without limits: ten requests a second for two seconds, of 125 ms each.
func openly(change func(*spec.Cell)) spec.Cell {
	return cellOf(func(c *spec.Cell) {
		c.Load = spec.Load{Type: "constant", Concurrency: 1, Rate: 10, MaxInFlight: 64}
		c.Window = spec.Window{MinDuration: 2 * time.Second, MinRequests: 1, Max: time.Minute}
		c.Validity = spec.Validity{MinDelivered: 0.98}
		if change != nil {
			change(c)
		}
	})
}

func TestOpenLoadKeepsItsSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var samples []result.Sample
		f := steady()
		d := Deps{Emit: Emit{Samples: func(s []result.Sample) { samples = append(samples, s...) }}}
		round := mustRun(t, f, d, openly(nil))
		cell := round.Cells[0]
		if !cell.Valid || len(cell.Trials) != 2 {
			t.Fatalf("%d trials, valid %v: %+v", len(cell.Trials), cell.Valid, cell.Reasons)
		}
		want(t, "constant", cell.Values, map[metric.ID]*float64{
			"offered_rate": new(10.0), "delivered_ratio": new(1.0), "request_rate": new(10.0),
			"concurrency_mean": new(1.25), "ttft.mean": new(25.0), "ttft_sched.mean": new(25.0), "output_rate": new(110.0),
		})
		trial := map[int]int{}
		for _, s := range samples {
			trial[s.Trial]++
			if s.Trial > 0 && (s.Admitted != s.Scheduled || (s.Scheduled-1)%100e6 != 0) {
				t.Errorf("request %d of trial %d was due after %d ns and sent after %d, want both at a tenth of a second", s.Index, s.Trial, s.Scheduled, s.Admitted)
			}
		}
		if trial[1] != 20 || trial[2] != 20 || len(trial) != 3 {
			t.Errorf("requests by trial: %v, want 20 in each of two, and the warm-up's", trial)
		}
		// The last trial's last request was due 100 ms before the trial ended: it went on for 25 ms, with one more beside it.
		if all := len(f.requests); all != len(samples)+2 {
			t.Errorf("%d requests were sent and %d told of, want one more before the trials and one after them", all, len(samples))
		}
	})
}

// The last trial's requests end under load: arrivals go on until they have.
func TestOpenLoadGoesOnForTheLastRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var samples []result.Sample
		f := steady()
		f.prefillOf = func(target.Request) time.Duration { return 950 * time.Millisecond }
		start := time.Now()
		round := mustRun(t, f, Deps{Emit: Emit{Samples: func(s []result.Sample) { samples = append(samples, s...) }}}, openly(nil))
		want(t, "slow", round.Cells[0].Values, map[metric.ID]*float64{"concurrency_mean": new(10.5), "error_rate": new(0.0)})
		if more := len(f.requests) - len(samples) - 1; more != 10 {
			t.Errorf("%d requests came after the last trial, want the ten of the 950 ms that its last one took on", more)
		}
		// A second for the very first request, 1.3 for the warm-up, 4 for the trials, and one for the last request.
		if took := time.Since(start); took > 7500*time.Millisecond {
			t.Errorf("it took %v, want no wait for requests that nobody measures", took)
		}
	})
}

// A limit on what is in flight makes requests wait in the client. Their time counts from the schedule, and the trial is no
// measurement of that rate.
func TestOpenLoadCountsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		round := mustRun(t, steady(), Deps{}, openly(func(c *spec.Cell) { c.Load.MaxInFlight = 1 }))
		cell := round.Cells[0]
		if cell.Valid || !slices.Contains(codes(cell.Trials[0].Reasons, false), "delivered") {
			t.Errorf("valid %v, reasons %+v: want delivered", cell.Valid, cell.Trials[0].Reasons)
		}
		trial := cell.Trials[0]
		waited, ok := find(trial.Values, "queue_client.max")
		if !ok || waited < 400 {
			t.Errorf("a request waited for %v ms at most, want half a second: 125 ms each come every 100 ms", waited)
		}
		own, _ := find(trial.Values, "ttft.mean")
		sched, _ := find(trial.Values, "ttft_sched.mean")
		if own != 25 || sched < own+200 {
			t.Errorf("ttft %v ms from admission, %v ms from the schedule", own, sched)
		}
	})
}

func TestPoissonRoundsRepeat(t *testing.T) {
	run := func() (due []int64) {
		synctest.Test(t, func(t *testing.T) {
			d := Deps{Emit: Emit{Samples: func(s []result.Sample) {
				for _, x := range s {
					due = append(due, x.Scheduled)
				}
			}}}
			mustRun(t, steady(), d, openly(func(c *spec.Cell) { c.Load.Type = "poisson" }))
		})
		return due
	}
	a, b := run(), run()
	if !slices.Equal(a, b) || len(a) < 20 {
		t.Errorf("two rounds of one seed have %d and %d requests at other instants", len(a), len(b))
	}
}

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var samples []result.Sample
		d := Deps{Emit: Emit{Samples: func(s []result.Sample) { samples = append(samples, s...) }}}
		round := mustRun(t, steady(), d, openly(func(c *spec.Cell) {
			c.Load = spec.Load{Type: "burst", Concurrency: 1, Requests: 8, MaxInFlight: 4}
		}))
		want(t, "burst", round.Cells[0].Values, map[metric.ID]*float64{
			"request_rate": new(32.0), "concurrency_mean": new(4.0), "queue_client.max": new(125.0), "offered_rate": nil,
		})
		for _, s := range samples {
			if s.Trial > 0 && s.Scheduled != 1 {
				t.Errorf("request %d of trial %d was due %d ns into it, want all at its start", s.Index, s.Trial, s.Scheduled)
			}
		}
	})
}

func TestGoodput(t *testing.T) {
	for name, c := range map[string]struct {
		slo  spec.SLO
		good float64 // share of the requests, of which every other takes half a second to its first token
	}{
		"none":                        {spec.SLO{}, -1},
		"ttft":                        {spec.SLO{TTFT: 100 * time.Millisecond}, 0.5},
		"ttft exactly":                {spec.SLO{TTFT: 25 * time.Millisecond}, 0.5},
		"tpot, which all keep":        {spec.SLO{TPOT: 10 * time.Millisecond}, 1},
		"tpot, which none keeps":      {spec.SLO{TPOT: 10*time.Millisecond - 1}, 0},
		"end to end":                  {spec.SLO{E2E: 130 * time.Millisecond}, 0.5},
		"one of two that all keep":    {spec.SLO{TTFT: time.Second, E2E: 130 * time.Millisecond}, 0.5},
		"both, which no request does": {spec.SLO{TTFT: time.Millisecond, E2E: time.Second}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := steady()
				var n atomic.Int64
				f.prefillOf = func(target.Request) time.Duration {
					if n.Add(1)%2 == 0 {
						return 500 * time.Millisecond
					}
					return 25 * time.Millisecond
				}
				round := mustRun(t, f, Deps{}, openly(func(c2 *spec.Cell) { c2.SLO = c.slo }))
				wants := map[metric.ID]*float64{"goodput": nil, "good_fraction": nil}
				if c.good >= 0 {
					wants = map[metric.ID]*float64{"goodput": new(10 * c.good), "good_fraction": new(c.good)}
				}
				want(t, name, round.Cells[0].Values, wants)
			})
		})
	}
}

// Errors are not good, and are in the denominator.
func TestGoodputCountsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := steady()
		f.change = func(n int, _ *target.Request, _ *target.Reply, _ func(target.Event)) error {
			if n%4 == 0 && n > 0 {
				return errors.New("500")
			}
			return nil
		}
		round := mustRun(t, f, Deps{}, openly(func(c *spec.Cell) {
			c.SLO, c.Validity.MaxErrorRate = spec.SLO{TTFT: time.Second}, 1
		}))
		want(t, "errors", round.Cells[0].Values, map[metric.ID]*float64{"good_fraction": new(0.75), "error_rate": new(0.25)})
	})
}

// failing answers its first request only.
func failing() *fake {
	f := steady()
	f.change = func(n int, _ *target.Request, _ *target.Reply, _ func(target.Event)) error {
		if n > 0 {
			return errors.New("500")
		}
		return nil
	}
	return f
}

// A target that answers nothing ends an open load as soon as a closed one.
func TestOpenLoadGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := failing()
		round, err := runFake(t, f, Deps{}, openly(func(c *spec.Cell) { c.Load.MaxInFlight = 512 }))
		if err != nil || round.Cells[0].Valid {
			t.Fatalf("error %v, valid %v", err, round.Cells[0].Valid)
		}
		if n := len(f.requests); n > 1+maxFailures+5 {
			t.Errorf("%d requests before it was given up", n)
		}
	})
}

func TestOpenLoadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		start := time.Now()
		d := Deps{Open: func(context.Context, Order) (Opened, error) { return Opened{Target: steady()}, nil }}
		_, err := RunRound(ctx, Order{Run: "r", Attempt: "a", Index: 1, Cells: []spec.Cell{openly(func(c *spec.Cell) { c.Load.Rate = 0.01 })}}, d)
		if !errors.Is(err, context.Canceled) || time.Since(start) != 3*time.Second {
			t.Errorf("ended after %v with %v, want at once", time.Since(start), err)
		}
	})
}

// A share of the maximum is one of what the target does with its slots full, found out once for requests of one kind.
func TestRateOfMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := steady()
		share := func(digest string, of float64) spec.Cell {
			return openly(func(c *spec.Cell) {
				c.Digest, c.Load.Rate, c.Load.RateOfMax, c.Load.MaxInFlight = digest, 0, of, 16
			})
		}
		round := mustRun(t, f, Deps{}, share("a", 0.25), share("b", 0.5))
		// 16 slots, 125 ms a request.
		want(t, "a quarter", round.Cells[0].Values, map[metric.ID]*float64{"max_rate": new(128.0), "offered_rate": new(32.0), "concurrency_mean": new(4.0)})
		want(t, "a half", round.Cells[1].Values, map[metric.ID]*float64{"max_rate": new(128.0), "offered_rate": new(64.0), "concurrency_mean": new(8.0)})
		// The maximum took 5 s of 128 requests a second, at most 10 more for its warm-up; both cells took 4 s of their rate.
		if n := len(f.requests); n > 128*15+2*4*96 {
			t.Errorf("%d requests: the maximum was measured twice", n)
		}
	})
}

// Where the maximum can't be measured the cell is invalid and says so.
func TestRateOfMaxOfAFailingTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := failing()
		round := mustRun(t, f, Deps{}, openly(func(c *spec.Cell) { c.Load.Rate, c.Load.RateOfMax = 0, 0.5 }))
		if cell := round.Cells[0]; cell.Valid || len(cell.Reasons) == 0 || cell.Reasons[0].Code != "errors" {
			t.Errorf("valid %v, reasons %+v", cell.Valid, cell.Reasons)
		}
	})
}
