package format

import (
	"strings"
	"testing"
)

// TestSpeedups: the table says what is over what, in both forms for people, and what is
// missing why.
func TestSpeedups(t *testing.T) {
	r := samples(t)["pass"]
	for _, name := range []string{"human", "markdown"} {
		if got := render(t, name, r, Options{}); strings.Contains(got, "peed-up") {
			t.Errorf("%s has speed-ups of a suite without", name)
		}
	}
	r.Speedups = []Speedup{
		{Workload: "kv-cache", Over: "nothing", Metric: "output_rate", Value: 4.126, Spread: 0.051, Rounds: 1, This: 412.6, Other: 100},
		{Workload: "warm", Point: map[string]string{"isl": "272"}, Over: "cold", Metric: "ttft.p50", Value: 12.34, Spread: 0.26, Rounds: 1, This: 1, Other: 12.34},
		{Workload: "w4", Over: "both", Metric: "output_rate", Missing: "the machine was throttled | at once"},
	}
	human := render(t, "human", r, Options{})
	for _, want := range []string{
		"Speed-ups, never judged (the spread is half the range of the trials of both):",
		"kv-cache      output_rate  413 tok/s  nothing  100 tok/s  4.13 × ± 0.05",
		"warm isl=272  ttft.p50     1 ms       cold     12.3 ms    12.3 × ± 0.3",
		"w4            output_rate  –          both     –          – the machine was throttled | at once",
	} {
		if !strings.Contains(human, want) {
			t.Errorf("human lacks %q:\n%s", want, human)
		}
	}
	r.Speedups[0].Rounds = 3
	markdown := render(t, "markdown", r, Options{})
	for _, want := range []string{
		"half the range of the rounds):\n\n| Workload | Metric | This run | Over | which had | Speed-up |\n|---|---|---|---|---|---|\n",
		"| kv-cache | output\\_rate | 413 tok/s | nothing | 100 tok/s | 4.13 × ± 0.05 |",
		"– the machine was throttled \\| at once |",
	} {
		if !strings.Contains(markdown, want) {
			t.Errorf("markdown lacks %q:\n%s", want, markdown)
		}
	}
}
