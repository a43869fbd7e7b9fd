//go:build native

package cpu

/*
#include "step.h"
*/
import "C"

import (
	"errors"
	"slices"
	"unsafe"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/sample"
)

// Collect draws the tokens of a launched batch and hands out what was asked for.
func (e *engine) Collect(b *backend.Batch) error {
	if e.active == nil || e.active != b {
		return errors.New("collect from the cpu backend: the batch isn't the one in flight")
	}
	e.active, b.Ticket = nil, nil
	b.Out = slices.Grow(b.Out[:0], len(b.Rows))[:len(b.Rows)]
	e.logits, e.logProb, e.top, e.drawn = e.logits[:0], e.logProb[:0], e.top[:0], e.drawn[:0]
	scores := unsafe.Slice((*float32)(unsafe.Pointer(e.lists.score)), maxTokens)
	head, scored := 0, 0
	for i := range b.Rows {
		r, out := &b.Rows[i], &b.Out[i]
		*out = backend.RowOut{Token: -1}
		if n := admit.Draws(r); n > 0 {
			e.draw(r, out, head)
			head += n
		}
		if r.WantAllLogProbs {
			n := len(r.Tokens) - 1
			e.logProb = append(e.logProb, scores[scored:scored+n]...)
			out.LogProbs = e.logProb[len(e.logProb)-n : len(e.logProb) : len(e.logProb)]
			scored += n
		}
	}
	return nil
}

// draw takes what a row asked for from its logits, whose first are the batch's so-and-so-manyth.
func (e *engine) draw(r *backend.Row, out *backend.RowOut, head int) {
	from := len(e.drawn)
	for i := range 1 + r.Draft {
		row := e.logitsOf(head + i)
		if r.Sample != nil {
			s := *r.Sample
			s.Position += uint64(i)
			out.Token = e.sampler.Token(row, s)
			e.drawn = append(e.drawn, out.Token)
		}
		if i < r.Draft {
			continue
		}
		if r.TopLogProbs > 0 {
			from := len(e.top)
			e.top, out.TokenLogProb = sample.Top(e.top, row, out.Token, r.TopLogProbs)
			out.Top = e.top[from:len(e.top):len(e.top)]
		}
		if r.WantLogits {
			// A copy: the memory of the kernels ends with Close.
			e.logits = append(e.logits, row...)
			out.Logits = e.logits[len(e.logits)-len(row) : len(e.logits) : len(e.logits)]
		}
	}
	if r.Draft > 0 {
		out.Drawn = e.drawn[from:len(e.drawn):len(e.drawn)]
	}
}

// logitsOf is a row of logits of the batch, asked for in rising order. There is room for maxRows of
// them; where drafts make more, the next ones are computed when they are asked for.
func (e *engine) logitsOf(head int) []float32 {
	if head > 0 && head%maxRows == 0 {
		C.pl_heads(e.model, e.batch, C.int32_t(head))
	}
	stride := dimsOf(e.config).vocab
	all := unsafe.Slice((*float32)(unsafe.Pointer(e.model.logits)), maxRows*stride)
	return all[head%maxRows*stride:][:e.config.VocabSize]
}
