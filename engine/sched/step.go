package sched

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
	"github.com/paceline/paceline/engine/sample"
)

// decide asks Decide, and admits whom it says.
func (l *Loop) decide() Decision {
	s := State{
		Running: l.state.Running[:0], Waiting: l.state.Waiting[:0],
		Limits: l.limits, FreePages: l.pool.Available(),
	}
	for _, q := range l.running {
		s.Running = append(s.Running, Running{Pending: len(q.tokens) - q.computed, Decode: q.decodes()})
	}
	for _, q := range l.waiting {
		s.Waiting = append(s.Waiting, Waiting{Pages: kv.PagesFor(q.positions), Tokens: len(q.tokens)})
	}
	l.state = s // keeps the memory
	d := Decide(s)
	for _, q := range l.waiting[:d.Admit] {
		table, err := l.pool.NewTable(q.positions)
		if err != nil { // Decide counted the same pages
			panic(fmt.Sprintf("sched: %v", err))
		}
		q.table = table
		l.running = append(l.running, q)
	}
	l.waiting = slices.Delete(l.waiting, 0, d.Admit)
	return d
}

// step computes one decision and hands its tokens out. mark is when the step before was handed
// out; the answer is when this one was.
func (l *Loop) step(d Decision, mark time.Time) time.Time {
	launched := time.Now()
	l.batch.Rows = l.batch.Rows[:0]
	for _, c := range d.Chunks {
		q := l.running[c.Seq]
		if err := q.table.Grow(q.computed + c.Tokens); err != nil { // was promised
			panic(fmt.Sprintf("sched: %v", err))
		}
		if q.result.PrefillStart.IsZero() {
			q.result.PrefillStart = launched
		}
		l.batch.Rows = append(l.batch.Rows, q.row(c.Tokens))
	}
	l.batch.Out = nil
	err := l.back.Launch(&l.batch)
	if err == nil {
		err = l.back.Collect(&l.batch)
	}
	if err == nil && len(l.batch.Out) != len(l.batch.Rows) {
		err = fmt.Errorf("%d outputs for %d rows", len(l.batch.Out), len(l.batch.Rows))
	}
	if err != nil {
		l.fail(d, err)
		return time.Now()
	}
	if l.hooks.Stepped != nil {
		l.hooks.Stepped(time.Since(mark))
	}
	mark = time.Now()
	l.deliver(d, mark)
	return mark
}

// deliver hands the step's outputs to their jobs, in the order of its rows.
func (l *Loop) deliver(d Decision, at time.Time) {
	var prompt, output uint64
	for i, c := range d.Chunks {
		q := l.running[c.Seq]
		q.cancelled = q.ctx.Err() != nil // asked once, so that counts and sinks agree
		if !q.decodes() {
			prompt += uint64(c.Tokens)
		}
		if l.batch.Rows[i].Sample != nil && !q.cancelled {
			output++
		}
	}
	// Counted before anybody is told, so that who has seen a job's end finds it in the counts.
	l.mu.Lock()
	l.counters.Steps++
	l.counters.PromptTokens += prompt
	l.counters.OutputTokens += output
	l.mu.Unlock()
	for i, c := range d.Chunks {
		q := l.running[c.Seq]
		q.ended = l.take(q, &l.batch.Rows[i], &l.batch.Out[i], at)
	}
	l.running = slices.DeleteFunc(l.running, func(q *seq) bool { return q.ended })
}

// take gives one row's output to its job, and says whether the job ended. A job cancelled during
// the step gets no token any more; receive ends it.
func (l *Loop) take(q *seq, row *backend.Row, out *backend.RowOut, at time.Time) bool {
	q.computed += len(row.Tokens)
	if q.scores() {
		return l.score(q, row, out, at)
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
	if l.hooks.Token != nil {
		id = l.hooks.Token(id, *row.Sample)
	}
	q.tokens = append(q.tokens, id)
	q.Editor.Drew(id)
	if row.TopLogProbs > 0 {
		q.LogProbs(out.TokenLogProb, out.Top)
	}
	last := len(q.tokens)-len(q.Prompt) == q.MaxTokens
	switch {
	case q.Sink.Token(id, at, last):
		l.end(q, Result{Reason: ReasonStop, End: at})
	case last:
		l.end(q, Result{Reason: ReasonLength, End: at})
	default:
		return false
	}
	return true
}

// score adds a chunk's log-probabilities up; the last chunk ends the job.
func (l *Loop) score(q *seq, row *backend.Row, out *backend.RowOut, at time.Time) bool {
	for _, p := range out.LogProbs {
		q.result.SumLogProb += float64(p)
	}
	if q.computed < len(q.tokens) {
		q.result.SumLogProb += sample.LogProb(out.Logits, q.tokens[q.computed])
		return false
	}
	q.result.PrefillEnd = at
	l.end(q, Result{Reason: ReasonScored, Logits: slices.Clone(out.Logits), End: at})
	return true
}

// fail ends the jobs of a step that the backend refused or broke in. Others go on, unless the
// backend can't be used any more.
func (l *Loop) fail(d Decision, err error) {
	err = fmt.Errorf("step of %d rows: %w", len(d.Chunks), err)
	broken := errors.Is(err, backend.ErrFault)
	hit := map[*seq]bool{}
	for _, c := range d.Chunks {
		hit[l.running[c.Seq]] = true
	}
	l.mu.Lock()
	l.counters.Steps++
	if broken {
		l.fault = err
		l.waiting = append(l.waiting, l.inbox...)
		l.inbox = nil
	}
	l.mu.Unlock()
	drop := func(q *seq) bool {
		if !broken && !hit[q] {
			return false
		}
		l.end(q, Result{Reason: ReasonError, Err: err, End: time.Now()})
		return true
	}
	l.running = slices.DeleteFunc(l.running, drop)
	l.waiting = slices.DeleteFunc(l.waiting, drop)
}
