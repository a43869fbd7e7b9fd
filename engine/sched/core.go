package sched

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
)

// core is the loop without its goroutine: who drives it calls its methods one at a time.
type core struct {
	back   backend.Backend
	pool   *kv.Pool
	limits Limits
	hooks  Hooks

	mostDrafts int // guesses a row

	now   func() time.Time
	meter *meter

	waiting queue
	running []*seq // by rank
	starts  uint64 // so far

	chunks   []Chunk // of the step planned last
	rows     []*seq  // of each chunk, and then those of the step under way
	flights  [2]flight
	flying   []*flight // launched and not collected, the oldest first
	inFlight int       // how many the backend takes
	mark     time.Time // when the loop's present phase began
	phases   Phases    // not yet in meter
	handed   time.Time // when the step before was handed out, or the loop woke up

	state State // its memory is used again
}

func newCore(b backend.Backend, o Options) *core {
	info := b.Info()
	c := &core{back: b, hooks: o.Hooks, now: o.Now, meter: &meter{}, waiting: newQueue()}
	if c.now == nil {
		c.now = time.Now
	}
	pages := b.Pages().Count()
	cached := pages
	switch {
	case o.CachedPages > 0:
		cached = o.CachedPages
	case o.CachedPages < 0:
		cached = 0
	}
	c.pool = kv.NewPool(pages, cached)
	rows := min(info.MaxRows, info.MaxTokens)
	if o.MaxRows > 0 {
		rows = min(rows, o.MaxRows)
	}
	mixed := o.MixedTokens
	if mixed <= 0 {
		mixed = 128
	}
	c.limits = Limits{MaxRows: rows, MaxTokens: info.MaxTokens, MixedTokens: min(mixed, info.MaxTokens)}
	c.mostDrafts = min(max(o.Speculate, 0), info.MaxDraft)
	c.inFlight, c.flights[1].slot = info.MaxInFlight, 1
	c.mark = c.now()
	c.handed = c.mark
	return c
}

// rank orders running sequences: the last one gives way first.
func rank(a, b *seq) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.start, b.start))
}

// submit queues new sequences.
func (c *core) submit(seqs []*seq) {
	for _, s := range seqs {
		if !c.cancelled(s) {
			c.waiting.push(s)
		}
	}
}

// sweep ends cancelled sequences: those that run, and where all is set those that wait.
func (c *core) sweep(all bool) {
	if all {
		c.waiting.remove(c.cancelled)
	}
	c.running = slices.DeleteFunc(c.running, c.cancelled)
}

// cancelled ends a sequence whose context has ended.
func (c *core) cancelled(s *seq) bool {
	if s.ctx.Err() == nil {
		return false
	}
	c.end(s, Result{Reason: ReasonCancel, Err: context.Cause(s.ctx), End: c.now()})
	return true
}

// abandon ends everything.
func (c *core) abandon(r Result) {
	r.End = c.now()
	for _, s := range slices.Concat(c.running, c.waiting.seqs) {
		c.end(s, r)
	}
	c.running, c.waiting = nil, newQueue()
}

// plan asks Decide until there is a step, preempts and admits whom it says, and gives every row its
// pages. It is false when nothing can run. Where a step is in flight already, that one comes first.
func (c *core) plan() bool {
	if len(c.flying) > 0 {
		return true
	}
	d := c.decide()
	for d.Preempt {
		c.preempt()
		d = c.decide()
	}
	c.chunks, c.rows = d.Chunks, c.rows[:0]
	c.admit(d.Admit)
	for _, s := range c.running {
		c.growTo(s, len(s.tokens))
	}
	for _, s := range c.running[len(c.running)-d.Admit:] { // now that no page is taken any more
		c.cached(s.copy(c.back.Pages()))
	}
	for i, k := range d.Chunks {
		s := c.running[k.Seq]
		if k.Seq >= len(c.running)-d.Admit { // less is left of who found a part of a page
			d.Chunks[i].Tokens = min(k.Tokens, s.pending())
		}
		c.rows = append(c.rows, s)
	}
	if d.Admit > 0 {
		slices.SortFunc(c.running, rank)
	}
	if len(d.Chunks) == 0 { // an idle loop keeps nothing of the jobs that it had
		clear(c.rows[:cap(c.rows)])
		for i := range c.flights {
			c.flights[i].forget()
		}
		return false
	}
	return true
}

// decide asks Decide.
func (c *core) decide() Decision {
	for _, q := range c.running {
		c.cached(q.adopt())
	}
	s := State{
		Running: c.state.Running[:0], Waiting: c.state.Waiting[:0],
		Limits: c.limits, FreePages: c.pool.Available(),
	}
	first := c.waiting.first()
	for _, q := range c.running {
		have, need := len(q.table.Pages()), kv.PagesFor(len(q.tokens))
		r := Running{
			Priority: q.Priority, Pending: q.chunk(q.pending()), Decode: q.decodes(), Draft: q.draft(c.mostDrafts),
			Lacks: max(need-have, 0), Grows: kv.PagesFor(q.positions) > need,
		}
		if first != nil && first.Priority > q.Priority {
			r.Gives = q.table.Gives()
		}
		s.Running = append(s.Running, r)
	}
	// Those behind one that can't start aren't looked at: Decide lets nobody past.
	places, free := max(s.Limits.MaxRows-len(s.Running), 1), s.FreePages
	for i := 0; i < min(places, len(c.waiting.seqs)) && free >= 0; i++ {
		w := c.candidate(c.waiting.seqs[i])
		free -= w.Pages
		s.Waiting = append(s.Waiting, w)
	}
	c.state = s // keeps the memory
	return Decide(s, c.chunks)
}

// candidate is a waiting sequence as Decide sees it.
func (c *core) candidate(q *seq) Waiting {
	w := Waiting{Priority: q.Priority, Tokens: len(q.tokens), Pages: kv.PagesFor(len(q.tokens))}
	w.Grows = kv.PagesFor(q.positions) > w.Pages
	if q.shares() {
		found, held := c.pool.Cached(q.tokens[:len(q.tokens)-1])
		w.Pages -= held
		w.Tokens -= found * backend.PageTokens
	}
	w.Tokens = q.chunk(w.Tokens)
	return w
}

// preempt makes the last of the running sequences wait again.
func (c *core) preempt() {
	last := len(c.running) - 1
	s := c.running[last]
	if first := c.waiting.first(); last == 0 && (first == nil || first.Priority <= s.Priority) {
		panic("sched: a sequence alone lacks pages") // Submit has made sure that it fits
	}
	c.running[last] = nil
	c.running = c.running[:last]
	s.yield(c.now())
	c.waiting.pushBack(s)
	c.meter.change(func(k *Counters) { k.Preemptions++; k.Running--; k.Waiting++ })
}

// admit starts the first n of those that wait.
func (c *core) admit(n int) {
	if n == 0 {
		return
	}
	at := c.now()
	for _, s := range c.waiting.seqs[:n] {
		c.cached(s.begin(c.pool, at))
		c.starts++
		s.start = c.starts
		c.running = append(c.running, s)
	}
	c.waiting.started(n)
	c.meter.change(func(k *Counters) { k.Running += n; k.Waiting -= n })
}

// cached counts prompt tokens that needn't be computed.
func (c *core) cached(tokens int) {
	if tokens > 0 {
		c.meter.change(func(k *Counters) { k.CachedTokens += uint64(tokens) })
	}
}

// growTo gives a sequence the pages of so many positions, which were counted.
func (c *core) growTo(s *seq, positions int) {
	if err := s.table.Grow(positions); err != nil {
		panic(fmt.Sprintf("sched: %v", err))
	}
}

// end gives a job's pages back and tells its sink. r has the reason; the job's own
// counts and instants are filled in.
func (c *core) end(s *seq, r Result) {
	if s.unwatch != nil {
		s.unwatch()
	}
	o := s.result
	o.Reason, o.Err, o.End, o.Logits = r.Reason, r.Err, r.End, r.Logits
	o.OutputTokens = len(s.tokens) - len(s.Prompt)
	running := s.table != nil
	if running {
		s.table.Free()
	} else {
		o.Waited += r.End.Sub(s.idle)
	}
	c.meter.change(func(k *Counters) {
		if running {
			k.Running--
		} else {
			k.Waiting--
		}
		if r.Reason == ReasonCancel {
			k.Cancelled++
		}
	})
	s.ended = true
	s.Sink.Done(o)
}
