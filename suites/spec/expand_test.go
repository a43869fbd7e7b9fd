package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/metric"
)

func TestExpandOrder(t *testing.T) {
	s := full(t)
	var got []string
	for _, c := range s.Expand() {
		got = append(got, fmt.Sprintf("%s isl=%d c=%d osl=%d %s", c.Workload, c.Data.ISL, c.Load.Concurrency, c.Request.MaxTokens, strings.TrimSpace(c.Target+" "+c.Variant)))
	}
	want := []string{
		"scaling isl=128 c=1 osl=16 engine", "scaling isl=128 c=1 osl=16 vllm",
		"scaling isl=128 c=8 osl=16 engine", "scaling isl=128 c=8 osl=16 vllm",
		"scaling isl=512 c=1 osl=16 engine", "scaling isl=512 c=1 osl=16 vllm",
		"scaling isl=512 c=8 osl=16 engine", "scaling isl=512 c=8 osl=16 vllm",
		"texts isl=0 c=1 osl=8 engine", "texts isl=0 c=1 osl=8 vllm",
		"set isl=0 c=1 osl=32 engine", "set isl=0 c=1 osl=32 vllm",
		"recomputed isl=80 c=1 osl=32 engine", "recomputed isl=80 c=1 osl=32 vllm",
		"recomputed isl=272 c=1 osl=32 engine", "recomputed isl=272 c=1 osl=32 vllm",
		"prefixes isl=80 c=1 osl=32 engine", "prefixes isl=80 c=1 osl=32 vllm",
		"prefixes isl=272 c=1 osl=32 engine", "prefixes isl=272 c=1 osl=32 vllm",
		"quantised isl=100 c=1 osl=32 engine engine-w8",                        // a variant belongs to one target
		"arrivals isl=64 c=1 osl=32 engine", "arrivals isl=64 c=1 osl=32 vllm", // at 2 a second
		"arrivals isl=64 c=1 osl=32 engine", "arrivals isl=64 c=1 osl=32 vllm", // at 12.5
		"offline isl=64 c=1 osl=32 engine", "offline isl=64 c=1 osl=32 vllm",
		"fitted isl=64 c=1 osl=32 engine", "fitted isl=64 c=1 osl=32 vllm",
		"fitted isl=256 c=1 osl=32 engine", "fitted isl=256 c=1 osl=32 vllm",
		"fitted isl=1024 c=1 osl=32 engine", "fitted isl=1024 c=1 osl=32 vllm",
		"sweep isl=64 c=1 osl=32 engine", "sweep isl=64 c=1 osl=32 vllm", // at a quarter of the maximum
		"sweep isl=64 c=1 osl=32 engine", "sweep isl=64 c=1 osl=32 vllm", // at nine tenths
	}
	if !slices.Equal(got, want) {
		t.Errorf("cells:\n got %q\nwant %q", got, want)
	}
}

// What a digest covers is a promise: a series lives as long as its digest.
func TestCellDigest(t *testing.T) {
	base := full(t).Expand()[8] // texts, engine
	digest := func(change func(*Suite, *Workload)) Cell {
		s := full(t)
		change(s, &s.Workloads[1])
		return s.Expand()[8]
	}
	for name, change := range map[string]func(*Suite, *Workload){
		"threshold": func(_ *Suite, w *Workload) {
			v := 5.0
			w.Gates = []Gate{{Metric: metric.MustParse("output_rate"), Severity: Fail, Min: &v}}
		},
		"trial count":    func(_ *Suite, w *Workload) { w.Trials.Count = 9 },
		"suite's name":   func(s *Suite, _ *Workload) { s.Name = "other" },
		"workload name":  func(_ *Suite, w *Workload) { w.Name = "other" },
		"rounds":         func(s *Suite, _ *Workload) { s.Rounds = 1 },
		"seed":           func(s *Suite, _ *Workload) { s.Seed = 1 },
		"model":          func(s *Suite, _ *Workload) { s.Model = "other" },
		"other cells":    func(s *Suite, _ *Workload) { s.Workloads[0].Load.Concurrency = 7 },
		"validity":       func(_ *Suite, w *Workload) { w.Validity.MaxSteal = 0.5 },
		"speed-up":       func(_ *Suite, w *Workload) { w.Speedups = []Speedup{{Over: "x"}} },
		"band":           func(_ *Suite, w *Workload) { w.Bands = []Band{{Label: "x"}} },
		"title":          func(_ *Suite, w *Workload) { w.Title = "x" },
		"other's target": func(s *Suite, _ *Workload) { s.Targets[1] = "tgi" },
	} {
		if got := digest(change); got.Digest != base.Digest {
			t.Errorf("%s changes the digest", name)
		}
	}
	for name, change := range map[string]func(*Suite, *Workload){
		"request":  func(_ *Suite, w *Workload) { w.Request.MaxTokens++ },
		"data":     func(_ *Suite, w *Workload) { w.Data.Prompts[0] += "." },
		"load":     func(_ *Suite, w *Workload) { w.Load.Requests++ },
		"cancel":   func(_ *Suite, w *Workload) { w.Cancel.Rate = 0.5 },
		"warm-up":  func(_ *Suite, w *Workload) { w.Warmup.Max += time.Second },
		"window":   func(_ *Suite, w *Workload) { w.Window.MinRequests++ },
		"variant":  func(_ *Suite, w *Workload) { w.Target = "engine-w8" },
		"no KV":    func(_ *Suite, w *Workload) { w.Request.NoKV = true },
		"tail":     func(_ *Suite, w *Workload) { w.Data.Tail = 1 },
		"no cache": func(_ *Suite, w *Workload) { w.Request.Cache = "bust" },
	} {
		if got := digest(change); got.Digest == base.Digest {
			t.Errorf("%s doesn't change the digest", name)
		}
	}
}

// The digests themselves are published in results: a change of the program must not
// rename everybody's series. If this fails, a field was added that isn't omitted at
// its old meaning.
func TestCellDigestsAreStable(t *testing.T) {
	s := full(t)
	var got []byte
	for _, c := range s.Expand() {
		if c.Target == "engine" {
			got = fmt.Appendf(got, "%s %s %v\n", c.Digest, c.Workload, c.Point)
		}
	}
	golden(t, "testdata/full.digests.txt", got)
}

func TestSeeds(t *testing.T) {
	s := full(t)
	cells := s.Expand()
	seen := map[uint64]string{}
	for _, c := range cells {
		if d, ok := seen[c.Seed]; ok && d != c.Digest {
			t.Errorf("cells %s and %s have one seed", d, c.Digest)
		}
		seen[c.Seed] = c.Digest
	}
	if cells[0].Seed != cells[1].Seed {
		t.Error("two targets of one cell get different requests")
	}
	s.Seed = 1
	if s.Expand()[0].Seed == cells[0].Seed {
		t.Error("the suite's seed doesn't reach its cells")
	}
	if ChildSeed(1, "ab", "c") == ChildSeed(1, "a", "bc") {
		t.Error("seeds of different components collide")
	}
	// A golden value: a seed repeats what an older version sent.
	if got, want := ChildSeed(7, "cell", "x"), uint64(14475036418368063682); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestEstimate(t *testing.T) {
	s := full(t)
	got := s.Estimate()
	// scaling: 8 cells, 4 trials × 50 requests, 2 to warm up; texts: 2 cells, 4 × 60;
	// set: 2 cells, 4 × 50 and 2; recomputed and prefixes 4 cells each and quantised 1, as
	// set; arrivals 2 cells at 2 and at 12.5 a second, in windows of 90 s; offline 2 cells, 4 × 256; fitted 6 cells as
	// set; sweep 4 cells of 4 × 50 at least, each with a guess for its maximum; all three times.
	want := Estimate{
		Cells: 37, Rounds: 3, Requests: 3 * (8*(4*50+2) + 2*4*60 + 17*(4*50+2) + 2*(4*180+2) + 2*(4*1125+2) + 2*(4*256+2) + 4*(4*50+2)),
		Time: 3 * (guessStart + 33*4*90*time.Second + 4*guessWarmup),
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
