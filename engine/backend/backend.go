// Package backend is the seam between the engine's scheduler and the code that
// computes: what a step is asked, what it answers, and where its KV cache lies.
//
// It imports nothing else of ours. Its neighbours: engine/sched builds batches,
// engine/kv decides which page belongs to whom, engine/sample defines how a token
// is drawn from logits; engine/ref, engine/cpu and engine/cuda implement Backend
// and are all held to the suite in engine/backend/backendtest.
package backend

import (
	"errors"
	"time"
)

// PageTokens is how many token positions one KV page holds, on every backend.
const PageTokens = 64

// PageID names one KV page of one backend, in 0..Pages.Count()-1.
type PageID int32

// Backend computes batches for one loaded model.
//
// Launch and Collect are called by one goroutine only (the scheduler loop), in
// launch order. A backend may compute inside Launch, inside Collect or in
// between on a device; at most MaxInFlight (Info) batches are launched and not
// yet collected. They take effect in the order of their launch, so that a page
// may belong to one sequence in a batch in flight and to another in the next. After an error the batch's outputs are undefined, and
// a Fault error means that the backend can't be used again.
type Backend interface {
	// Info says what this backend is; constant for its life.
	Info() Info
	// Pages is the store of KV pages.
	Pages() Pages
	// Launch starts the step. The batch and everything it points to belong to
	// the backend until Collect returns.
	Launch(*Batch) error
	// Collect waits for the step and fills Batch.Out, one entry a row.
	Collect(*Batch) error
	// Memory is what the backend has allocated, by use.
	Memory() Memory
	// Close frees everything. It must not be called with a batch in flight.
	Close() error
}

// Pages is the store of KV pages; which page belongs to which sequence is
// decided by its caller.
type Pages interface {
	// Count is the number of pages, fixed when the backend is opened.
	Count() int
	// BytesPerPage is the memory of one page over all layers, K and V together.
	BytesPerPage() int64
	// Copy copies the first tokens positions (1..PageTokens) of page src to page
	// dst, over all layers; what the others of dst hold afterwards isn't said. It must
	// not touch pages of a batch in flight.
	Copy(dst, src PageID, tokens int) error
}

// Info describes a backend.
type Info struct {
	Name        string // "ref", "cpu", "cuda"
	Device      string // a person's words for the device: CPU or GPU model
	ISA         string // kernel set in use ("avx512", "avx2", "scalar", "sm_90"); empty if there is one only
	Compute     string // "f64", "f32", "bf16" or "int8": the type of activations in matrix products
	Weights     string // "bf16", "f32", "w8", "w4": how the weights of the layers are held
	KV          string // "f64", "f32", "bf16" or "int8": how keys and values are held
	Threads     int    // host threads that compute; 0 for a device
	MaxInFlight int    // ≥ 1; ≥ 2 allows Row.Chained
	MaxRows     int    // most rows of a batch
	MaxTokens   int    // most tokens of a batch, over all rows
	MaxContext  int    // most positions of one sequence
	MaxDraft    int    // most of Row.Draft; 0: the backend draws after the last position only
	VocabSize   int    // length of a logits row
	Emulated    bool   // the device is an emulator, for tests: what it computes is right, how long it takes means nothing
}

// ColdStart is what opening a backend took.
type ColdStart struct {
	Stages []Stage
	Notes  []string // what went wrong on the way and didn't matter in the end, for a person
}

// Stage is a part of opening.
type Stage struct {
	Name string
	Took time.Duration
}

// Memory is bytes by use. Total is their sum.
type Memory struct {
	Weights    int64 `json:"weights_bytes"`
	KV         int64 `json:"kv_bytes"`         // all pages, used or free
	Activation int64 `json:"activation_bytes"` // scratch space
}

// Total is the sum over all uses, in bytes.
func (m Memory) Total() int64 { return m.Weights + m.KV + m.Activation }

// Batch is one step: some rows computed together.
type Batch struct {
	Rows []Row
	// Out is filled by Collect, parallel to Rows. Its slices belong to the
	// backend and hold until the next Launch.
	Out []RowOut
	// Ticket belongs to the backend between Launch and Collect.
	Ticket any
}

// Row is a run of tokens of one sequence.
type Row struct {
	// Tokens are fed at positions Start, Start+1, …; ids in 0..VocabSize-1.
	// At least one, unless Chained.
	Tokens []int32
	// Start is the position of Tokens[0]: how many positions of this sequence
	// already lie in Pages.
	Start int
	// Pages covers positions 0..Start+len(Tokens)-1: position p lies in
	// Pages[p/PageTokens]. Pages that only hold positions < Start may be shared
	// with other rows and are only read.
	Pages []PageID
	// Chained feeds exactly one token, the one sampled for row ChainRow of the batch
	// launched just before this one, which need not be collected yet. Tokens is
	// then empty.
	Chained  bool
	ChainRow int
	// Sample asks for a token after the last position of the row; nil for
	// a prefill chunk that isn't the last.
	Sample *Sampling
	// Draft is how many of Tokens, the last ones, are guesses: a token is then also drawn
	// after each of the Draft positions before the last, from the same Sampling but for its
	// Position, which is that of the first token drawn and one more for each further one.
	// 0..Info.MaxDraft, less than len(Tokens), and 0 without Sample. A later row of the sequence
	// may start at any position after the first guess and so replace wrong ones.
	Draft int
	// WantLogits asks for the logits after the last position.
	WantLogits bool
	// WantAllLogProbs asks for the log-probability of each Tokens[i+1] given what
	// precedes it (len(Tokens)-1 values). For scoring text, not for serving.
	WantAllLogProbs bool
	// TopLogProbs, where it isn't 0, asks for the log-probability of the token that Sample
	// draws and of so many ids that are the likeliest; at most MaxTopLogProbs. They are
	// those of the logits as the model gave them: before Edits, Temperature and cuts.
	TopLogProbs int
}

// MaxTopLogProbs is the most that Row.TopLogProbs may ask for.
const MaxTopLogProbs = 20

// Sampling says how to draw a token from logits; engine/sample defines the
// result exactly, so that every backend draws the same token from equal logits.
type Sampling struct {
	Temperature float32 // 0: greedy (lowest id wins a tie); else > 0
	TopK        int     // 0: off
	TopP        float32 // 0 or 1: off; else in (0, 1)
	Seed        uint64  // of the request
	Position    uint64  // absolute position of the token to be drawn, the counter of the generator

	// Edits change single logits before anything else; nil: none. They hold for this draw
	// only. A Chained row has none: penalties depend on a token that isn't known yet.
	Edits *Edits
}

// Edits are what penalties, biases and forbidden ids come to for one draw: a short list
// that a device applies by one thread an entry, whatever their reasons were.
type Edits struct {
	Repetition float32 // > 0 and finite; only for entries with Repeat
	List       []Edit  // ids ascend, each at most once
}

// Edit is one changed logit, in binary32: divided by Repetition if it is above 0, else multiplied
// by it, where Repeat is set; then Add is added.
type Edit struct {
	ID     int32
	Repeat bool
	Add    float32 // finite, or −Inf, which forbids the id
}

// RowOut is what a row gave.
type RowOut struct {
	Token    int32     // the sampled token, or -1 where Row.Sample was nil; with drafts, the last one
	Drawn    []int32   // where Row.Draft > 0, all Row.Draft+1 sampled tokens by position; else nil
	Logits   []float32 // VocabSize values where asked, else nil; without Edits
	LogProbs []float32 // where asked, else nil

	// Where Row.TopLogProbs asked for them: natural logarithms of the probability of Token
	// and of the likeliest ids, likeliest first, the lowest id first among equals.
	TokenLogProb float32
	Top          []Likely
}

// Likely is an id and the natural logarithm of its probability, ≤ 0; it may be −Inf.
type Likely struct {
	ID      int32
	LogProb float32
}

// ErrFault is wrapped by errors after which a backend can't be used again (a
// lost device, a sticky CUDA fault).
var ErrFault = errors.New("backend fault")

// ErrUnavailable is wrapped by the error of opening a backend that this build or
// this machine doesn't have.
var ErrUnavailable = errors.New("backend unavailable")
