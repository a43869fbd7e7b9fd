package sched

import (
	"context"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
	"github.com/paceline/paceline/engine/sample"
)

const pageTokens = backend.PageTokens

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
	// Priority: higher ones start first. Any number.
	Priority int
	// Owner is who takes turns with others of the same priority; may be empty.
	Owner string
	// NoCache neither reads nor fills the prefix cache. Scoring never does.
	NoCache bool
	// NoKV computes the whole sequence anew for each token, as if there were no KV cache, for
	// comparisons. It implies NoCache.
	NoKV bool
	// Logits, of a scoring job, gets the logits after each id of the prompt, in their order,
	// for which the prompt is computed one id a step. The slice holds for the call only. As
	// for Sink, nothing is computed meanwhile.
	Logits func(i int, logits []float32)
	// Sink gets what comes of it. It is called by the loop's goroutine, which computes
	// nothing meanwhile, so it must be quick and must not call the Loop.
	Sink Sink
}

// positions is how many positions the job computes: the last token drawn is never fed.
func (j *Job) positions() int { return len(j.Prompt) + max(j.MaxTokens-1, 0) }

func (j *Job) scores() bool { return j.MaxTokens == 0 }

// shares says that the job uses the prefix cache.
func (j *Job) shares() bool { return !j.NoCache && !j.NoKV && !j.scores() }

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

	CachedTokens int           // prompt positions taken from the prefix cache instead of being computed
	Chunks       int           // rows of steps that computed its prompt, or computed anew after a preemption
	Preemptions  int           // how often it gave its pages to others
	Drafted      int           // tokens guessed and computed before they were known
	Accepted     int           // of these, tokens that were right
	Waited       time.Duration // without pages: before its start and after each preemption

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

	mostDrafts int // how many guesses are worth it; 0 before the first

	turn, came uint64    // its place in the queue
	start      uint64    // its place among those that started; 0 before
	idle       time.Time // since when it waits

	cancelled bool                // as of the last step
	ended     bool                // its Done was called
	table     *kv.Table           // nil while waiting
	tokens    []int32             // prompt and generated; the prompt itself before the first start
	computed  int                 // tokens whose K and V lie in pages
	reached   int                 // greatest computed so far: below it, tokens are computed anew
	drafts    int                 // guesses that lie behind tokens, in its capacity
	guessed   int                 // len(tokens) for which they were made
	told      int                 // positions whose logits were given to Job.Logits
	sampling  [2]backend.Sampling // of each flight's slot
	result    Result
}

func newSeq(ctx context.Context, j Job, queued time.Time) *seq {
	s := &seq{Job: j, ctx: ctx, sampling: [2]backend.Sampling{j.Sampling, j.Sampling}, tokens: j.Prompt, idle: queued}
	s.positions = j.positions()
	s.result.Queued = queued
	return s
}

// begin gives a sequence that starts, for the first time or again, its table with what the prefix
// cache has of it. The last token is always computed: what follows is drawn from its logits.
// The answer is by how much CachedTokens grew.
func (s *seq) begin(pool *kv.Pool, at time.Time) int {
	if s.start == 0 { // those that wait take no memory but their prompt's
		s.tokens = append(make([]int32, 0, s.positions+1), s.Prompt...)
	}
	s.result.Waited += at.Sub(s.idle)
	var found int
	s.table, found = pool.NewTable(s.tokens[:len(s.tokens)-1], s.positions, s.shares())
	return s.found(found)
}

// copy takes what the prefix cache has of the page that the sequence computes first, and says by
// how much CachedTokens grew. The sequence has just begun and has its pages.
func (s *seq) copy(pages backend.Pages) int {
	return s.found(s.table.Begin(s.tokens[:len(s.tokens)-1], pages.Copy))
}

// adopt takes what has come into the prefix cache since the sequence started, and says by how
// much CachedTokens grew.
func (s *seq) adopt() int {
	if !s.shares() || s.computed%pageTokens != 0 || s.pending() <= pageTokens {
		return 0
	}
	return s.found(s.table.Adopt(s.tokens[:len(s.tokens)-1]))
}

// found skips n positions that others computed.
func (s *seq) found(n int) int {
	s.computed += n
	cached := max(min(s.computed, len(s.Prompt))-s.reached, 0)
	s.result.CachedTokens += cached
	s.reached = max(s.reached, s.computed)
	return cached
}

// advance notes that the next n tokens are computed. Pages that they fill enter the prefix cache.
func (s *seq) advance(n int) {
	if !s.decodes() {
		s.result.Chunks++
	}
	s.computed += n
	s.reached = max(s.reached, s.computed)
	if s.computed/pageTokens != (s.computed-n)/pageTokens {
		s.table.Enter(s.tokens[:s.computed])
	}
}

// yield gives the sequence's pages back, and takes it to where it must begin again.
func (s *seq) yield(at time.Time) {
	s.table.Free()
	s.table = nil
	s.computed, s.idle = 0, at
	s.result.Preemptions++
	s.result.SumLogProb = 0 // a scoring job adds up from the first token again
}

// pending is how many tokens are known and not computed.
func (s *seq) pending() int { return len(s.tokens) - s.computed }

// chunk is how many of so many pending tokens a step may compute.
func (s *seq) chunk(pending int) int {
	if s.Logits != nil {
		return min(pending, 1)
	}
	return pending
}

// decodes says that the only pending token was generated.
func (s *seq) decodes() bool { return len(s.tokens) > len(s.Prompt) && s.pending() == 1 }

// row is the next n pending tokens as a row of a batch in a slot; those beyond are guesses. Its pages
// must be there.
func (s *seq) row(n, slot int) backend.Row {
	draft := max(n-s.pending(), 0)
	end := s.computed + n - draft
	r := backend.Row{Tokens: s.tokens[s.computed : end+draft], Draft: draft, Start: s.computed, Pages: s.table.Pages()}
	if s.scores() {
		r.WantAllLogProbs = n > 1
		r.WantLogits = true // for the first id of the next chunk, or for the caller
	} else if end == len(s.tokens) {
		draw := &s.sampling[slot]
		draw.Position, draw.Edits = uint64(end), s.Editor.Edits()
		r.Sample, r.TopLogProbs = draw, s.TopLogProbs
	}
	return r
}
