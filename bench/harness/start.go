package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
)

// part is what is measured on one start: the subject, or a variant of it.
type part struct {
	variant string // empty: the subject itself
	cells   []int  // of the order
}

// parts groups an order's cells by what is started for them: first the subject, then
// its variants, one after the other so that no two of them hold memory at a time.
func parts(o Order) []part {
	var out []part
	for i, c := range o.Cells {
		k := slices.IndexFunc(out, func(p part) bool { return p.variant == c.Variant })
		if k < 0 {
			k = len(out)
			out = append(out, part{variant: c.Variant})
		}
		out[k].cells = append(out[k].cells, i)
	}
	slices.SortStableFunc(out, func(a, b part) int { return cmp.Compare(min(len(a.variant), 1), min(len(b.variant), 1)) })
	return out
}

// start opens what a part measures, measures it and closes it.
func (r *round) start(ctx context.Context, p part, out *result.Round) error {
	r.progress.phase("starting")
	o := r.order
	o.Cells = nil
	for _, i := range p.cells {
		o.Cells = append(o.Cells, r.order.Cells[i])
	}
	if p.variant != "" {
		o.Subject.Target = p.variant
	}
	opened, err := r.deps.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("start the subject %s: %w", o.Subject.Target, err)
	}
	r.target, r.tok, r.spawned, r.capacity = opened.Target, opened.Tokenizer, opened.Spawned, nil
	if r.first && r.spawned.IsZero() {
		r.spawned = r.order.Spawned // the process had only this one to start
	}
	err = r.measure(ctx, p, out)
	r.notes = append(r.notes, target.NotesOf(r.target)...)
	if closed := r.target.Close(); closed != nil {
		err = errors.Join(err, fmt.Errorf("close the subject: %w", closed))
	}
	if err != nil {
		return fmt.Errorf("round %d: %w", r.order.Index, err)
	}
	return nil
}
