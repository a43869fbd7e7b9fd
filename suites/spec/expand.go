package spec

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/paceline/paceline/bench/metric"
)

// point is one point of a workload's matrix with the workload as it is there.
type point struct {
	at       map[string]string
	workload Workload
}

// points gives the product of the axes, the last one fastest.
func (w *Workload) points() []point {
	out := []point{{map[string]string{}, *w}}
	for _, a := range w.Matrix {
		var next []point
		for _, p := range out {
			for _, v := range a.Values {
				q := point{maps.Clone(p.at), p.workload}
				q.at[a.Name] = v
				q.workload.set(a.Name, v)
				next = append(next, q)
			}
		}
		out = next
	}
	return out
}

// set puts an axis' value where it belongs. Validate has checked both.
func (w *Workload) set(axis, value string) {
	n, _ := strconv.Atoi(value)
	switch axis {
	case "rate":
		w.Load.Rate, _ = strconv.ParseFloat(value, 64)
	case "rate_of_max":
		w.Load.RateOfMax, _ = strconv.ParseFloat(value, 64)
	case "concurrency":
		w.Load.Concurrency = n
	case "isl":
		w.Data.ISL = n
	case "osl":
		w.Request.MaxTokens = n
	}
}

// Expand gives the suite's cells: workloads in order, each matrix with its last axis
// fastest, targets innermost, so that targets of one point are neighbours. The same
// suite gives the same cells with the same digests and seeds.
func (s *Suite) Expand() []Cell {
	var cells []Cell
	for i := range s.Workloads {
		for _, p := range s.Workloads[i].points() {
			w := p.workload
			digest := cellDigest(w)
			for _, t := range s.Targets {
				if w.Target != "" && variants()[w.Target] != t {
					continue
				}
				cells = append(cells, Cell{
					Digest: digest, Workload: w.Name, Point: p.at, Target: t, Variant: w.Target,
					Request: w.Request, Data: w.Data, Load: w.Load, Warmup: w.Warmup, Trials: w.Trials, Window: w.Window,
					Validity: w.Validity, Cancel: w.Cancel, SLO: w.SLO, Gates: w.gatesAt(p.at), Speedups: slices.Clone(w.Speedups),
					Collect: slices.Clone(w.Collect), Fit: w.Fit, Fitted: w.Fit != "" && last(w.Matrix, w.Fit) == p.at[w.Fit],
					// Every target gets the same requests.
					Seed: ChildSeed(s.Seed, "cell", digest),
				})
			}
		}
	}
	return cells
}

// gatesAt are the gates of a point: those of a fit belong to the last one.
func (w *Workload) gatesAt(point map[string]string) []Gate {
	return slices.DeleteFunc(slices.Clone(w.Gates), func(g Gate) bool {
		return isFit(g.Metric) && last(w.Matrix, w.Fit) != point[w.Fit]
	})
}

// last is an axis' last value.
func last(matrix []Axis, name string) string {
	for _, a := range matrix {
		if a.Name == name && len(a.Values) > 0 {
			return a.Values[len(a.Values)-1]
		}
	}
	return ""
}

// isFit says whether a metric is a figure of several cells together.
func isFit(id metric.ID) bool {
	return slices.Contains([]metric.ID{"ttft_slope", "ttft_curvature", "tpot_slope"}, id)
}

// cellDigest names what is measured: request, data, load with its cancellations,
// warm-up and window. Thresholds, trial counts, validity, names, seeds and targets
// are not in it, so that changing one of them keeps a series whole.
func cellDigest(w Workload) string {
	type load struct {
		Load
		Cancel *Cancel `json:",omitempty"`
	}
	l := load{Load: w.Load}
	if w.Cancel.Rate > 0 {
		l.Cancel = &w.Cancel
	}
	var slo *SLO // it says what the metrics of goodput count
	if w.SLO != (SLO{}) {
		slo = &w.SLO
	}
	// A field that is added later must be omitted from the JSON at its old meaning,
	// or every series would break: a golden test holds digests.
	b, err := json.Marshal(struct {
		Request Request
		Data    Data
		Load    load
		Warmup  Warmup
		Window  Window
		// Samples find their cell by its digest, and a variant's are not the target's.
		Variant string `json:",omitempty"`
		SLO     *SLO   `json:",omitempty"`
	}{w.Request, w.Data, l, w.Warmup, w.Window, w.Target, slo})
	if err != nil {
		panic("spec: a cell has only finite numbers and strings: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// ChildSeed derives the seed of a component by SHA-256, so that one more consumer of
// random numbers never moves another's.
func ChildSeed(seed uint64, component string, parts ...string) uint64 {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, seed))
	for _, p := range append([]string{component}, parts...) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// Estimate is what a first attempt of the suite takes, before anything is known of
// the subject's speed.
type Estimate struct {
	Cells    int
	Rounds   int
	Requests int           // at least, over all rounds; windows take as many more as fit
	Time     time.Duration // roughly: windows and warm-ups, not the time of fixed numbers of requests
}

// Rough costs that an estimate knows nothing better about.
const (
	guessStart  = 5 * time.Second // of a subject, its first request and the probes
	guessWarmup = 5 * time.Second // until stable
)

// Estimate sums windows and warm-ups over cells, trials and rounds.
func (s *Suite) Estimate() Estimate {
	e := Estimate{Rounds: s.Rounds}
	round := guessStart
	requests := 0
	for _, c := range s.Expand() {
		e.Cells++
		perTrial := c.Load.Requests
		if perTrial == 0 {
			perTrial = max(c.Window.MinRequests, 1)
			lasts := c.Window.MinDuration
			if rate := c.Load.Rate; rate > 0 {
				lasts = max(lasts, time.Duration(float64(perTrial)/rate*float64(time.Second)))
				perTrial = max(perTrial, int(rate*lasts.Seconds()))
			}
			round += time.Duration(c.Trials.Count) * lasts
			if c.Load.RateOfMax > 0 {
				round += guessWarmup // to find the maximum
			}
		}
		requests += c.Trials.Count * perTrial
		switch c.Warmup.Mode {
		case "until_stable":
			round += min(guessWarmup, c.Warmup.Max)
			requests += max(c.Warmup.Requests, 3)
		case "requests":
			requests += c.Warmup.Requests
		}
	}
	e.Requests = requests * s.Rounds
	e.Time = round * time.Duration(s.Rounds)
	return e
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
