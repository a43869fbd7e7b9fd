package harness

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/bench/target/null"
	"github.com/paceline/paceline/suites/spec"
)

func nullDeps() Deps {
	return Deps{
		Open: func(context.Context, Order) (Opened, error) { return Opened{Target: null.New()}, nil },
		Null: func() target.Target { return null.New() },
	}
}

// The null target measured as a subject is its own floor: it must be refused.
func TestResultsInsideTheNoiseFloorAreRefused(t *testing.T) {
	cell := cellOf(func(c *spec.Cell) {
		c.Request.MaxTokens = 64
		c.Window.MinRequests = 64
		c.Validity = spec.Validity{NoiseFloor: 20}
	})
	round, err := RunRound(t.Context(), Order{Index: 1, Cells: []spec.Cell{cell}}, nullDeps())
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range round.Cells[0].Trials {
		if trial.Valid || !slices.Contains(codes(trial.Reasons, false), "noise_floor") {
			t.Errorf("trial %+v: want it inside the noise floor", trial)
		}
		if cpu, ok := find(trial.Values, "client_cpu"); !ok || cpu <= 0 {
			t.Errorf("client CPU %v, known %v; want a share of the core", cpu, ok)
		}
		t.Log(trial.Values)
	}
}

// A subject that is thousands of times slower than the floor is not.
func TestResultsAboveTheNoiseFloorAreKept(t *testing.T) {
	f := &fake{prefill: 20 * time.Millisecond, step: 5 * time.Millisecond, noCache: true}
	cell := cellOf(func(c *spec.Cell) {
		c.Window.MinRequests = 2
		c.Validity = spec.Validity{NoiseFloor: 3}
	})
	d := Deps{Null: func() target.Target { return null.New() }}
	round := mustRun(t, f, d, cell)
	if !round.Valid {
		t.Errorf("trial %+v, want it valid", round.Cells[0].Trials[0].Reasons)
	}
}

// The floor can be asked for without a round, in the order of floorMetrics.
func TestFloorOfThisMachine(t *testing.T) {
	got, perEvent, err := Floor(t.Context(), func() target.Target { return null.New() }, cellOf(func(*spec.Cell) {}))
	if err != nil {
		t.Fatal(err)
	}
	var ids []metric.ID
	for _, v := range got {
		ids = append(ids, v.Metric)
		if v.Value <= 0 {
			t.Errorf("%s is %v", v.Metric, v.Value)
		}
	}
	if !slices.Equal(ids, floorMetrics()) {
		t.Errorf("metrics %v, want %v", ids, floorMetrics())
	}
	t.Log(got, perEvent)
}

func TestFloor(t *testing.T) {
	low := floor{latencies: map[metric.ID]float64{"ttft.p50": 0.01, "tpot.p50": 0.001}}
	for _, c := range []struct {
		name  string
		ttft  float64
		times float64
		want  int
	}{
		{"far above", 1, 3, 0},
		{"just above", 0.031, 3, 0},
		{"inside", 0.029, 3, 1},
		{"switched off", 0.001, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := low.under([]result.Value{{Metric: "ttft.p50", Value: c.ttft}}, c.times)
			if len(got) != c.want {
				t.Errorf("reasons %v, want %d", got, c.want)
			}
		})
	}
}

func TestMachineProbeBracketsTheRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		f := steady()
		d := Deps{
			Environment: result.Environment{Load1: 4, Hardware: result.Hardware{Cores: 2}},
			Samplers:    []probe.Sampler{&absent{}},
			Probe: func(_ context.Context, when string) []result.Probe {
				order = append(order, when)
				if got := len(f.requests); (when == "before") != (got == 1) {
					t.Errorf("probe %s: %d requests have been sent", when, got)
				}
				return []result.Probe{{Kind: "cpu.read", When: when, Value: 1}}
			},
		}
		round := mustRun(t, f, d, cellOf(nil))
		if !slices.Equal(order, []string{"before", "after"}) || len(round.Probes) != 2 {
			t.Errorf("probes %v, %v", order, round.Probes)
		}
		if got := codes(round.Reasons, true); !slices.Equal(got, []string{"busy", "telemetry"}) || !round.Valid {
			t.Errorf("round's warnings %v, valid %v; want a busy machine, unknown telemetry, and valid", got, round.Valid)
		}
	})
}

type absent struct{ hot }

func (*absent) Sample(context.Context) (probe.Reading, error) {
	return probe.Reading{}, probe.ErrAbsent
}

func TestTheGatedColdStartComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := cellOf(func(c *spec.Cell) { c.Workload = "plain" })
		cold := cellOf(func(c *spec.Cell) {
			c.Workload, c.Gates = "cold", []spec.Gate{{Metric: "ttft_process_cold"}}
			c.Data.Prompts = []string{"a cold prompt"}
		})
		f := steady()
		d := Deps{Open: func(context.Context, Order) (Opened, error) {
			time.Sleep(time.Second)
			return Opened{Target: f}, nil
		}}
		round, err := RunRound(t.Context(), Order{Index: 1, Cells: []spec.Cell{plain, cold}, Spawned: time.Now().Add(-time.Second)}, d)
		if err != nil {
			t.Fatal(err)
		}
		if f.requests[0].Text != "a cold prompt" || round.Cells[0].Workload != "plain" {
			t.Errorf("first prompt %q, first cell %q", f.requests[0].Text, round.Cells[0].Workload)
		}
		want(t, "cold", round.Cells[1].Values, map[metric.ID]*float64{"ttft_process_cold": new(2025.0), "ttft_first_request": new(25.0), "load_time": new(2.0)})
		want(t, "plain", round.Cells[0].Values, map[metric.ID]*float64{"ttft_process_cold": nil, "ttft_first_request": nil, "load_time": new(2.0)})
	})
}
