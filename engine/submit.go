package engine

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
	"github.com/paceline/paceline/engine/sched"
)

// Submit queues a request and returns its stream at once. ctx ends the request: no token
// comes once the step under way is over. The error says what the engine can't do about this
// request, or wraps ErrClosed or backend.ErrFault.
func (e *Engine) Submit(ctx context.Context, r Request) (*Stream, error) {
	tokens, err := e.check(r)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	s := newSink(e, r, tokens)
	job := sched.Job{
		Prompt: r.Prompt, MaxTokens: tokens, Sampling: r.Sampling, Sink: s,
		Editor: sample.NewEditor(r.Penalties, r.Prompt, s.ends, r.MinTokens), TopLogProbs: r.LogProbs, LogProbs: s.likely,
		Priority: r.Priority, Owner: r.Owner, NoCache: r.NoCache, NoKV: r.NoKV,
	}
	if err := e.loop.Submit(ctx, job); err != nil {
		return nil, fmt.Errorf("request: %w", own(err))
	}
	e.faults.leak()
	return &s.stream, nil
}

// check gives how many tokens the request may generate.
func (e *Engine) check(r Request) (int, error) {
	limit := e.limits.MaxContext
	switch {
	case len(r.Prompt) == 0:
		return 0, errors.New("the prompt has no tokens; give at least one")
	case len(r.Prompt) >= limit:
		return 0, fmt.Errorf("the prompt has %d tokens and the context %d positions, which leaves none to generate; shorten the prompt or open the engine with a longer context", len(r.Prompt), limit)
	case r.MaxTokens < 1:
		return 0, fmt.Errorf("at most %d tokens to generate; ask for at least one", r.MaxTokens)
	case len(r.Stop) > 0 && e.tokenizer == nil:
		return 0, fmt.Errorf("stop texts need a tokenizer: %w", e.tokenizerErr)
	}
	for _, stop := range r.Stop {
		if stop == "" || !utf8.ValidString(stop) {
			return 0, fmt.Errorf("stop text %q is empty or no valid UTF-8", stop)
		}
	}
	tokens := min(r.MaxTokens, limit-len(r.Prompt))
	switch {
	case r.MinTokens < 0 || r.MinTokens > tokens:
		return 0, fmt.Errorf("at least %d tokens to generate: want 0 to %d, the most that this request may have", r.MinTokens, tokens)
	case r.LogProbs < 0 || r.LogProbs > backend.MaxTopLogProbs:
		return 0, fmt.Errorf("log-probabilities of %d ids: want 0 to %d", r.LogProbs, backend.MaxTopLogProbs)
	case r.Sampling.Edits != nil:
		return 0, errors.New("edits are made by the engine: give Penalties instead")
	}
	for i, id := range r.StopTokens {
		if id < 0 || int(id) >= e.limits.VocabSize {
			return 0, fmt.Errorf("stop token %d is %d: want an id from 0 to %d", i, id, e.limits.VocabSize-1)
		}
	}
	if err := errors.Join(sample.Validate(r.Sampling), r.Penalties.Validate(e.limits.VocabSize)); err != nil {
		return 0, err
	}
	return tokens, nil
}

// Score is how likely the model finds a text.
type Score struct {
	LastLogits []float32 // after the last id, one for each id of the vocabulary
	Argmax     int32     // the likeliest next id, the lowest of equals
	LogSumExp  float64   // of LastLogits, natural logarithm
	SumLogProb float64   // Σ ln p(id[i] | id[0..i-1]) over i ≥ 1; 0 for one id
}

// Score computes ids, at least one and at most the context, without generating. It runs among
// the other requests, and waits for its end.
func (e *Engine) Score(ctx context.Context, ids []int32) (Score, error) {
	done := make(scoreSink, 1)
	if err := e.loop.Submit(ctx, sched.Job{Prompt: ids, Sink: done}); err != nil {
		return Score{}, fmt.Errorf("score %d tokens: %w", len(ids), own(err))
	}
	r := <-done
	if r.Reason != sched.ReasonScored {
		return Score{}, fmt.Errorf("score %d tokens: %w", len(ids), own(r.Err))
	}
	return Score{
		LastLogits: r.Logits, Argmax: sample.Argmax(r.Logits),
		LogSumExp: sample.LogSumExp(r.Logits), SumLogProb: r.SumLogProb,
	}, nil
}

// Logits computes ids, at least one and at most the context, one after the other, and calls
// each with the logits after ids[0..i] for each i in its order. logits has a number for each
// id of the vocabulary and holds for the call only; nothing else is computed meanwhile.
// An error that each gives ends it. It is for judging a model, and slower than Score.
func (e *Engine) Logits(ctx context.Context, ids []int32, each func(i int, logits []float32) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(scoreSink, 1)
	var failed error // written by the loop before it calls Done
	take := func(i int, logits []float32) {
		if failed != nil {
			return
		}
		if failed = each(i, logits); failed != nil {
			cancel(failed)
		}
	}
	if err := e.loop.Submit(ctx, sched.Job{Prompt: ids, Logits: take, Sink: done}); err != nil {
		return fmt.Errorf("logits of %d tokens: %w", len(ids), own(err))
	}
	r := <-done
	switch {
	case failed != nil:
		return failed
	case r.Reason != sched.ReasonScored:
		return fmt.Errorf("logits of %d tokens: %w", len(ids), own(r.Err))
	}
	return nil
}
