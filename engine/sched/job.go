package sched

import (
	"context"
	"errors"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
	"github.com/paceline/paceline/engine/sample"
)

// ErrClosed is returned by Submit, and given to jobs that were under way, after Close.
var ErrClosed = errors.New("the loop is closed")

// Job is a sequence to compute. Nothing of it may be changed before its Done.
type Job struct {
	// Prompt are the ids to start from, at least one.
	Prompt []int32
	// MaxTokens is how many tokens to generate, ≥ 1; 0 scores the prompt instead and
	// generates nothing. len(Prompt)+MaxTokens must not exceed Info.MaxContext.
	MaxTokens int
	// Sampling says how tokens are drawn; its Position is set for each of them.
	Sampling backend.Sampling
	// Editor makes the edits of each draw; nil: none. The loop has it until Done.
	Editor *sample.Editor
	// TopLogProbs is the row's, for each token generated; 0: none. LogProbs gets them just
	// before Sink.Token, under the Sink's rules; top is its own only until it returns.
	TopLogProbs int
	LogProbs    func(ofToken float32, top []backend.Likely)
	// Sink gets what comes of it. It is called by the loop's goroutine, which computes
	// nothing meanwhile, so it must be quick and must not call the Loop.
	Sink Sink
}

// positions is how many positions the job computes: the last token drawn is never fed.
func (j *Job) positions() int { return len(j.Prompt) + max(j.MaxTokens-1, 0) }

// Sink receives one job's tokens, then its end.
type Sink interface {
	// Token brings a generated token. It returns true to end the job here. last says that
	// the job ends here anyhow, because it has its MaxTokens.
	Token(id int32, at time.Time, last bool) (stop bool)
	// Done is the last call, exactly one for each job that Submit took.
	Done(Result)
}

// Reason says why a job ended.
type Reason int

// Reasons.
const (
	ReasonStop   Reason = iota // the sink said so
	ReasonLength               // MaxTokens
	ReasonCancel               // its context ended, or the loop was closed
	ReasonError                // the backend gave an error; Result.Err has it
	ReasonScored               // a scoring job is complete
)

// Result is how a job ended.
type Result struct {
	Reason       Reason
	Err          error // with ReasonError; with ReasonCancel the cause
	OutputTokens int   // handed to the sink

	Queued       time.Time // Submit
	PrefillStart time.Time // launch of the first step with a token of the job; zero if there was none
	PrefillEnd   time.Time // collection of the prompt's last token; zero before
	End          time.Time // collection of the last token, or the moment of cancellation

	// Of a scoring job:
	Logits     []float32 // after the last id, owned by the receiver
	SumLogProb float64   // Σ ln p(id[i] | id[..i]) for i ≥ 1, natural logarithm
}

// seq is a job inside the loop.
type seq struct {
	Job
	ctx       context.Context
	unwatch   func() bool // stops watching ctx
	positions int         // most it will compute

	cancelled bool      // as of the last step
	ended     bool      // in the last step
	table     *kv.Table // nil while waiting
	tokens    []int32   // prompt and generated
	computed  int       // tokens whose K and V lie in pages
	sampling  backend.Sampling
	result    Result
}

func newSeq(ctx context.Context, j Job, queued time.Time) *seq {
	s := &seq{Job: j, ctx: ctx, sampling: j.Sampling}
	s.positions = j.positions()
	s.tokens = append(make([]int32, 0, s.positions+1), j.Prompt...)
	s.result.Queued = queued
	return s
}

func (s *seq) scores() bool { return s.MaxTokens == 0 }

// decodes says that the pending token was generated.
func (s *seq) decodes() bool { return len(s.tokens) > len(s.Prompt) }

// row is the next n pending tokens as a row of a batch. Its pages must be there.
func (s *seq) row(n int) backend.Row {
	end := s.computed + n
	r := backend.Row{Tokens: s.tokens[s.computed:end], Start: s.computed, Pages: s.table.Pages()}
	if s.scores() {
		r.WantAllLogProbs = n > 1
		r.WantLogits = true // for the first id of the next chunk, or for the caller
	} else if end == len(s.tokens) {
		s.sampling.Position, s.sampling.Edits = uint64(end), s.Editor.Edits()
		r.Sample, r.TopLogProbs = &s.sampling, s.TopLogProbs
	}
	return r
}
