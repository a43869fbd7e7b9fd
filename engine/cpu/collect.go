//go:build native

package cpu

/*
#include "step.h"
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// Collect draws the tokens of a launched batch and hands out what was asked for.
func (e *engine) Collect(b *backend.Batch) error {
	if e.active == nil || e.active != b {
		return errors.New("collect from the cpu backend: the batch isn't the one in flight")
	}
	e.active, b.Ticket = nil, nil
	var (
		vocab  = e.config.VocabSize
		stride = dimsOf(e.config).vocab
		all    = unsafe.Slice((*float32)(unsafe.Pointer(e.model.logits)), maxRows*stride)
		scores = unsafe.Slice((*float32)(unsafe.Pointer(e.lists.score)), maxTokens)
	)
	b.Out = append(b.Out[:0], make([]backend.RowOut, len(b.Rows))...)
	e.logits, e.logProb, e.top = e.logits[:0], e.logProb[:0], e.top[:0]
	heads, scored := 0, 0
	for i := range b.Rows {
		r, out := &b.Rows[i], &b.Out[i]
		out.Token = -1
		if r.Sample != nil || r.WantLogits {
			row := all[heads*stride:][:vocab]
			heads++
			if r.Sample != nil {
				out.Token = e.sampler.Token(row, *r.Sample)
				if r.TopLogProbs > 0 {
					from := len(e.top)
					e.top, out.TokenLogProb = sample.Top(e.top, row, out.Token, r.TopLogProbs)
					out.Top = e.top[from:len(e.top):len(e.top)]
				}
			}
			if r.WantLogits {
				// A copy: the memory of the kernels ends with Close.
				e.logits = append(e.logits, row...)
				out.Logits = e.logits[len(e.logits)-vocab : len(e.logits) : len(e.logits)]
			}
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
