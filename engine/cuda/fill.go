//go:build native

package cuda

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// filler writes batches in the device's words. It is pure but for the block that it writes to.
type filler struct {
	shape  kernels.Shape
	parts  int   // of attention that may wait for a merge, in a step
	edits  int   // room
	before []int // of the batch launched last: the head that drew each row's token
	heads  []int // of the batch being filled
	scored []score
}

// score is a token whose log-probability is asked for: after head, of row.
type score struct {
	row, head int
	id        int32
	logProb   float32 // once its logits were there
}

// filled is what of a batch the launch has to know.
type filled struct {
	whole  bool // some units are whole
	split  bool // some aren't
	second bool // some tokens are drawn by the second pass
	kept   bool // some logits go to the host
}

// fill writes the batch to b. before holds the heads of the batch launched just before, for chained rows.
func (f *filler) fill(b *block, batch *backend.Batch) (filled, error) {
	b.reset()
	var out filled
	f.heads, f.scored = f.heads[:0], f.scored[:0]
	parts := 0
	for i := range batch.Rows {
		r := &batch.Rows[i]
		n, first, table := admit.Tokens(r), len(b.tokens), len(b.pages)
		for _, p := range r.Pages[:admit.PagesFor(r.Start+n)] {
			b.pages = append(b.pages, uint32(p))
		}
		for j := range n {
			position := r.Start + j
			id := int32(0)
			if r.Chained {
				id = int32(-1 - f.before[r.ChainRow])
			} else {
				id = r.Tokens[j]
			}
			page := r.Pages[position/backend.PageTokens]
			b.tokens = append(b.tokens, kernels.Token{
				ID: id, Position: uint32(position),
				Slot: uint32(page)*backend.PageTokens + uint32(position%backend.PageTokens),
			})
		}
		whole := f.attention(b, first, n, r.Start, table, &parts)
		out.whole, out.split = out.whole || whole, out.split || !whole
		if err := f.draws(b, i, r, first, &out); err != nil {
			return out, fmt.Errorf("row %d: %w", i, err)
		}
	}
	f.before, f.heads = f.heads, f.before
	return out, nil
}

// attention cuts a row's attention into units. A few tokens are spread over the groups of their pages, which
// many blocks take at once; many tokens give work enough as they are. It doesn't matter to the sums.
func (f *filler) attention(b *block, first, n, start, table int, parts *int) (whole bool) {
	s := f.shape
	per := s.TileTokens()
	pages := admit.PagesFor(start + n)
	splits := (pages + kernels.SplitPages - 1) / kernels.SplitPages
	groups := (n + per - 1) / per
	need := groups * splits * s.KVHeads
	if n > 2*per || *parts+need > f.parts {
		step := per * kernels.AttThreads / 32
		for at := 0; at < n; at += step {
			for kv := range s.KVHeads {
				b.units = append(b.units, kernels.Unit{
					Token: uint32(first + at), Count: uint32(min(step, n-at)), KV: uint32(kv),
					Pages: uint32(admit.PagesFor(start + min(at+step, n))), Table: uint32(table), Part: kernels.Whole,
				})
			}
		}
		return true
	}
	for at := 0; at < n; at += per {
		count := min(per, n-at)
		pages := admit.PagesFor(start + at + count)
		splits := (pages + kernels.SplitPages - 1) / kernels.SplitPages
		base := *parts
		for kv := range s.KVHeads {
			for split := range splits {
				b.units = append(b.units, kernels.Unit{
					Token: uint32(first + at), Count: uint32(count), KV: uint32(kv),
					First: uint32(split * kernels.SplitPages), Pages: uint32(min(kernels.SplitPages, pages-split*kernels.SplitPages)),
					Table: uint32(table), Part: uint32(base + kv*splits + split),
				})
			}
		}
		for t := range count {
			b.merges = append(b.merges, kernels.Merge{Token: uint32(first + at + t), Row: uint32(t), Base: uint32(base), Splits: uint32(splits)})
		}
		*parts += s.KVHeads * splits
	}
	return false
}

// draws lists the heads of a row: those that are scored, and those that draw.
func (f *filler) draws(b *block, index int, r *backend.Row, first int, out *filled) error {
	if r.WantAllLogProbs {
		for j, id := range r.Tokens[1:] {
			f.scored = append(f.scored, score{row: index, head: len(b.heads), id: id})
			b.heads = append(b.heads, kernels.Head{Token: uint32(first + j), Flags: kernels.Keep})
			out.kept = true
		}
	}
	n, last := admit.Draws(r), first+admit.Tokens(r)
	edits, count, err := f.edit(b, r)
	if err != nil {
		return err
	}
	for i := range n {
		h := kernels.Head{Token: uint32(last - n + i), Edits: edits, EditCount: count}
		if final := i == n-1; final && (r.WantLogits || r.TopLogProbs > 0) {
			h.Flags |= kernels.Keep
			out.kept = true
		}
		if s := r.Sample; s != nil {
			f.sampling(&h, s, uint64(i), count > 0)
			out.second = out.second || h.Flags&kernels.Select != 0
		}
		b.heads = append(b.heads, h)
	}
	if n == 0 {
		f.heads = append(f.heads, -1)
		return nil
	}
	f.heads = append(f.heads, len(b.heads)-1)
	return nil
}

// edit lists the row's edits.
func (f *filler) edit(b *block, r *backend.Row) (first, count uint32, err error) {
	if r.Sample == nil || r.Sample.Edits == nil {
		return 0, 0, nil
	}
	list := r.Sample.Edits.List
	if len(b.edits)+len(list) > f.edits {
		return 0, 0, fmt.Errorf("%d edits of logits, beside %d of other rows: a batch has room for %d", len(list), len(b.edits), f.edits)
	}
	first = uint32(len(b.edits))
	for _, e := range list {
		repeat := uint32(0)
		if e.Repeat {
			repeat = 1
		}
		b.edits = append(b.edits, kernels.Edit{ID: e.ID, Repeat: repeat, Add: e.Add})
	}
	return first, uint32(len(list)), nil
}

// sampling writes how a head draws, further tokens after the first of its row.
func (f *filler) sampling(h *kernels.Head, s *backend.Sampling, further uint64, edited bool) {
	h.Seed, h.Position = s.Seed, s.Position+further
	if s.Edits != nil {
		h.Repetition = s.Edits.Repetition
	}
	if s.Temperature > 0 {
		h.InverseTemperature = 1 / float64(s.Temperature)
		h.TopK, h.TopP = uint32(min(s.TopK, f.shape.Vocab)), s.TopP
	} else {
		h.Flags |= kernels.Greedy
	}
	cut := h.TopK > 0 && int(h.TopK) < f.shape.Vocab || h.TopP > 0 && h.TopP < 1
	if edited || cut {
		h.Flags |= kernels.Select | kernels.Keep
	} else {
		h.Flags |= kernels.Draw
	}
}
