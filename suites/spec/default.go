package spec

import (
	"fmt"
	"time"
)

// Default is a suite with every default filled in and nothing that has none: no
// name and no workload.
func Default() Suite {
	return Suite{Seed: 1, Model: "default", Targets: []string{"engine"}, Rounds: 1}
}

// DefaultWorkload is a workload with every default filled in: no name, no data.
func DefaultWorkload() Workload {
	return Workload{
		Request: Request{API: "chat", Stream: true, MaxTokens: 128, IgnoreEOS: true, TopP: 1, Cache: "bust"},
		Load:    Load{Type: "sequential", Concurrency: 1},
		Warmup:  Warmup{Mode: "until_stable", Requests: 3, CV: 0.03, Max: time.Minute},
		Trials:  Trials{Count: 3},
		Window:  Window{MinDuration: 30 * time.Second, MinRequests: 1, Max: 10 * time.Minute},
		Validity: Validity{
			MaxClientLagP99: time.Millisecond, MaxClientCPU: 0.7, MaxSteal: 0.05, MinDelivered: defaultDelivered, NoiseFloor: 3,
		},
	}
}

// openWarmup is how many requests warm an open load up, and openInFlight how many may be in flight, where nothing is said.
const (
	openWarmup       = 20
	openInFlight     = 512
	defaultDelivered = 0.98
)

// open fills in what only loads with a schedule of their own have. warmup: the suite says how to warm up. Until the
// output rate is stable would be no answer: it is that of the arrivals.
func (w *Workload) open(warmup bool) {
	l := &w.Load
	if (l.Open() || l.Type == "burst") && l.MaxInFlight == 0 {
		l.MaxInFlight = openInFlight
	}
	if l.Type == "gamma" && l.Burstiness == 0 {
		l.Burstiness = 1
	}
	if l.Open() && !warmup {
		w.Warmup.Mode, w.Warmup.Requests = "requests", max(w.Warmup.Requests, openWarmup)
	}
}

// Limits of a suite. They bound what one document can ask for.
const (
	MaxBytes     = 1 << 20
	maxLexemes   = 30_000 // the YAML library's time grows with their square
	maxDepth     = 16
	maxColumn    = 400 // of block structure: bounds its depth
	maxWorkloads = 100
	maxCells     = 4096
	maxTargets   = 32
	maxLabels    = 64
	maxGates     = 64
	maxPrompts   = 1000
	maxText      = 256 << 10 // one string
	maxValues    = 64        // of an axis
	maxTokens    = 1 << 20
	maxInFlight  = 4096
	maxRequests  = 1 << 20
	maxTrials    = 100
	maxRounds    = 7 // the last look of the gate
	maxSpan      = 24 * time.Hour
)

// at makes the path of an element.
func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
