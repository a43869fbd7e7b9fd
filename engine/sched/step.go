package sched

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// step computes what plan decided and hands its tokens out. After an error nothing was handed out;
// the caller must call fail with it.
func (c *core) step() error {
	launched := c.lap(&c.phases.Plan)
	c.batch.Rows = c.batch.Rows[:0]
	for i, q := range c.rows {
		if q.result.PrefillStart.IsZero() {
			q.result.PrefillStart = launched
		}
		c.batch.Rows = append(c.batch.Rows, q.row(c.chunks[i].Tokens))
	}
	c.batch.Out = c.batch.Out[:0]
	err := c.back.Launch(&c.batch)
	c.lap(&c.phases.Launch)
	if err == nil {
		err = c.back.Collect(&c.batch)
	}
	if err == nil && len(c.batch.Out) != len(c.batch.Rows) {
		err = fmt.Errorf("%d outputs for %d rows", len(c.batch.Out), len(c.batch.Rows))
	}
	if err != nil {
		return fmt.Errorf("step of %d rows: %w", len(c.rows), err)
	}
	if c.hooks.Stepped != nil {
		c.hooks.Stepped(c.now().Sub(c.handed))
	}
	c.handed = c.lap(&c.phases.Collect)
	c.deliver(c.handed)
	c.lap(&c.phases.Deliver)
	return nil
}

// lap adds the time since the last lap to a phase, and says what time it is.
func (c *core) lap(phase *time.Duration) time.Time {
	now := c.now()
	*phase += now.Sub(c.mark)
	c.mark = now
	return now
}

// rest tells the meter of time in which there was nothing to do.
func (c *core) rest() {
	c.handed = c.lap(&c.phases.Idle)
	c.meter.change(func(k *Counters) { k.Phases = c.phases })
}

// deliver hands the step's outputs to their jobs, in the order of its rows.
func (c *core) deliver(at time.Time) {
	var prompt, again, output uint64
	for i, q := range c.rows {
		n := c.chunks[i].Tokens
		q.cancelled = q.ctx.Err() != nil // asked once, so that counts and sinks agree
		end, fresh := q.computed+n, max(q.computed, q.reached)
		prompt += uint64(max(min(end, len(q.Prompt))-fresh, 0))
		again += uint64(min(fresh, end) - q.computed)
		if c.batch.Rows[i].Sample != nil && !q.cancelled {
			output++
		}
	}
	// Counted before anybody is told, so that who has seen a job's end finds it in the counts.
	c.meter.change(func(k *Counters) {
		k.Steps++
		k.PromptTokens += prompt
		k.RecomputedTokens += again
		k.OutputTokens += output
		k.Phases = c.phases
	})
	for i, q := range c.rows {
		q.ended = c.take(q, &c.batch.Rows[i], &c.batch.Out[i], at)
	}
	c.running = slices.DeleteFunc(c.running, func(q *seq) bool { return q.ended })
}

// take gives one row's output to its job, and says whether the job ended. A job cancelled during
// the step gets no token any more; sweep ends it.
func (c *core) take(q *seq, row *backend.Row, out *backend.RowOut, at time.Time) bool {
	q.advance(len(row.Tokens))
	if q.scores() {
		return c.score(q, row, out, at)
	}
	if row.Sample == nil {
		return false
	}
	if q.result.PrefillEnd.IsZero() {
		q.result.PrefillEnd = at
	}
	if q.cancelled {
		return false
	}
	id := out.Token
	if c.hooks.Token != nil {
		id = c.hooks.Token(id, *row.Sample)
	}
	q.tokens = append(q.tokens, id)
	q.Editor.Drew(id)
	if row.TopLogProbs > 0 {
		q.LogProbs(out.TokenLogProb, out.Top)
	}
	if q.NoKV {
		q.computed = 0
	}
	last := len(q.tokens)-len(q.Prompt) == q.MaxTokens
	switch {
	case q.Sink.Token(id, at, last):
		c.end(q, Result{Reason: ReasonStop, End: at})
	case last:
		c.end(q, Result{Reason: ReasonLength, End: at})
	default:
		return false
	}
	return true
}

// score adds a chunk's log-probabilities up; the last chunk ends the job.
func (c *core) score(q *seq, row *backend.Row, out *backend.RowOut, at time.Time) bool {
	if q.Logits != nil && !q.cancelled && q.computed > q.told { // not again after a preemption
		q.told = q.computed
		q.Logits(q.computed-1, out.Logits)
	}
	for _, p := range out.LogProbs {
		q.result.SumLogProb += float64(p)
	}
	if q.cancelled {
		return false
	}
	if q.computed < len(q.tokens) {
		q.result.SumLogProb += sample.LogProb(out.Logits, q.tokens[q.computed])
		return false
	}
	q.result.PrefillEnd = at
	c.end(q, Result{Reason: ReasonScored, Logits: slices.Clone(out.Logits), End: at})
	return true
}

// fail ends the jobs of a step that the backend refused or broke in; all jobs, if the backend
// can't be used any more. Nothing of the step gets into the prefix cache.
func (c *core) fail(err error) {
	c.meter.change(func(k *Counters) { k.Steps++; k.Phases = c.phases })
	r := Result{Reason: ReasonError, Err: err, End: c.now()}
	if errors.Is(err, backend.ErrFault) {
		c.abandon(r)
		return
	}
	for _, q := range c.rows {
		c.end(q, r)
		q.ended = true
	}
	c.running = slices.DeleteFunc(c.running, func(q *seq) bool { return q.ended })
}
