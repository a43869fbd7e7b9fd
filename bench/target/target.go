// Package target is the seam between the load generator and whatever is measured.
//
// Subpackages implement it: engine (the embedded one), openai (any server with
// that API), null (answers at once: the client's own noise floor). What a request's
// instants mean is said here once; what becomes of them is bench/harness's.
package target

import (
	"context"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// Target is a started subject. Do may be called concurrently.
type Target interface {
	// Identity is what can be observed of the subject.
	Identity(ctx context.Context) (result.Identity, error)
	// Do sends one request and calls sink for each content-bearing event, in order,
	// from one goroutine, before it returns. The error is the request's own
	// (result.Sample.Error), never the generator's.
	Do(ctx context.Context, r Request, sink func(Event)) (Reply, error)
	// Usage is the subject's memory at this moment; fields it can't know are nil.
	Usage(ctx context.Context) (Usage, error)
	// Close stops what the target started.
	Close() error
}

// Tokenizer counts tokens the way the subject's model does. Prompt renders the
// chat template.
type Tokenizer interface {
	Encode(text string) ([]int32, error)
	Decode(ids []int32) (string, error)
	Prompt(system, user string) (string, error)
	VocabSize() int
}

// Request is one prompt. Exactly one of Text and IDs is set.
type Request struct {
	ID          string
	API         string // "chat": Text is the user's message; "completion": Text is continued as it is
	Text        string
	IDs         []int32 // exact token ids, where the target takes them
	MaxTokens   int
	IgnoreEOS   bool
	Temperature float64
	TopP        float64
	TopK        int
	Seed        uint64
	Stream      bool
	NoCache     bool
	NoKV        bool // computes the whole sequence anew for each token, where the target can
}

// Event is one content-bearing event of a stream.
type Event struct {
	At     time.Time // when it arrived, with monotonic reading
	Text   string
	Tokens int // ids it brought, where known; else 0
}

// Reply is a finished request.
type Reply struct {
	Written   time.Time // request fully written; zero if not known
	FirstByte time.Time
	End       time.Time
	Text      string  // the whole text, joined from the events
	IDs       []int32 // where the target gives them
	Finish    string
	Prompt    int // tokens of the prompt, as the subject counts them; 0 unknown
	Cached    int // tokens of the prompt that came from a prefix cache
	// CachedKnown: the subject told Cached, 0 included.
	CachedKnown bool
	Tokens      result.Counts // Engine and Usage; Retokenised is the harness's
	DoneSeen    bool          // the stream's end marker came
	Broken      string        // why the stream was not whole; empty if it was

	EngineQueued, EnginePrefillStart, EnginePrefillEnd, EngineEnd time.Time

	// AfterCancel is how many tokens the subject made after the request's context
	// had ended; nil: not known, or it had not.
	AfterCancel *int
}

// Usage is memory in bytes.
type Usage struct {
	Weights         *int64
	PeakAlloc       *int64
	KVBytesPerToken *float64
	ProcessRSSPeak  *int64
	// InUse is what is in use at this moment: of an engine that knows, what its allocator has given out; else the
	// resident memory of the subject's processes.
	InUse *int64
}
