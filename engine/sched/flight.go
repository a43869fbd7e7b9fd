package sched

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/kv"
)

// flight is a step that is launched, or about to be.
type flight struct {
	batch backend.Batch
	rows  []*seq           // of each row
	pages []backend.PageID // of rows that were launched ahead: their tables may change before the step is collected
	slot  int              // 0 or 1: whose memory is used
}

// reset makes an empty step of a flight's memory.
func (f *flight) reset() {
	f.batch.Rows, f.batch.Out, f.rows, f.pages = f.batch.Rows[:0], f.batch.Out[:0], f.rows[:0], f.pages[:0]
}

// forget lets go of what the flight's memory points to.
func (f *flight) forget() {
	clear(f.rows[:cap(f.rows)])
	clear(f.batch.Rows[:cap(f.batch.Rows)])
	f.reset()
}

// fed is how many tokens a row computes.
func fed(r *backend.Row) int {
	if r.Chained {
		return 1
	}
	return len(r.Tokens)
}

// launch sends a step off.
func (c *core) launch(f *flight) error {
	if err := c.back.Launch(&f.batch); err != nil {
		return fmt.Errorf("step of %d rows: %w", len(f.rows), err)
	}
	c.flying = append(c.flying, f)
	return nil
}

// drain waits for what is in flight and throws it away.
func (c *core) drain() {
	for _, f := range c.flying {
		_ = c.back.Collect(&f.batch) // nobody wants to know any more
	}
	c.flying = c.flying[:0]
}

// ahead makes the step after f before anybody knows what f draws, so that a device needn't wait for
// the host between the two: each row feeds the token that f draws for it. It is nil where there is
// something to decide first, or the backend takes one step at a time.
//
// A job that ends with f's token, because its sink says so or its context ends, has a row in vain, which
// deliver passes over. Its pages may be given to others meanwhile: they write to them in later steps
// only.
func (c *core) ahead(f *flight) *flight {
	if c.inFlight < 2 || c.mostDrafts > 0 || c.hooks.Token != nil || !c.goesOn(f) {
		return nil
	}
	next := &c.flights[1-f.slot]
	next.reset()
	for i, q := range f.rows {
		if q.ended || q.lastDraw() {
			continue
		}
		c.growTo(q, len(q.tokens)+1)
		from := len(next.pages)
		next.pages = append(next.pages, q.table.Pages()...)
		next.batch.Rows = append(next.batch.Rows, q.chained(i, next.slot, next.pages[from:]))
		next.rows = append(next.rows, q)
	}
	return next
}

// goesOn says that the step after f has a row for each job of f that doesn't end with it, one token each,
// and no other: nobody else could start, and there are pages enough.
func (c *core) goesOn(f *flight) bool {
	live, ending, lacks := 0, 0, 0
	for i, q := range f.rows {
		if q.ended {
			continue
		}
		live++
		if !q.knowsNext(&f.batch.Rows[i]) {
			return false
		}
		if q.lastDraw() {
			ending++
			continue
		}
		lacks += kv.PagesFor(len(q.tokens)+1) - len(q.table.Pages())
	}
	if live != len(c.running) || live == ending || lacks > c.pool.Available() {
		return false
	}
	first := c.waiting.first()
	return first == nil || ending == 0 && live >= c.limits.MaxRows && first.Priority <= c.running[live-1].Priority
}

// knowsNext says that what follows the row is one token, drawn by the device alone.
func (s *seq) knowsNext(r *backend.Row) bool {
	return r.Sample != nil && r.Draft == 0 && r.TopLogProbs == 0 && s.Editor == nil && !s.NoKV && s.ctx.Err() == nil
}

// lastDraw says that the token that is drawn next ends the job.
func (s *seq) lastDraw() bool { return len(s.tokens)+1-len(s.Prompt) == s.MaxTokens }

// chained is the row that follows row i of the step in flight: it feeds the token that this draws.
func (s *seq) chained(i, slot int, pages []backend.PageID) backend.Row {
	draw := &s.sampling[slot]
	draw.Position = uint64(len(s.tokens) + 1)
	return backend.Row{Chained: true, ChainRow: i, Start: len(s.tokens), Pages: pages, Sample: draw}
}
