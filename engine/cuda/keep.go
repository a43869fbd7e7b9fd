//go:build native

package cuda

import (
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/sample"
)

// keptRow is the logits after one head, on the host.
type keptRow struct {
	head   int
	logits []float32
}

// results are what Collect hands out; they hold until the next one.
type results struct {
	logProbs []float32
	drawn    []int32
	top      []backend.Likely
}

// keep brings logits of the heads from from on to the host, as the model gave them: before the second pass
// edits them. It waits for them.
func (e *engine) keep(fl *flight, from, most int) error {
	wanted := e.wanted(fl)
	for at := from; at < from+most; at += stagedRows {
		n := min(stagedRows, from+most-at)
		any := false
		for h := at; h < at+n; h++ {
			any = any || wanted(h)
		}
		if !any {
			continue
		}
		width := int64(e.shape.Vocab) * 4
		src := e.at(e.act.logits) + uint64(int64(at%keptRows)*width)
		if err := e.ctx.DtoHAsync(e.staged.Bytes[:int64(n)*width], driver.Ptr(src), e.stream); err != nil {
			return err
		}
		if err := e.stream.Sync(); err != nil {
			return err
		}
		all := floats(e.staged.Bytes)
		for h := at; h < at+n; h++ {
			if wanted(h) {
				e.consume(fl, h, all[(h-at)*e.shape.Vocab:][:e.shape.Vocab])
			}
		}
	}
	return nil
}

// wanted says whose logits the host wants.
func (e *engine) wanted(fl *flight) func(head int) bool {
	set := map[int]bool{}
	for _, s := range fl.scores {
		set[s.head] = true
	}
	for i := range fl.batch.Rows {
		if r := &fl.batch.Rows[i]; r.WantLogits || r.TopLogProbs > 0 {
			set[fl.heads[i]] = true
		}
	}
	return func(head int) bool { return set[head] }
}

// consume takes from a row of logits what the host wants of it.
func (e *engine) consume(fl *flight, head int, logits []float32) {
	for i := range fl.scores {
		if s := &fl.scores[i]; s.head == head {
			s.logProb = float32(sample.LogProb(logits, s.id))
			return
		}
	}
	fl.kept = append(fl.kept, keptRow{head, append([]float32(nil), logits...)})
}

// of gives the kept logits of a head.
func (fl *flight) of(head int) []float32 {
	for _, k := range fl.kept {
		if k.head == head {
			return k.logits
		}
	}
	return nil
}
