// Package spec is the suite: its YAML, strict parsing, defaults, validation, the
// expansion into cells and the digest of a cell.
//
// A suite is data. It names targets, models and data sets; where they lie and how
// they are started is the agent's configuration, so that a suite can never hold a
// command, a path or a URL. What a cell's execution means is bench/harness's, what
// a gate means is judge/gate's; of ours this package imports bench/metric only.
package spec

import (
	"time"

	"github.com/paceline/paceline/bench/metric"
)

// APIVersion is the only version of the format so far.
const APIVersion = "paceline/v1"

// Suite is a parsed document with its defaults filled in.
type Suite struct {
	Name        string
	Title       string // one line for people
	Description string
	Labels      map[string]string
	Seed        uint64
	Model       string   // name in the agent's catalogue
	Targets     []string // names; "engine" by default
	Rounds      int      // rounds of a first attempt, ≥ 1
	Workloads   []Workload
}

// Workload is one thing measured, expanded over its matrix into cells.
type Workload struct {
	Name     string
	Title    string
	Target   string // a variant of one of the suite's targets; empty: the suite's targets
	Request  Request
	Data     Data
	Load     Load
	Matrix   []Axis   // in the order of the document
	Fit      string   // an axis over which latencies are fitted; empty: none
	Collect  []string // what is measured besides: "leak"
	Warmup   Warmup
	Trials   Trials
	Window   Window
	Validity Validity
	Cancel   Cancel
	SLO      SLO
	Gates    []Gate
	Speedups []Speedup
	Bands    []Band
}

// Axis is one dimension of a matrix: a field and its values, as strings.
type Axis struct {
	Name   string // "concurrency", "rate", "rate_of_max", "isl", "osl"
	Values []string
}

// Request is how each request asks.
type Request struct {
	API         string // "chat" or "completion"
	Stream      bool
	MaxTokens   int     // output length asked for
	IgnoreEOS   bool    // the output has exactly MaxTokens
	Temperature float64 // ≥ 0
	TopP        float64 // in (0, 1]
	TopK        int     // 0: off
	Cache       string  // "bust": no request finds another's prefix; "shared"
	NoKV        bool    `json:",omitempty"` // kv_cache off: the whole sequence is computed anew for each token
}

// Data is what is sent.
type Data struct {
	Type    string   // "prompt", "synthetic", "dataset"
	Prompts []string // with "prompt": used in turn
	ISL     int      // with "synthetic": input length in tokens
	Tail    int      `json:",omitempty"` // with "synthetic" and cache "shared": so many last tokens are the request's own
	Dataset string   // with "dataset": name in the catalogue or of an embedded one
	Digest  string   // of the data set, where one is named
}

// Load is when requests are sent.
type Load struct {
	// Type is "closed", "sequential" (closed with concurrency 1), "burst" (Requests at once), or open, where requests are
	// due whatever becomes of the ones before: "constant", "poisson", "gamma".
	Type        string
	Concurrency int     // with closed: requests in flight
	Requests    int     // requests a trial; 0: as many as the window takes
	Rate        float64 `json:",omitempty"` // of open loads: requests a second
	RateOfMax   float64 `json:",omitempty"` // of open loads, in place of Rate: a share of what the target can do at most, measured in the same round
	Burstiness  float64 `json:",omitempty"` // of gamma: its shape; 1 is Poisson, less comes in bursts
	MaxInFlight int     `json:",omitempty"` // of open loads and bursts: more wait in the client, and count as late
}

// Open says whether requests are due by a schedule of their own.
func (l Load) Open() bool { return l.Type == "constant" || l.Type == "poisson" || l.Type == "gamma" }

// Slots is how many requests may be in flight.
func (l Load) Slots() int {
	switch {
	case l.Open():
		return max(l.MaxInFlight, 1)
	case l.Type == "burst":
		return max(min(l.MaxInFlight, l.Requests), 1)
	case l.Type == "sequential":
		return 1
	}
	return max(l.Concurrency, 1)
}

// SLO is what a request must keep to count as good; 0: no limit. Times count from the schedule.
type SLO struct {
	TTFT time.Duration `json:",omitempty"`
	TPOT time.Duration `json:",omitempty"` // after the first token
	E2E  time.Duration `json:",omitempty"`
}

// Warmup says what is thrown away first.
type Warmup struct {
	Mode     string        // "until_stable" or "requests" or "none"
	Requests int           // at least so many
	CV       float64       // stable: the last three rates within this coefficient of variation
	Max      time.Duration // then go on, with a warning
}

// Trials says how often a cell is executed in a round.
type Trials struct {
	Count int // ≥ 2; suites other than ci: ≥ 3
}

// Window bounds a trial.
type Window struct {
	MinDuration time.Duration // a trial lasts at least so long
	MinRequests int           // and has at least so many completed requests
	Max         time.Duration // a trial that needs longer is invalid
}

// Validity holds the limits beyond which a trial is invalid.
type Validity struct {
	MaxClientLagP99 time.Duration
	MaxClientCPU    float64 // share of one core
	MaxErrorRate    float64
	MaxOSLErrors    float64 // share of requests of wrong output length
	MaxSteal        float64 // share of CPU time
	MinDelivered    float64 // of open loads: share of the window's schedule that was sent inside of it
	NoiseFloor      float64 // a latency under NoiseFloor × the null target's is refused
}

// Cancel makes the client cancel a share of requests.
type Cancel struct {
	Rate        float64 // 0..1
	AfterTokens int
}

// Severity of a gate.
type Severity string

// Severities.
const (
	Investigate Severity = "investigate" // never blocks: gives warn
	Fail        Severity = "fail"
	Critical    Severity = "critical" // fails at once, without confirmation
)

// Gate is a rule on one metric of a workload's cells. Exactly one of the limits is
// set.
type Gate struct {
	Metric   metric.ID
	Severity Severity
	MaxDrop  *float64 // share of the baseline, higher-is-better metrics: 0.20
	MaxRise  *float64 // share of the baseline, lower-is-better metrics: 0.10
	MaxRatio *float64 // of the baseline, > 1: 2.0
	Min      *float64 // in the metric's unit
	Max      *float64
}

// Speedup is how much better a workload is than another one of the same round: shown,
// never judged.
type Speedup struct {
	Metric metric.ID
	Over   string // the other workload's name
}

// Band is a reference drawn on the metric's chart: a value or a range that somebody
// reported elsewhere.
type Band struct {
	Metric metric.ID
	Label  string
	Low    float64 // in the metric's unit
	High   float64 // = Low for one value
}

// Cell is target × matrix point × load point: what a trial executes.
type Cell struct {
	Digest   string // names request, data, load, warm-up and window; 32 hexadecimal digits
	Workload string
	Point    map[string]string // axis → value; empty without a matrix
	Target   string
	Variant  string // of the target, measured in the same round on a start of its own; empty: the target itself
	Request  Request
	Data     Data
	Load     Load
	Warmup   Warmup
	Trials   Trials
	Window   Window
	Validity Validity
	Cancel   Cancel
	SLO      SLO
	Gates    []Gate
	Speedups []Speedup
	Fit      string // an axis over which the workload's cells are fitted
	Fitted   bool   // the fit's figures are this cell's
	Collect  []string
	Seed     uint64 // child of the suite's seed by hash
}
