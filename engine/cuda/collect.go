//go:build native

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/sample"
)

// spinFor is how long Collect looks at memory before it asks the driver to wait: a step of decoding takes less,
// a long prefill need not keep a core busy.
const spinFor = 2 * time.Millisecond

// Collect waits for the oldest batch in flight and hands out what was asked for.
func (e *engine) Collect(b *backend.Batch) error {
	if len(e.flights) == 0 || e.flights[0].batch != b {
		return errors.New("collect from the cuda backend: the batch isn't the oldest in flight")
	}
	fl := e.flights[0]
	e.flights = slices.Delete(e.flights, 0, 1)
	b.Ticket = nil
	if err := e.wait(fl); err != nil {
		e.flights = e.flights[:0]
		return e.broken("collect from the cuda backend", err)
	}
	e.handOut(fl)
	return nil
}

// wait returns when the step's tokens are there.
func (e *engine) wait(fl *flight) error {
	out := e.out[fl.number&1]
	for started, i := time.Now(), 0; !out.has(fl.number); i++ {
		if i%64 != 63 {
			continue
		}
		if time.Since(started) < spinFor {
			runtime.Gosched()
			continue
		}
		release, err := e.enter()
		if err != nil {
			return err
		}
		err = e.done[fl.number&1].Sync()
		release()
		if err != nil {
			return err
		}
		if !out.has(fl.number) {
			return fmt.Errorf("%w: the device ended step %d and handed back step %d", backend.ErrFault, fl.number, *out.number)
		}
	}
	return nil
}

// handOut fills the batch's outputs.
func (e *engine) handOut(fl *flight) {
	b, r := fl.batch, &e.results
	b.Out = slices.Grow(b.Out[:0], len(b.Rows))[:len(b.Rows)]
	r.logProbs, r.drawn, r.top = r.logProbs[:0], r.drawn[:0], r.top[:0]
	r.drawn = append(r.drawn, e.out[fl.number&1].tokens[:fl.drawn]...)
	scored := fl.scores
	for i := range b.Rows {
		row, out := &b.Rows[i], &b.Out[i]
		*out = backend.RowOut{Token: -1}
		head := fl.heads[i]
		if row.Sample != nil {
			out.Token = r.drawn[head]
			if row.Draft > 0 {
				out.Drawn = slices.Clip(r.drawn[head+1-admit.Draws(row) : head+1])
			}
		}
		if row.TopLogProbs > 0 {
			from := len(r.top)
			r.top, out.TokenLogProb = sample.Top(r.top, fl.of(head), out.Token, row.TopLogProbs)
			out.Top = slices.Clip(r.top[from:])
		}
		if row.WantLogits {
			out.Logits = fl.of(head)
		}
		if row.WantAllLogProbs {
			from := len(r.logProbs)
			for range len(row.Tokens) - 1 {
				r.logProbs = append(r.logProbs, scored[0].logProb)
				scored = scored[1:]
			}
			out.LogProbs = slices.Clip(r.logProbs[from:])
		}
	}
}
