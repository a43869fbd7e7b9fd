package suites

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/metric"
)

func TestShippedSuites(t *testing.T) {
	want := []string{"ci", "concurrency", "context-scaling", "goodput", "memory", "noise", "optimisations", "prefix-cache", "streaming", "throughput", "token-accuracy", "ttft"}
	if got := Names(); !slices.Equal(got, want) {
		t.Fatalf("names: got %v, want %v", got, want)
	}
	for _, name := range want {
		t.Run(name, func(t *testing.T) {
			s, err := Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != name {
				t.Errorf("metadata.name: got %q, want the file's, %q", s.Name, name)
			}
			if s.Title == "" || s.Description == "" {
				t.Error("it has no title or no description")
			}
			gates := 0
			for _, w := range s.Workloads {
				gates += len(w.Gates)
			}
			if judged := name != "optimisations"; judged != (gates > 0) {
				t.Errorf("it has %d gates", gates)
			}
			src, _ := Source(name)
			for _, c := range s.Expand() {
				if !strings.Contains(string(src), "cache: "+c.Request.Cache) {
					t.Errorf("workload %s: its cache policy, %s, is a default that the file doesn't say", c.Workload, c.Request.Cache)
				}
				// Only what measures the prefix cache may have it, and of what can be proven.
				measures := []string{"optimisations prompt-cached", "prefix-cache warm", "ttft prefix-warm"}
				if c.Request.Cache == "shared" && (!slices.Contains(measures, name+" "+c.Workload) || c.Data.Type != "synthetic") {
					t.Errorf("workload %s shares prompts", c.Workload)
				}
			}
		})
	}
}

// The thresholds that ship are the published ones.
func TestThresholds(t *testing.T) {
	find := func(suite, id, limit string) (float64, string) {
		s, err := Load(suite)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range s.Workloads {
			for _, g := range w.Gates {
				if g.Metric != metric.MustParse(id) {
					continue
				}
				v := map[string]*float64{"max_drop": g.MaxDrop, "max_ratio": g.MaxRatio, "min": g.Min}[limit]
				if v != nil {
					return *v, string(g.Severity)
				}
			}
		}
		return 0, "absent"
	}
	for _, c := range []struct {
		suite, metric, limit, severity string
		want                           float64
	}{
		{"throughput", "output_rate", "max_drop", "fail", 0.20},
		{"throughput", "output_rate", "min", "investigate", 4.0},
		{"concurrency", "output_rate", "max_drop", "fail", 0.20},
		{"ttft", "ttft_process_cold", "max_ratio", "investigate", 2.0},
		{"ttft", "ttft_first_request", "max_ratio", "investigate", 2.0},
		{"ttft", "ttft", "max_ratio", "investigate", 2.0},
		{"prefix-cache", "warm_cold_ratio", "max_ratio", "investigate", 1.5},
		{"token-accuracy", "token_agreement", "min", "critical", 1},
		{"streaming", "stream_integrity", "min", "fail", 1},
		{"streaming", "cancel_honoured", "min", "fail", 1},
		{"ci", "output_rate", "max_drop", "fail", 0.20},
		{"ci", "token_agreement", "min", "critical", 1},
		{"ci", "stream_integrity", "min", "fail", 1},
	} {
		v, sev := find(c.suite, c.metric, c.limit)
		if v != c.want || sev != c.severity {
			t.Errorf("%s: %s %s: got %v %s, want %v %s", c.suite, c.metric, c.limit, v, sev, c.want, c.severity)
		}
	}
}

func TestTheOriginsBenchmark(t *testing.T) {
	s, err := Load("throughput")
	if err != nil {
		t.Fatal(err)
	}
	c := s.Expand()[0]
	if got := c.Data.Prompts; !slices.Equal(got, []string{"Write a short story about a robot."}) {
		t.Errorf("prompts: got %q", got)
	}
	if q := c.Request; q.MaxTokens != 512 || !q.IgnoreEOS || q.Temperature != 0.7 || q.TopP != 0.9 {
		t.Errorf("request: got %+v", q)
	}
}

func TestCIIsShort(t *testing.T) {
	s, err := Load("ci")
	if err != nil {
		t.Fatal(err)
	}
	if e := s.Estimate(); e.Time > 40*time.Second {
		t.Errorf("estimate: got %v, want at most 40s, so that all of it stays under a minute", e.Time)
	}
}

// TestOptimisations: the table of potentials, in its order, each over the first and over
// the one without it.
func TestOptimisations(t *testing.T) {
	s, err := Load("optimisations")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range s.Expand() {
		line := fmt.Sprintf("%s kv=%t c=%d %s", c.Workload, !c.Request.NoKV, c.Load.Concurrency, c.Request.Cache)
		if c.Variant != "" {
			line += " " + c.Variant
		}
		for _, x := range c.Speedups {
			if x.Metric == "output_rate" {
				line += " /" + x.Over
			}
		}
		got = append(got, line)
	}
	want := []string{
		"nothing kv=false c=1 bust",
		"kv-cache kv=true c=1 bust /nothing",
		"batching kv=false c=8 bust /nothing",
		"both kv=true c=8 bust /nothing /kv-cache /batching",
		"quantised-w8 kv=true c=8 bust engine-w8 /nothing /both",
		"quantised-w4 kv=true c=8 bust engine-w4 /nothing /both",
		"prompt-cached kv=true c=8 shared /nothing /both",
		"prompt-lookup kv=true c=1 bust engine-lookup /nothing /kv-cache",
	}
	if !slices.Equal(got, want) {
		t.Errorf("cells:\n got %q\nwant %q", got, want)
	}
	if e := s.Estimate(); e.Time > time.Minute {
		t.Errorf("estimate: got %v, want at most 1m, so that all of it stays under two", e.Time)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yml")
	src, _ := Source("ttft")
	if err := os.WriteFile(file, src, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, "ttft", "suites/ttft.yml"} {
		if s, err := Open(name); err != nil || s.Name != "ttft" {
			t.Errorf("open %q: got %v, %v", name, s, err)
		}
	}
	for name, want := range map[string]string{
		"througput":                      `did you mean "throughput"?`,
		"zzz":                            "shipped are ci, concurrency, context-scaling, goodput, memory, noise, optimisations, prefix-cache, streaming",
		filepath.Join(dir, "absent.yml"): "absent.yml",
		"../suites/suites":               "suites",
	} {
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open %q: got error %v, want one with %q", name, err, want)
		}
	}
}
