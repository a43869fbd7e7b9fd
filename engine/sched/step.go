package sched

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// step computes what plan decided, or waits for what was launched ahead of its time, and hands the tokens
// out. Where it can, it launches the step after this one first. After an error nothing was
// handed out and nothing is in flight; the caller must call fail with it.
func (c *core) step() error {
	f, err := c.begin()
	if err == nil {
		if next := c.ahead(f); next != nil {
			c.lap(&c.phases.Plan)
			err = c.launch(next)
			c.lap(&c.phases.Launch)
		}
	}
	if err == nil {
		err = c.collect(f)
	}
	if err != nil {
		c.drain()
		c.lap(&c.phases.Collect)
		return err
	}
	if c.hooks.Stepped != nil {
		c.hooks.Stepped(c.now().Sub(c.handed))
	}
	c.handed = c.lap(&c.phases.Collect)
	c.deliver(f, c.handed)
	c.lap(&c.phases.Deliver)
	return nil
}

// begin gives the oldest step in flight, or launches the one that was planned. Its sequences are then
// c.rows.
func (c *core) begin() (*flight, error) {
	if len(c.flying) > 0 {
		f := c.flying[0]
		c.rows = append(c.rows[:0], f.rows...)
		return f, nil
	}
	launched := c.lap(&c.phases.Plan)
	f := &c.flights[0]
	f.reset()
	for i, q := range c.rows {
		if q.result.PrefillStart.IsZero() {
			q.result.PrefillStart = launched
		}
		f.batch.Rows, f.rows = append(f.batch.Rows, q.row(c.chunks[i].Tokens, f.slot)), append(f.rows, q)
	}
	err := c.launch(f)
	c.lap(&c.phases.Launch)
	return f, err
}

// collect waits for the oldest step in flight.
func (c *core) collect(f *flight) error {
	c.flying = slices.Delete(c.flying, 0, 1)
	b := &f.batch
	err := c.back.Collect(b)
	if err == nil && len(b.Out) != len(b.Rows) {
		err = fmt.Errorf("%d outputs for %d rows", len(b.Out), len(b.Rows))
	}
	for i := range b.Rows {
		if n := b.Rows[i].Draft; err == nil && n > 0 && len(b.Out[i].Drawn) != n+1 {
			err = fmt.Errorf("%d tokens drawn in a row with %d drafts", len(b.Out[i].Drawn), n)
		}
	}
	if err != nil {
		return fmt.Errorf("step of %d rows: %w", len(f.rows), err)
	}
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

// deliver hands the step's outputs to their jobs, in the order of its rows. Who ended since it was
// launched gets nothing any more.
func (c *core) deliver(f *flight, at time.Time) {
	var prompt, again, output, drafted, vain uint64
	for i, q := range f.rows {
		row := &f.batch.Rows[i]
		if q.ended {
			vain++
			continue
		}
		n := min(fed(row), q.pending())
		q.cancelled = q.ctx.Err() != nil // asked once, so that counts and sinks agree
		end, fresh := q.computed+n, max(q.computed, q.reached)
		prompt += uint64(max(min(end, len(q.Prompt))-fresh, 0))
		again += uint64(min(fresh, end) - q.computed)
		drafted += uint64(row.Draft)
		if row.Sample != nil && !q.cancelled {
			output++ // the others that a row with drafts may have are counted one by one
		}
	}
	// Counted before anybody is told, so that who has seen a job's end finds it in the counts.
	c.meter.change(func(k *Counters) {
		k.Steps++
		k.VainTokens += vain
		if len(c.flying) > 0 {
			k.Ahead++
		}
		k.PromptTokens += prompt
		k.RecomputedTokens += again
		k.OutputTokens += output
		k.DraftedTokens += drafted
		k.Phases = c.phases
	})
	for i, q := range f.rows {
		if !q.ended {
			c.take(q, &f.batch.Rows[i], &f.batch.Out[i], at)
		}
	}
	c.running = slices.DeleteFunc(c.running, func(q *seq) bool { return q.ended })
}

// take gives one row's output to its job, and says whether the job ended. A job cancelled during
// the step gets no token any more; sweep ends it.
func (c *core) take(q *seq, row *backend.Row, out *backend.RowOut, at time.Time) bool {
	q.advance(fed(row) - row.Draft)
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
	if row.TopLogProbs > 0 {
		q.LogProbs(out.TokenLogProb, out.Top)
	}
	if row.Draft == 0 {
		return c.hand(q, out.Token, *row.Sample, at)
	}
	return c.verify(q, row, out, at)
}

// verify hands out the tokens drawn in a row with guesses, up to the first wrong one.
func (c *core) verify(q *seq, row *backend.Row, out *backend.RowOut, at time.Time) bool {
	guesses := row.Tokens[len(row.Tokens)-row.Draft:]
	q.result.Drafted += row.Draft
	draw := *row.Sample
	for i, id := range out.Drawn {
		guess := int32(-1)
		if i < row.Draft {
			guess = guesses[i] // the token handed out takes its place
		}
		if c.hand(q, id, draw, at) {
			return true
		}
		if q.tokens[len(q.tokens)-1] != guess || q.ctx.Err() != nil {
			q.learn(row.Draft, i, c.mostDrafts)
			break
		}
		draw.Position++
		q.advance(1)
		q.result.Accepted++
		c.meter.change(func(k *Counters) { k.OutputTokens++; k.AcceptedTokens++ })
	}
	return false
}

// hand gives a drawn token to its job, and says whether the job ended with it.
func (c *core) hand(q *seq, id int32, s backend.Sampling, at time.Time) bool {
	if c.hooks.Token != nil {
		id = c.hooks.Token(id, s)
	}
	q.tokens = append(q.tokens, id)
	q.Editor.Drew(id)
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
		if !q.ended {
			c.end(q, r)
		}
	}
	c.running = slices.DeleteFunc(c.running, func(q *seq) bool { return q.ended })
}
