package view

import (
	"math"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

func TestOfRounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		got    Quantity
		text   string
		spread string
	}{
		{"unit is said once", OfRounds(29.9, 0.4, 3, 2, "output_rate", "x"), "29.9 tok/s", "± 0.4"},
		{"one round without spread", OfRounds(29.9, 0, 1, 2, "output_rate", "x"), "29.9 tok/s", ""},
		{"nothing is never 0", OfRounds(0, 0, 0, 0, "output_rate", "x"), Missing, ""},
		{"another unit is kept", OfRounds(4.2e9, 3e6, 3, 0, "mem_weights", "x"), "4.20 GB", "± 3 MB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got.Text != c.text || c.got.Spread != c.spread || c.got.Title == "" {
				t.Errorf("got %+v, want %q %q and a title", c.got, c.text, c.spread)
			}
		})
	}
	if got := Figure(math.NaN(), "output_rate"); got != Missing {
		t.Errorf("no number is shown as %q", got)
	}
}

func TestChangeOf(t *testing.T) {
	if got := ChangeOf(-0.234, "output_rate"); got != (Change{"−23.4 %", "worse"}) {
		t.Errorf("a lower rate is %+v", got)
	}
	if got := ChangeOf(-0.234, "ttft.p50"); got != (Change{"−23.4 %", "better"}) {
		t.Errorf("a lower latency is %+v", got)
	}
	if got := ChangeOf(0.1, "concurrency_mean"); got != (Change{"+10.0 %", ""}) {
		t.Errorf("a metric without direction is %+v", got)
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for want, at := range map[string]time.Time{
		"just now": now, "4 min ago": now.Add(-4 * time.Minute), "2 h ago": now.Add(-2 * time.Hour), "9 d ago": now.Add(-9 * 24 * time.Hour),
		"in 30 s": now.Add(30 * time.Second), Missing: {},
	} {
		if got := Ago(now, at); got != want {
			t.Errorf("%s: got %q, want %q", at, got, want)
		}
	}
}

func TestDifference(t *testing.T) {
	a, b := &result.Round{}, &result.Round{}
	a.Environment = result.Environment{Kernel: "6.1", Load1: 3, Hardware: result.Hardware{Cores: 8}}
	b.Environment = result.Environment{Kernel: "6.2", Load1: 1, Hardware: result.Hardware{Cores: 8}}
	got := Difference(a, b)
	if len(got) != 1 || got[0] != (Differing{Name: "kernel", Here: "6.1", There: "6.2"}) {
		t.Errorf("got %+v", got)
	}
	b.Environment.Hardware.Cores = 2
	if got := Difference(a, b); len(got) != 2 || !got[0].Class {
		t.Errorf("another class of hardware is %+v", got)
	}
}

// TestMarks: every verdict has a shape and a word of its own class.
func TestMarks(t *testing.T) {
	for _, k := range []gate.Kind{gate.Pass, gate.Warn, gate.Fail, gate.Inconclusive, gate.Invalid, gate.NotComparable, gate.NoBaseline, gate.Error, gate.Cancelled} {
		if m := MarkOf(k); m.Symbol == "" || m.Word != string(k) || m.Class == "" {
			t.Errorf("%s is %+v", k, m)
		}
	}
	if Rank(gate.Fail) >= Rank(gate.Warn) || Rank(gate.Warn) >= Rank(gate.Pass) {
		t.Error("the worst doesn't come first")
	}
}

func TestClassText(t *testing.T) {
	for want, h := range map[string]result.Hardware{
		"a CPU, 8 cores, avx2, governor performance":             {CPUModel: "a CPU", Cores: 8, ISA: "avx2", Governor: "performance"},
		"1 × NVIDIA H100, 80 GiB, power limit 700 W, driver 570": {GPUModel: "NVIDIA H100", GPUCount: 1, GPUMemory: 80 << 30, GPUPower: "700 W", DriverMajor: 570},
	} {
		if got := classText(h); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
