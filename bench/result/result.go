// Package result is the vocabulary of what was measured: Run, Round, Trial,
// Sample, Environment and the Key of a series, with the versioned file that
// holds them.
//
// It says nothing about what results mean (judge) or how they come about
// (bench/harness), and keeps no state (coordinator/ledger).
package result

import (
	"time"

	"github.com/paceline/paceline/bench/metric"
)

// SchemaVersion is the version of the result file that this program writes. Adding
// a field keeps it; renaming or removing one makes a new version.
const SchemaVersion = 1

// Lane says which side of a comparison a run's rounds are.
type Lane string

// Lanes.
const (
	LaneBase      Lane = "base"      // a commit of the base branch: may join baselines
	LaneCandidate Lane = "candidate" // a change under test: never joins
	LaneLocal     Lane = "local"     // no git: the rounds of a data folder are the branch "local"
)

// Document is the result file: one run with everything that a judge or a person
// needs, samples apart (JSON Lines beside it).
type Document struct {
	Schema  int     `json:"schema"`
	Run     Run     `json:"run"`
	Rounds  []Round `json:"rounds"`
	Verdict any     `json:"verdict,omitempty"` // judge/gate's report, where the run is decided
}

// Run is a suite asked for.
type Run struct {
	ID         string    `json:"id"`
	Suite      string    `json:"suite"`
	SuiteText  string    `json:"suite_text"`   // the resolved suite, YAML
	SuiteHash  string    `json:"suite_digest"` // sha256 of SuiteText
	Project    string    `json:"project,omitempty"`
	Branch     string    `json:"branch"`
	Commit     string    `json:"commit,omitempty"`
	Parent     string    `json:"parent,omitempty"`     // commit before, where known
	CommitTime time.Time `json:"commit_time,omitzero"` // orders commits where Parent is unknown
	BaseRef    string    `json:"base_ref,omitempty"`   // what the candidate is compared with
	Lane       Lane      `json:"lane"`
	Subject    Subject   `json:"subject"`
	Created    time.Time `json:"created"`
	CreatedBy  string    `json:"created_by,omitempty"`
	Repeat     string    `json:"repeat,omitempty"` // a command that repeats the run
}

// Subject is what was asked to be measured.
type Subject struct {
	Target string   `json:"target"`          // "engine" or a server's name
	Build  string   `json:"build"`           // "self", "sha256:…", "url:…"
	Model  string   `json:"model"`           // name in the catalogue, or a folder's base name
	Flags  []string `json:"flags,omitempty"` // of the target, sorted: they are part of the key
}

// Identity is what was observed of the subject.
type Identity struct {
	Build           string   `json:"build"`               // version string or image digest
	BinaryHash      string   `json:"binary_sha256"`       // of the process that computed
	Revision        string   `json:"revision,omitempty"`  // VCS revision in the binary, where it has one
	Modified        bool     `json:"modified,omitempty"`  // built from a changed work tree
	Engine          string   `json:"engine"`              // "paceline/cpu", "vllm", …
	ModelDigest     string   `json:"model_digest"`        // of the checkpoint's files
	TokenizerDigest string   `json:"tokenizer_digest"`    // of tokenizer.json
	DType           string   `json:"dtype"`               // weights/compute: "bf16/f32"
	Synthetic       bool     `json:"synthetic,omitempty"` // random weights: speed only
	Faults          []string `json:"faults,omitempty"`    // planted defects, as given: "slow=1.43"
}

// Round is one start of the subject on one machine.
type Round struct {
	ID          string       `json:"id"`
	RunID       string       `json:"run_id"`
	AttemptID   string       `json:"attempt_id"`
	Index       int          `json:"index"` // 1… within the run
	Started     time.Time    `json:"started"`
	Ended       time.Time    `json:"ended"`
	Environment Environment  `json:"environment"`
	Subject     Identity     `json:"subject"`
	Probes      []Probe      `json:"probes,omitempty"` // before and after
	Cells       []CellResult `json:"cells"`
	Valid       bool         `json:"valid"`
	Reasons     []Reason     `json:"reasons,omitempty"` // why invalid, and warnings
}

// CellResult is what a round says of one cell.
type CellResult struct {
	Cell     string            `json:"cell"`            // digest of the cell
	Workload string            `json:"workload"`        // name in the suite
	Point    map[string]string `json:"point,omitempty"` // matrix and load point: {"concurrency": "4"}
	// Target and DType are the variant of the run's target that was measured, and its
	// precision; empty: the run's target, and the round's.
	Target  string   `json:"target,omitempty"`
	DType   string   `json:"dtype,omitempty"`
	Trials  []Trial  `json:"trials"`
	Values  []Value  `json:"values"` // medians over valid trials
	Valid   bool     `json:"valid"`
	Reasons []Reason `json:"reasons,omitempty"`
}

// Trial is one execution of a cell inside a round.
type Trial struct {
	Index       int       `json:"index"` // 1…
	Started     time.Time `json:"started"`
	WindowNanos int64     `json:"window_ns"`
	Requests    int       `json:"requests"` // samples within the window
	Values      []Value   `json:"values"`
	Valid       bool      `json:"valid"`
	Reasons     []Reason  `json:"reasons,omitempty"`
}

// Value is a metric's value. A metric that could not be known is absent.
type Value struct {
	Metric metric.ID `json:"metric"`
	Value  float64   `json:"value"`            // in the unit of the metric table; finite
	N      int       `json:"n"`                // of a trial: samples; of a round: trials
	Spread float64   `json:"spread,omitempty"` // of a round: half the range of its trials; of a fit: half of its 95 % interval
}

// Reason says why something is invalid, or what to know about it.
type Reason struct {
	Code   string `json:"code"`           // "throttled", "client_lag", "osl", "errors", "probe", "noise_floor", …
	Detail string `json:"detail"`         // one sentence with figures
	Warn   bool   `json:"warn,omitempty"` // true: recorded, does not invalidate
}

// Sample is one request. Instants are ns since the trial's start, monotonic; 0 is
// unknown, so the trial's start is taken 1 ns before its first instant.
type Sample struct {
	Round     int     `json:"round"`
	Cell      string  `json:"cell"`
	Trial     int     `json:"trial"` // 0: warm-up
	Index     int     `json:"index"`
	Scheduled int64   `json:"scheduled_ns"`
	Admitted  int64   `json:"admitted_ns"`
	Written   int64   `json:"written_ns,omitempty"`
	FirstByte int64   `json:"first_byte_ns,omitempty"`
	Events    []int64 `json:"events_ns,omitempty"` // content-bearing events
	End       int64   `json:"end_ns"`

	EngineQueued       int64 `json:"engine_queued_ns,omitempty"`
	EnginePrefillStart int64 `json:"engine_prefill_start_ns,omitempty"`
	EnginePrefillEnd   int64 `json:"engine_prefill_end_ns,omitempty"`
	EngineEnd          int64 `json:"engine_end_ns,omitempty"`

	PromptTokens int    `json:"prompt_tokens"`
	CachedTokens int    `json:"cached_tokens,omitempty"`
	CachedKnown  bool   `json:"cached_known,omitempty"` // the subject told CachedTokens, 0 included
	WantTokens   int    `json:"want_tokens"`            // requested output length
	Tokens       Counts `json:"tokens"`
	Finish       string `json:"finish,omitempty"`
	Error        string `json:"error,omitempty"`
	CancelAt     int64  `json:"cancel_ns,omitempty"`    // when the client cancelled
	AfterCancel  *int   `json:"after_cancel,omitempty"` // tokens made after CancelAt, where known
	TextHash     string `json:"text_sha256,omitempty"`
	Broken       string `json:"broken,omitempty"` // why the stream was not whole
}

// Counts is the output length in three ways; nil is unknown.
type Counts struct {
	Engine      *int `json:"engine,omitempty"`      // ids the engine gave
	Usage       *int `json:"usage,omitempty"`       // what the server reported
	Retokenised *int `json:"retokenised,omitempty"` // the text, tokenised again
}

// Probe is one reading of the machine probe.
type Probe struct {
	Kind   string    `json:"kind"` // "cpu.read", "cpu.fma", "gpu.copy", "gpu.gemm"
	Unit   string    `json:"unit"` // "GB/s", "GFLOP/s"
	Value  float64   `json:"value"`
	When   string    `json:"when"` // "before", "after"
	At     time.Time `json:"at"`
	Device string    `json:"device,omitempty"` // GPU UUID; empty for the CPU
}

// Environment is the fingerprint of machine and software. Only what Hardware
// names is part of a key; the rest are attributes.
type Environment struct {
	Host        string            `json:"host"`
	MachineID   string            `json:"machine_id"` // stable, hashed
	OS          string            `json:"os"`
	Kernel      string            `json:"kernel"`
	Hardware    Hardware          `json:"hardware"`
	MemoryBytes int64             `json:"memory_bytes"`
	Virtual     string            `json:"virtual,omitempty"`  // hypervisor, container
	Software    map[string]string `json:"software,omitempty"` // library versions
	Load1       float64           `json:"load1"`
	GPUs        []GPU             `json:"gpus,omitempty"`
}

// GPU is one device as NVML describes it.
type GPU struct {
	Index       int     `json:"index"`
	UUID        string  `json:"uuid"`
	Model       string  `json:"model"`
	MemoryBytes int64   `json:"memory_bytes"`
	Driver      string  `json:"driver"`
	PowerLimitW float64 `json:"power_limit_w"`
	MIG         string  `json:"mig,omitempty"`
}

// Hardware is the class that decides whether results may be compared. It holds what
// the target uses: the CPU fields for a CPU target, the GPU fields for a GPU target.
type Hardware struct {
	CPUModel    string `json:"cpu_model"`
	Cores       int    `json:"cores"` // logical CPUs this process may use
	ISA         string `json:"isa"`   // vector extensions that kernels can use
	Governor    string `json:"governor"`
	GPUModel    string `json:"gpu_model,omitempty"`
	GPUCount    int    `json:"gpu_count,omitempty"`
	GPUMemory   int64  `json:"gpu_memory_bytes,omitempty"`
	GPUMIG      string `json:"gpu_mig,omitempty"`
	GPUPower    string `json:"gpu_power_policy,omitempty"`
	GPUClocks   string `json:"gpu_clock_policy,omitempty"`
	DriverMajor int    `json:"driver_major,omitempty"`
}
