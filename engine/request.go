package engine

import (
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// Options say which model is opened on which backend.
type Options struct {
	ModelDir   string // a Hugging Face style folder
	Backend    string // "cpu" (default), "ref", "cuda"
	Device     string // of the cuda backend: an index, a UUID or the beginning of one, a bus id; "": the first
	Compute    string // "f32" (default) or "bf16": activations of matrix products where the backend has a choice; quantised weights take "int8"
	KV         string // "f32", "bf16" or "int8": keys and values in the cache; "": f32 where Compute is f32, else bf16
	Weights    string // "" (as stored), "bf16" (as stored, which must be so), "w8" or "w4": quantised as they are loaded
	ISA        string // forces a kernel set ("avx512", "avx2", "scalar"); empty: the best one
	Threads    int    // 0: one a core
	MaxContext int    // positions a sequence may have; 0: ContextHint, cut to what KVBytes holds
	KVBytes    int64  // memory for KV pages; 0: room for one sequence of MaxContext, at least 64 pages
	MaxRows    int    // requests that run at a time, so that 1 turns batching off; 0: the backend's limit
	Faults     []Fault

	// Speculate is how many tokens of a request are guessed at most, from where its last ones stood
	// before, and computed along with the next one. Tokens are the same with and without; texts
	// that repeat themselves or their prompt come in fewer steps. 0: none, which is right
	// where many requests run at a time. The ref backend takes 32 at most.
	Speculate int

	NoPrefixCache    bool  // every prompt is computed whole
	PrefixCacheBytes int64 // most memory of KV pages that no request uses and that are kept for their text; 0: all there is

	// ContextHint is how many positions the caller's requests are thought to need at
	// most. Where the model's own limit is less, that holds, which for MaxContext is
	// an error. 0: the model's limit.
	ContextHint int
}

// Fault is a planted defect, for tests of the judge. It is reported in Stats and
// so in every result, and its results never join a baseline.
type Fault struct {
	Kind   string  `json:"kind"`   // "slow", "stall", "wrong-token", "leak"
	Factor float64 `json:"factor"` // slow: each step takes Factor × as long (≥ 1); leak: bytes kept a request; stall: seconds; wrong-token: probability
	Every  int     `json:"every"`  // stall: one step in Every; else unused
}

// Request is one prompt and how to continue it.
type Request struct {
	Prompt     []int32          // token ids, at least one
	MaxTokens  int              // most tokens to generate, ≥ 1
	Sampling   backend.Sampling // Position is set by the engine
	Stop       []string         // generation ends before any of these texts
	StopTokens []int32          // generation ends after any of these ids; they are not part of the text
	IgnoreEOS  bool             // the model's own end tokens don't end the generation
	NoCache    bool             // never reads or fills the prefix cache
	NoKV       bool             // computes the whole sequence anew for each token, for comparisons; implies NoCache
	Priority   int              // higher ones start first, and have lower ones wait when memory is short
	Owner      string           // requests of one priority start by turns between their owners; may be empty

	// Penalties, biases included, hold for greedy draws too; see engine/sample.
	Penalties sample.Penalties
	// MinTokens is how many tokens come before the generation may end by an end token or a stop
	// text, 0..MaxTokens. Until then end tokens (of StopTokens, and the model's own without
	// IgnoreEOS) are not drawn, and stop texts are not looked for.
	MinTokens int
	// LogProbs asks for so many likeliest ids beside each token, 0 (none) to
	// backend.MaxTopLogProbs.
	LogProbs int
}

// Finish reasons.
const (
	FinishStop   = "stop"   // an end token or a stop text
	FinishLength = "length" // MaxTokens or the context was reached
	FinishCancel = "cancel" // the request's context ended
	FinishError  = "error"
)

// Event is one step of a stream. The last event has Finish set.
type Event struct {
	Token int32     // the token id; -1 in a last event that brings no token
	Text  string    // whole UTF-8 that this token completed; may be empty
	At    time.Time // when the engine had the token, with monotonic reading

	// With Request.LogProbs, where there is a token: what the model itself, before penalties,
	// temperature and cuts, gave to it and to the likeliest ids.
	LogProbs *LogProbs

	Finish *Finish // set on the last event only
}

// LogProbs are natural logarithms of probabilities, ≤ 0; one may be −Inf.
type LogProbs struct {
	Token float32
	Top   []backend.Likely // likeliest first; as many as were asked for
}

// Finish is how a request ended, with the engine's own account of it.
type Finish struct {
	Reason       string // Finish…
	Err          error  // with FinishError; with FinishCancel the context's cause, or ErrClosed
	PromptTokens int
	OutputTokens int // ids generated, an end token included
	CachedTokens int // prompt positions taken from the prefix cache

	DraftTokens    int // guessed and computed before they were known, with Options.Speculate
	AcceptedTokens int // of these, those that were right

	PrefillChunks int           // steps that computed a part of the prompt
	Preemptions   int           // how often it gave its memory to others and was computed again
	Waited        time.Duration // without memory: before its first step, and after preemptions

	Queued       time.Time // Submit
	PrefillStart time.Time // first step that had a token of this request
	PrefillEnd   time.Time // prompt wholly computed: the first token is known
	End          time.Time // last token
}

// Stats is the engine's account of itself; counters since Open.
type Stats struct {
	Backend backend.Info   `json:"backend"`
	Memory  backend.Memory `json:"memory"`
	Faults  []Fault        `json:"faults,omitempty"`

	Steps            uint64 `json:"steps"`
	Requests         uint64 `json:"requests"`
	PromptTokens     uint64 `json:"prompt_tokens"` // computed, cached ones not counted
	OutputTokens     uint64 `json:"output_tokens"`
	CachedTokens     uint64 `json:"cached_tokens"`     // prompt tokens taken from the prefix cache
	RecomputedTokens uint64 `json:"recomputed_tokens"` // computed again after preemptions, or without KV cache
	DraftTokens      uint64 `json:"draft_tokens"`      // guessed and computed before they were known
	AcceptedTokens   uint64 `json:"accepted_tokens"`   // of these, right
	StepsAhead       uint64 `json:"steps_ahead"`       // launched before the step before them was collected
	VainTokens       uint64 `json:"vain_tokens"`       // computed in such steps for requests that had ended
	Cancelled        uint64 `json:"cancelled"`
	Preemptions      uint64 `json:"preemptions"`

	Running int `json:"running"` // requests that have memory
	Waiting int `json:"waiting"` // requests that wait for it

	PagesTotal    int   `json:"pages_total"`
	PagesUsed     int   `json:"pages_used"`   // by running requests
	PagesCached   int   `json:"pages_cached"` // kept for their text only; they count as free when memory is short
	PagesPeak     int   `json:"pages_peak"`   // greatest PagesUsed
	BytesPerPage  int64 `json:"bytes_per_page"`
	HeapBytes     int64 `json:"heap_bytes"`      // Go heap in use
	LeakedBytes   int64 `json:"leaked_bytes"`    // held by the "leak" fault
	LoadTimeNanos int64 `json:"load_time_nanos"` // Open: reading, packing, page allocation

	PrefixCache PrefixCache `json:"prefix_cache"`
	Phases      Phases      `json:"phases"`
}

// PrefixCache counts tokens. Requests with NoCache don't count.
type PrefixCache struct {
	Hits      uint64 `json:"hit_tokens"`
	Misses    uint64 `json:"miss_tokens"`
	Evictions uint64 `json:"evicted_tokens"`
}

// Phases is how the time of the engine's loop divides, in nanoseconds since Open.
type Phases struct {
	Plan    int64 `json:"plan_nanos"`    // deciding what a step computes
	Launch  int64 `json:"launch_nanos"`  // computing; on a device, handing it the work
	Collect int64 `json:"collect_nanos"` // drawing tokens; on a device, waiting for it
	Deliver int64 `json:"deliver_nanos"` // text, stops, events
	Idle    int64 `json:"idle_nanos"`    // no request
}
