//go:build native

package harness_test

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/harness"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	targetengine "github.com/paceline/paceline/bench/target/engine"
	"github.com/paceline/paceline/bench/target/null"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/suites"
	"github.com/paceline/paceline/suites/spec"
)

// robotStories is the model that the repository ships.
func robotStories(t *testing.T) string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("this test's own file is not known")
	}
	return filepath.Join(filepath.Dir(file), "..", "..", "engine", "model", "robotstories")
}

// shortSuite is the suite ci with windows for a test, and limits that a machine which
// runs other tests at the same time keeps.
func shortSuite(t *testing.T) []spec.Cell {
	s, err := suites.Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	cells := s.Expand()
	for i := range cells {
		c := &cells[i]
		c.Request.MaxTokens = min(c.Request.MaxTokens, 48)
		c.Window.MinDuration = 100 * time.Millisecond
		c.Warmup.Max = min(c.Warmup.Max, time.Second)
		c.Validity.MaxClientLagP99, c.Validity.MaxClientCPU, c.Validity.MaxSteal = 0, 0, 0
	}
	return cells
}

func measure(t *testing.T, cells []spec.Cell, faults ...engine.Fault) (result.Round, []result.Sample) {
	var samples []result.Sample
	h := host.Open()
	round, err := harness.RunRound(t.Context(), harness.Order{
		Run: "run", Attempt: "attempt", Index: 1, Cells: cells, ModelDir: robotStories(t), Spawned: time.Now(),
		Subject: result.Subject{Target: "engine"},
	}, harness.Deps{
		Open: func(ctx context.Context, o harness.Order) (harness.Opened, error) {
			tg, err := targetengine.Open(ctx, engine.Options{ModelDir: o.ModelDir, Faults: faults})
			if err != nil {
				return harness.Opened{}, err
			}
			return harness.Opened{Target: tg, Tokenizer: tg.Tokenizer()}, nil
		},
		Null:     func() target.Target { return null.New() },
		Samplers: []probe.Sampler{h},
		Probe:    h.Probe,
		Emit:     harness.Emit{Samples: func(s []result.Sample) { samples = append(samples, s...) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return round, samples
}

func value(values []result.Value, id metric.ID) (float64, bool) {
	for _, v := range values {
		if v.Metric == id {
			return v.Value, true
		}
	}
	return 0, false
}

// TestSuiteOnTheEngine measures the shipped suite on the shipped model.
func TestSuiteOnTheEngine(t *testing.T) {
	start := time.Now()
	cells := shortSuite(t)
	round, samples := measure(t, cells)
	t.Logf("took %v, %d samples, probes %v", time.Since(start), len(samples), round.Probes)
	if !round.Valid || len(round.Probes) != 4 || round.Subject.ModelDigest == "" {
		t.Errorf("valid %v, reasons %v, subject %+v", round.Valid, round.Reasons, round.Subject)
	}
	for i, c := range round.Cells {
		t.Logf("%s valid %v: %v", c.Workload, c.Valid, c.Reasons)
		for _, v := range c.Values {
			t.Logf("    %-24s %12.4f n %d ± %.4f", v.Metric, v.Value, v.N, v.Spread)
		}
		for _, trial := range c.Trials {
			if !trial.Valid {
				t.Errorf("%s: trial %d: %v", c.Workload, trial.Index, trial.Reasons)
			}
		}
		for _, id := range []metric.ID{"token_agreement", "stream_integrity", "osl_exact"} {
			if got, ok := value(c.Values, id); !ok || got != 1 {
				t.Errorf("%s: %s is %v (known %v), want 1", c.Workload, id, got, ok)
			}
		}
		for _, g := range cells[i].Gates {
			if _, ok := value(c.Values, g.Metric); !ok {
				t.Errorf("%s: the gated metric %s has no value", c.Workload, g.Metric)
			}
		}
	}
	for _, s := range samples {
		if s.Broken != "" || s.Error != "" {
			t.Errorf("sample %+v", s)
		}
	}
}

// TestPlantedDefectsShow measures defective engines.
func TestPlantedDefectsShow(t *testing.T) {
	cells := shortSuite(t)
	only := func(workload string) []spec.Cell {
		return slices.DeleteFunc(slices.Clone(cells), func(c spec.Cell) bool { return c.Workload != workload })
	}
	t.Run("wrong-token", func(t *testing.T) {
		round, _ := measure(t, only("token-accuracy"), engine.Fault{Kind: engine.FaultWrongToken, Factor: 0.1})
		got, ok := value(round.Cells[0].Values, "token_agreement")
		if !ok || got >= 1 {
			t.Errorf("token_agreement is %v (known %v), want less than 1", got, ok)
		}
		if len(round.Subject.Faults) != 1 {
			t.Errorf("the result names the faults %v", round.Subject.Faults)
		}
	})
	t.Run("slow", func(t *testing.T) {
		plain, _ := measure(t, only("throughput"))
		slow, _ := measure(t, only("throughput"), engine.Fault{Kind: engine.FaultSlow, Factor: 10})
		a, okA := value(plain.Cells[0].Values, "output_rate")
		b, okB := value(slow.Cells[0].Values, "output_rate")
		if !okA || !okB || b > a/2 {
			t.Errorf("%v tok/s with each step ten times as long, %v without", b, a)
		}
	})
}
