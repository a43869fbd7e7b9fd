//go:build native

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/suites"
	"github.com/paceline/paceline/suites/spec"
)

// shortened writes a shipped suite with windows for a test, and limits that a machine
// which runs other tests at the same time keeps.
func shortened(t *testing.T, name string) string {
	t.Helper()
	s, err := suites.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	s.Labels = map[string]string{"tier": "ci"} // two trials are enough
	for i := range s.Workloads {
		w := &s.Workloads[i]
		w.Trials.Count, w.Window.MinDuration, w.Window.MinRequests = 2, 20*time.Millisecond, min(w.Window.MinRequests, 4)
		w.Validity.MaxClientLagP99, w.Validity.MaxClientCPU, w.Validity.MaxSteal = time.Hour, 1000, 1
		w.Validity.NoiseFloor = 0
		w.Request.MaxTokens, w.Data.ISL = 8, min(w.Data.ISL, 80)
		w.Warmup.Requests = min(w.Warmup.Requests, 4)
	}
	path := filepath.Join(t.TempDir(), name+".yml")
	if err := os.WriteFile(path, s.Resolved(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// measured runs a suite and gives its report, its only round and the HTML report's text.
func measured(t *testing.T, args ...string) (format.Report, result.Round, string) {
	t.Helper()
	dir := t.TempDir()
	out, page := filepath.Join(dir, "out.json"), filepath.Join(dir, "out.html")
	o := paceline(t, append(args, "--data", filepath.Join(dir, "data"), "--format", "json", "--out", out, "--report", page)...)
	o.expect(t, exitOK)
	var rep format.Report
	if err := json.Unmarshal([]byte(o.stdout), &rep); err != nil {
		t.Fatal(err)
	}
	doc, err := result.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return rep, doc.Rounds[0], string(html)
}

// TestOptimisationsSuite: every cell is measured in one round, quantised ones are series
// of their own, and the table of speed-ups is made of them. What is fast is no matter of
// a busy machine, but for the KV cache, which saves six of seven positions.
func TestOptimisationsSuite(t *testing.T) {
	rep, round, html := measured(t, "run", shortened(t, "optimisations"))
	want := map[string]struct{ target, dtype string }{
		"quantised-w8": {"engine-w8", "w8/"}, "quantised-w4": {"engine-w4", "w4/"}, "prompt-lookup": {"engine-lookup", round.Subject.DType},
	}
	series := map[string]string{}
	for i := range round.Cells {
		c := &round.Cells[i]
		if !c.Valid {
			t.Errorf("%s is invalid: %+v, trials %+v", c.Workload, c.Reasons, c.Trials)
		}
		if x := want[c.Workload]; c.Target != x.target || !strings.HasPrefix(c.DType, x.dtype) {
			t.Errorf("%s: target %q, precision %q; want %+v", c.Workload, c.Target, c.DType, x)
		}
		key := result.KeyOf(&round, result.Subject{Target: "engine"}, c, "output_rate").Digest()
		if other := series[key]; other != "" {
			t.Errorf("%s and %s are one series", c.Workload, other)
		}
		series[key] = c.Workload
	}
	if len(rep.Speedups) != 14 {
		t.Errorf("%d speed-ups", len(rep.Speedups))
	}
	for _, s := range rep.Speedups {
		if s.Rounds != 1 || s.Value <= 0 || s.Missing != "" {
			t.Errorf("%s over %s: %+v", s.Workload, s.Over, s)
		}
		if s.Workload == "kv-cache" && s.Value < 1.5 {
			t.Errorf("a KV cache makes it %.2f × faster", s.Value)
		}
		if !strings.Contains(html, "<td>"+s.Workload+"</td>") {
			t.Errorf("the page lacks %s", s.Workload)
		}
	}
	if !strings.Contains(html, `id="speedups"`) || !strings.Contains(rep.Overall.Headline, "nothing was judged") {
		t.Errorf("no table on the page, or headline %q", rep.Overall.Headline)
	}
}

// TestPrefixCacheSuite: what is cached is what the suite says, by the engine's count in
// the samples, and the ratio is a metric with a rule.
func TestPrefixCacheSuite(t *testing.T) {
	rep, round, _ := measured(t, "run", shortened(t, "prefix-cache"))
	for _, c := range round.Cells {
		ratio := 0.0
		for _, v := range c.Values {
			if v.Metric == "warm_cold_ratio" {
				ratio = v.Value
			}
		}
		if warm := c.Workload == "warm"; !c.Valid || warm != (ratio > 0) {
			t.Errorf("%s %v: valid %v, ratio %v; %+v", c.Workload, c.Point, c.Valid, ratio, c.Reasons)
		}
		if c.Point["isl"] == "1040" && ratio >= 1 {
			t.Errorf("1024 cached tokens of 1040 make the first token %.2f × as late", ratio)
		}
	}
	if len(rep.Speedups) != 3 {
		t.Errorf("speed-ups %+v", rep.Speedups)
	}
	judged := 0
	for _, l := range rep.Lines {
		if l.Metric == "warm_cold_ratio" && l.Verdict != nil {
			judged++
		}
	}
	if judged != 3 {
		t.Errorf("%d ratios have a verdict", judged)
	}
}

// TestAFalsePromiseOfACache: prompts that share less than a page of the cache can't be
// warm, and the round says so in place of a figure.
func TestAFalsePromiseOfACache(t *testing.T) {
	s, err := suites.Open(shortened(t, "prefix-cache"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Workloads {
		s.Workloads[i].Matrix = []spec.Axis{{Name: "isl", Values: []string{"48"}}}
	}
	path := filepath.Join(t.TempDir(), "short.yml")
	if err := os.WriteFile(path, s.Resolved(), 0o600); err != nil {
		t.Fatal(err)
	}
	paceline(t, "run", path, "--data", t.TempDir()).expect(t, exitMachine, "computed all 48 tokens of its prompt", "shorter than a page")
}

// TestVariantAsTarget: a whole suite on a variant is another series than on the engine.
func TestVariantAsTarget(t *testing.T) {
	_, round, _ := measured(t, "run", quick(t), "--target", "engine-w8")
	if !strings.HasPrefix(round.Subject.DType, "w8/") {
		t.Errorf("precision %q", round.Subject.DType)
	}
	paceline(t, "run", quick(t), "--target", "engine-w9", "--data", t.TempDir()).expect(t, exitRequest, `did you mean "engine-w`)
	paceline(t, "run", "optimisations", "--target", "engine-w8", "--data", t.TempDir()).expect(t, exitRequest, "which is a variant of Paceline's own engine")
	paceline(t, "run", quick(t), "--target", "engine-w8", "--url", "http://127.0.0.1:9", "--data", t.TempDir()).expect(t, exitRequest, "choose another name for the server")
}
