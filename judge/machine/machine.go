// Package machine judges a machine: what can be measured on it, what disturbs that,
// and the smallest change that a gate there could see.
//
// It is pure, and its Report is what `paceline doctor` prints. What was observed of
// the machine is bench/probe/health's; who reads, probes and runs rounds is the
// command. The commit gate itself is judge/gate's: Sight only asks it.
package machine

import (
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/judge/gate"
)

// SchemaVersion is the version of Report's JSON form. Adding a field keeps it;
// renaming or removing one makes a new version.
const SchemaVersion = 1

// Report is everything that is known of a machine. Fill in what was observed and
// measured, then call Judge.
type Report struct {
	Schema   int       `json:"schema"`
	Version  string    `json:"version"` // of the program
	Flavour  string    `json:"flavour"` // native or plain
	At       time.Time `json:"at"`
	Headline string    `json:"headline"`
	// Worst of the findings: ok, note, disturbs or blocks; Exit follows from it.
	Worst health.Severity `json:"worst"`
	Exit  int             `json:"exit"`

	Findings []health.Finding `json:"findings"` // the worst first
	Host     health.Host      `json:"host"`
	GPUs     []health.GPU     `json:"gpus,omitempty"`
	NoGPU    string           `json:"no_gpu,omitempty"`      // why none is listed
	GPUFault string           `json:"gpu_problem,omitempty"` // a driver is there, but can't be read
	Targets  []Target         `json:"targets"`
	Models   []Model          `json:"models"`

	Probes    []Probe `json:"probes,omitempty"`
	NoProbe   string  `json:"no_probe,omitempty"` // why the machine probe gave nothing
	Floor     *Floor  `json:"floor,omitempty"`
	Rounds    *Rounds `json:"rounds,omitempty"`
	NoRounds  string  `json:"no_rounds,omitempty"` // why none were run
	Unwatched string  `json:"unwatched,omitempty"` // why the machine wasn't watched
}

// Target is something that may be measured here.
type Target struct {
	Name    string   `json:"name"`              // "engine"
	Device  string   `json:"device"`            // "cpu", or a GPU's model
	Kernels []string `json:"kernels,omitempty"` // sets that this CPU can run, best first
	OK      bool     `json:"ok"`
	Why     string   `json:"why,omitempty"` // not, or what else to know
}

// Model is one that this machine knows, or a size that people ask for.
type Model struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`          // of memory, about
	Fits  *bool  `json:"fits,omitempty"` // into the memory that is free; absent: not known
}

// Probe is the machine probe's readings of one kind, oldest first.
type Probe struct {
	Kind   string    `json:"kind"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	Median float64   `json:"median"`
	Off    float64   `json:"off"` // largest departure from the median, as a share of it
}

// Floor is what the measuring program itself takes here: the null target's figures.
type Floor struct {
	Latencies  map[metric.ID]float64 `json:"latencies_ms"`
	PerEventUs float64               `json:"cpu_per_event_us,omitempty"`
}

// Rounds are quick rounds of one build on this machine.
type Rounds struct {
	Suite   string   `json:"suite"`
	Model   string   `json:"model"`
	Asked   int      `json:"asked"`
	Valid   int      `json:"valid"`
	Invalid int      `json:"invalid"`
	Reasons []string `json:"reasons,omitempty"` // why invalid, each once
	Seconds float64  `json:"seconds"`           // that they took
	Failed  string   `json:"failed,omitempty"`  // why there are no more
	Gates   []Gate   `json:"gates,omitempty"`
	Unknown []string `json:"unknown,omitempty"` // gates of which nothing can be said, and why
}

// Gate is what the commit gate could do with these rounds as its baseline.
type Gate struct {
	Workload string    `json:"workload"`
	Metric   metric.ID `json:"metric"`
	Unit     string    `json:"unit"`
	Rule     gate.Rule `json:"rule"`
	Values   []float64 `json:"values"` // of the valid rounds, in their order
	Median   float64   `json:"median"`
	Noise    float64   `json:"noise"` // s of the gate's rule, of logs
	// CanSee is the smallest change that stands out from the noise, SmallestFail the
	// smallest that the gate could fail: its threshold or, where it is larger, CanSee.
	CanSee       float64 `json:"can_see"`
	SmallestFail float64 `json:"smallest_fail"`
	// Safe: the threshold stands out from the noise.
	Safe bool   `json:"safe"`
	Text string `json:"text"`
	// Odds are what judge/gate's simulation gives for this noise and a baseline of so
	// many rounds; of gates on a drop only.
	Odds *Odds `json:"odds,omitempty"`
}

// Odds are shares of simulated candidates, 0..1.
type Odds struct {
	FalseFail    float64 `json:"false_fail"`    // of unchanged builds that would fail
	FalseUnclear float64 `json:"false_unclear"` // of unchanged builds that would be inconclusive
	Drop         float64 `json:"drop"`          // of the slower builds: one and a half times the threshold
	Caught       float64 `json:"caught"`        // of those that would fail
}
