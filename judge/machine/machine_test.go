package machine

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func drop(share float64) gate.Rule {
	return gate.Rule{Metric: "output_rate", Severity: gate.Failing, MaxDrop: &share}
}

func rise(share float64) gate.Rule {
	return gate.Rule{Metric: "ttft.p50", Severity: gate.Failing, MaxRise: &share}
}

// steady are ten rounds that differ by 1 %, noisy ten that differ by 30 %.
func steady() []float64 { return []float64{99, 100, 101, 100, 99, 101, 100, 100, 99, 101} }
func noisy() []float64  { return []float64{70, 100, 130, 85, 115, 70, 130, 100, 85, 115} }

func sight(t *testing.T, workload string, r gate.Rule, values []float64) Gate {
	t.Helper()
	g, err := Sight(workload, r, values)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// busy is a machine with everything that a report can hold.
func busy(t *testing.T) *Report {
	return &Report{
		Version: "v1.2.3", Flavour: "native", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Host: health.Host{
			CPUModel: "AMD EPYC 9354", CPUs: 8, Allowed: 8, Governors: map[string]int{"powersave": 8}, Driver: "amd-pstate-epp", Clocksource: "tsc",
			Disk: &health.Disk{Path: "/data", FreeBytes: 5e9}, AvailableBytes: new(int64(1e9)), MemoryBytes: 2e9,
		},
		GPUs:    []health.GPU{{Model: "NVIDIA L4", UUID: "GPU-1", Driver: "570.86.15", Persistence: new(false)}},
		Targets: []Target{{Name: "engine", Device: "cpu", Kernels: []string{"avx512", "avx2"}, OK: true}, {Name: "gpu", Device: "NVIDIA L4", Why: "watched only"}},
		Models:  []Model{{Name: "robot-stories", Bytes: 3e6, Fits: new(true)}, {Name: "a larger one", Bytes: 1.4e9, Fits: new(false)}},
		Probes:  ProbesOf([]result.Probe{{Kind: "cpu.read", Unit: "GB/s", Value: 10}, {Kind: "cpu.fma", Unit: "GFLOP/s", Value: 200}, {Kind: "cpu.read", Unit: "GB/s", Value: 12}, {Kind: "cpu.fma", Unit: "GFLOP/s", Value: 201}}),
		Floor:   FloorOf([]result.Value{{Metric: "ttft.p50", Value: 0.0006}, {Metric: "tpot.p50", Value: 0.00007}}, 0.2),
		Rounds: &Rounds{
			Suite: "noise", Model: "robot-stories", Asked: 10, Valid: 9, Invalid: 1, Seconds: 41, Reasons: []string{"the hypervisor took 7 % of the CPU time (limit 5 %)"},
			Gates: []Gate{sight(t, "decode", drop(0.2), steady()), sight(t, "first-token", rise(0.2), noisy())}, Unknown: []string{"what a gate on x could see: nobody knows"},
		},
	}
}

func TestReport(t *testing.T) {
	quick := busy(t)
	quick.Rounds, quick.NoRounds, quick.GPUs, quick.NoGPU = nil, "--quick was given", nil, "no NVIDIA driver on this machine"
	for name, r := range map[string]*Report{"busy": busy(t), "quick": quick} {
		t.Run(name, func(t *testing.T) {
			r.Judge()
			var human, js bytes.Buffer
			if err := r.Write(&human, false); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", human.Bytes())
			if err := r.WriteJSON(&js); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", js.Bytes())
			var back Report
			if err := json.Unmarshal(js.Bytes(), &back); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(*r, back); d != "" {
				t.Errorf("read back (-want +got):\n%s", d)
			}
			if strings.Contains(human.String(), "\x1b") {
				t.Error("colours that nobody asked for")
			}
			for l := range strings.Lines(human.String()) {
				if n := len([]rune(strings.TrimSuffix(l, "\n"))); n > lineWidth && !strings.Contains(l, "sudo") {
					t.Errorf("a line of %d columns: %s", n, l)
				}
			}
			var colours bytes.Buffer
			if err := r.Write(&colours, true); err != nil || !strings.Contains(colours.String(), "\x1b[33m") {
				t.Errorf("no colours, error %v", err)
			}
		})
	}
}

func TestExit(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*Report)
		worst    health.Severity
		exit     int
		headline string
	}{
		{"disturbed", func(*Report) {}, health.Disturbs, 0, "can measure; 5 things disturb it"},
		{"nothing known", func(r *Report) { *r = Report{Targets: r.Targets} }, health.OK, 0, "nothing disturbs it"},
		{"no engine", func(r *Report) { *r = Report{Targets: []Target{{Name: "engine", Why: "no engine"}}} }, health.OK, 0, "this build can't measure"},
		{"all rounds invalid", func(r *Report) { r.Rounds = &Rounds{Invalid: 10, Reasons: []string{"steal"}} }, health.Blocks, 3, "none of 10 quick rounds is valid"},
		{"rounds fail", func(r *Report) { r.Rounds = &Rounds{Failed: "the worker died"} }, health.Blocks, 3, "no quick round could be measured"},
		{"no probe", func(r *Report) { r.NoProbe = "killed" }, health.Blocks, 3, "machine probe failed"},
		{"no disk", func(r *Report) { r.Host.Disk.Problem = "read-only file system" }, health.Blocks, 3, "read-only file system"},
		{"broken driver", func(r *Report) { *r = Report{Targets: r.Targets, GPUFault: "gpu is lost"} }, health.Disturbs, 0, "one thing disturbs it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := busy(t)
			c.change(r)
			r.Judge()
			if r.Worst != c.worst || r.Exit != c.exit || !strings.Contains(r.Headline, c.headline) {
				t.Errorf("worst %s, exit %d, %q; want %s, %d, %q", r.Worst, r.Exit, r.Headline, c.worst, c.exit, c.headline)
			}
			var b bytes.Buffer
			if err := r.Write(&b, false); err != nil || !strings.Contains(b.String(), r.Headline) {
				t.Errorf("written %q, error %v", b.String(), err)
			}
		})
	}
}

// TestSight holds the figures against the gate's own rule: s = 1.4826·MAD of logs, at
// least ln 1.01, times 3·√(1.571/7 + 1.571/10).
func TestSight(t *testing.T) {
	for _, c := range []struct {
		name           string
		rule           gate.Rule
		values         []float64
		canSee, smallF float64
		safe           bool
	}{
		// MAD of steady's logs is about 0.00995, s 0.01475; 3 · 0.6177 · s = 0.02734.
		{"steady, drop", drop(0.2), steady(), 0.0270, 0.2, true},
		{"steady, rise", rise(0.2), steady(), 0.0277, 0.2, true},
		{"steady, small threshold", drop(0.02), steady(), 0.0270, 0.0270, false},
		// MAD of noisy's logs is 0.1625, s 0.2410; 3 · 0.6177 · s = 0.4466.
		{"noisy, drop", drop(0.2), noisy(), 0.360, 0.360, false},
		{"noisy, rise", rise(0.2), noisy(), 0.563, 0.563, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := sight(t, "decode", c.rule, c.values)
			near := func(a, b float64) bool { return a > 0.97*b && a < 1.03*b }
			if !near(g.CanSee, c.canSee) || !near(g.SmallestFail, c.smallF) || g.Safe != c.safe {
				t.Errorf("can see %v, smallest fail %v, safe %v; want %v, %v, %v", g.CanSee, g.SmallestFail, g.Safe, c.canSee, c.smallF, c.safe)
			}
			if (g.Odds != nil) != (c.rule.MaxDrop != nil) {
				t.Errorf("odds %+v", g.Odds)
			}
			t.Log(g.Text)
		})
	}
	if a, b := sight(t, "x", drop(0.2), steady()).Odds, sight(t, "x", drop(0.2), noisy()).Odds; a.Caught <= b.Caught || a.FalseUnclear > b.FalseUnclear {
		t.Errorf("odds of a steady machine %+v, of a noisy one %+v", *a, *b)
	}
	least := 1.0
	for name, c := range map[string]struct {
		rule   gate.Rule
		values []float64
	}{
		"too few":      {drop(0.2), steady()[:2]},
		"absolute":     {gate.Rule{Metric: "output_rate", Severity: gate.Failing, Min: &least}, steady()},
		"no logarithm": {drop(0.2), []float64{0, 0, 0}},
	} {
		if g, err := Sight("decode", c.rule, c.values); err == nil || !strings.Contains(err.Error(), "output_rate") {
			t.Errorf("%s: %+v, error %v", name, g, err)
		}
	}
}

func TestCount(t *testing.T) {
	bad := func(code string) []result.Reason {
		return []result.Reason{{Code: "probe", Detail: "only warned", Warn: true}, {Code: code, Detail: code}}
	}
	var x Rounds
	x.Count([]result.Round{
		{Valid: true},
		{Reasons: bad("probe off")},
		{Reasons: bad("probe off")},
		{Cells: []result.CellResult{{Trials: []result.Trial{{Valid: true}, {Reasons: bad("client lag")}}}}},
		{Cells: []result.CellResult{{Reasons: bad("steal")}}},
		{},
	})
	want := Rounds{Valid: 1, Invalid: 5, Reasons: []string{"probe off", "client lag", "steal", "it doesn't say why"}}
	if d := cmp.Diff(want, x); d != "" {
		t.Errorf("counted (-want +got):\n%s", d)
	}
}

func TestFloorThatIsSlow(t *testing.T) {
	r := Report{Floor: FloorOf([]result.Value{{Metric: metric.ID("ttft.p50"), Value: 2}}, 0)}
	r.Judge()
	if len(r.Findings) != 1 || r.Findings[0].Severity != health.Note || !strings.Contains(r.Findings[0].What, "6 ms") {
		t.Errorf("findings %+v", r.Findings)
	}
}
