//go:build native

package cpu

/*
#include "step.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
)

// soloWork is the multiplications up to which a step runs on one thread: waking
// and waiting for the others would take as long as they save.
const soloWork = 1 << 24

// Launch computes the step. It returns when the numbers are there; Collect draws
// the tokens. At most one batch is in flight, so chained rows are refused.
func (e *engine) Launch(b *backend.Batch) error {
	if err := e.check(b); err != nil {
		return fmt.Errorf("launch on the cpu backend: %w", err)
	}
	e.fill(b)
	C.pl_step(e.model, e.batch)
	b.Ticket = e
	e.active = b
	return nil
}

// check reports the first thing in a batch that can't be computed.
func (e *engine) check(b *backend.Batch) error {
	switch {
	case e.closed:
		return errors.New("the backend is closed")
	case e.active != nil:
		return errors.New("a batch is launched and not collected; collect it first")
	}
	return e.door.Check(b, nil)
}

// fill writes the batch in C's words.
func (e *engine) fill(b *backend.Batch) {
	var (
		c         = e.config
		l         = &e.lists
		ids       = unsafe.Slice(l.ids, maxTokens)
		positions = unsafe.Slice(l.positions, maxTokens)
		slots     = unsafe.Slice(l.slots, maxTokens)
		pageIDs   = unsafe.Slice(l.pages, maxRows*admit.PagesFor(e.options.MaxContext))
		head      = unsafe.Slice(l.head, maxTokens)
		scoreAt   = unsafe.Slice(l.scoreAt, maxTokens)
		scoreOf   = unsafe.Slice(l.scoreOf, maxTokens)

		tokens, pages, heads, scored int
	)
	starts := append(e.starts[:0], make([]rowStart, len(b.Rows))...)
	e.starts = starts
	for i := range b.Rows {
		r := &b.Rows[i]
		n := len(r.Tokens)
		starts[i] = rowStart{token: tokens, pages: pages, tokens: n, position: r.Start}
		for j, id := range r.Tokens {
			p := r.Start + j
			ids[tokens+j] = C.int32_t(id)
			positions[tokens+j] = C.int32_t(p)
			slots[tokens+j] = C.int32_t(int(r.Pages[p/backend.PageTokens])*backend.PageTokens + p%backend.PageTokens)
		}
		if r.WantAllLogProbs {
			for j, id := range r.Tokens[1:] {
				scoreAt[scored], scoreOf[scored] = C.int32_t(tokens+j), C.int32_t(id)
				scored++
			}
		}
		for _, p := range r.Pages[:admit.PagesFor(r.Start+n)] {
			pageIDs[pages] = C.int32_t(p)
			pages++
		}
		tokens += n
		for at := tokens - admit.Draws(r); at < tokens; at++ {
			head[heads] = C.int32_t(at)
			heads++
		}
	}
	units := unsafe.Slice(l.unit, maxTokens*c.Heads)
	*e.batch = C.pl_batch{
		tokens: C.int32_t(tokens), ids: l.ids, positions: l.positions, slots: l.slots, pages: l.pages,
		units: C.int32_t(cutUnits(units, starts, c.Heads, c.KVHeads, e.options.Threads)), unit: l.unit,
		heads: C.int32_t(heads), head: l.head,
		scored: C.int32_t(scored), score_at: l.scoreAt, score_of: l.scoreOf, score: l.score,
	}
	if e.options.Threads > 1 && e.work(tokens, heads+scored) > e.solo {
		e.batch.all = 1
	}
}

// work is the multiplications of matrix products in a step.
func (e *engine) work(tokens, heads int) int {
	c := e.config
	layer := c.HiddenSize * (c.HeadDim*(2*c.Heads+2*c.KVHeads) + 3*c.IntermediateSize)
	return tokens*c.Layers*layer + heads*c.HiddenSize*c.VocabSize
}

// rowStart is where a row's tokens and pages lie in a batch.
type rowStart struct{ token, pages, tokens, position int }

// cutUnits divides attention into units, dear ones first: some tokens of one row
// by the query heads of one KV head, or by a part of them where there would be
// fewer units than threads. It returns their number.
func cutUnits(units []C.pl_unit, rows []rowStart, heads, kvHeads, threads int) int {
	group := heads / kvHeads
	per := min(group, C.PL_ATT_ROWS)
	whole := 0
	for _, r := range rows {
		whole += kvHeads * ((r.tokens + C.PL_ATT_ROWS/per - 1) / (C.PL_ATT_ROWS / per))
	}
	if whole < threads {
		parts := (threads + whole - 1) / whole
		per = max(1, (per+parts-1)/parts)
	}
	n, step := 0, C.PL_ATT_ROWS/per
	for _, r := range rows {
		for at := (r.tokens - 1) / step * step; at >= 0; at -= step {
			for kv := range kvHeads {
				for g := 0; g < group; g += per {
					units[n] = C.pl_unit{
						pages: C.int32_t(r.pages), token: C.int32_t(r.token + at), n: C.int32_t(min(step, r.tokens-at)),
						start: C.int32_t(r.position + at), kv_head: C.int32_t(kv),
						head: C.int32_t(kv*group + g), heads: C.int32_t(min(per, group-g)),
					}
					n++
				}
			}
		}
	}
	return n
}
