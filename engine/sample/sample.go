package sample

import (
	"errors"
	"fmt"
	"math"

	"github.com/paceline/paceline/engine/backend"
)

// Validate says what is wrong with p, or nil. Token accepts what Validate refuses, in
// the way the package comment says; Validate is for the door of the engine.
func Validate(p backend.Sampling) error {
	t, tp := float64(p.Temperature), float64(p.TopP)
	switch {
	case math.IsNaN(t) || math.IsInf(t, 0) || t < 0:
		return fmt.Errorf("temperature %v: must be 0 (greedy) or a positive number", p.Temperature)
	case math.IsNaN(tp) || tp < 0 || tp > 1:
		return fmt.Errorf("top_p %v: must lie in 0..1 (0 and 1 turn it off)", p.TopP)
	case p.TopK < 0:
		return fmt.Errorf("top_k %d: must not be negative (0 turns it off)", p.TopK)
	}
	return nil
}

// ValidateRow says what is wrong with how row asks for a token of a vocabulary of so many ids, or
// nil. Backends ask it, since what applies edits trusts their ids.
func ValidateRow(row *backend.Row, vocab int) error {
	if n := row.TopLogProbs; n < 0 || n > backend.MaxTopLogProbs || n > 0 && row.Sample == nil {
		return fmt.Errorf("%d likeliest ids: want 0 to %d, and a token drawn", n, backend.MaxTopLogProbs)
	}
	if row.Sample == nil {
		return nil
	}
	if err := Validate(*row.Sample); err != nil {
		return err
	}
	switch {
	case row.Sample.Edits == nil:
		return nil
	case row.Chained:
		return errors.New("edits in a chained row: collect the row before it first")
	}
	before := int32(-1)
	for i, e := range row.Sample.Edits.List {
		if e.ID <= before || int(e.ID) >= vocab {
			return fmt.Errorf("edit %d is of id %d: want ascending ids from 0 to %d", i, e.ID, vocab-1)
		}
		if e.Repeat && !positive(row.Sample.Edits.Repetition) {
			return fmt.Errorf("a repetition penalty of %v: want a finite number above 0", row.Sample.Edits.Repetition)
		}
		if add := float64(e.Add); math.IsNaN(add) || math.IsInf(add, 1) {
			return fmt.Errorf("edit %d adds %v: want a finite number or −Inf", i, e.Add)
		}
		before = e.ID
	}
	return nil
}

func positive(f float32) bool { return f > 0 && f <= math.MaxFloat32 }

// Argmax is the id with the greatest logit, the lowest such id; NaN counts as −Inf. It is
// −1 for no logits at all.
func Argmax(logits []float32) int32 {
	if len(logits) == 0 {
		return -1
	}
	best, id := float32(math.Inf(-1)), 0
	for i, l := range logits {
		if l > best {
			best, id = l, i
		}
	}
	return int32(id)
}

// Sampler draws tokens and keeps the scratch memory that top-k and top-p need, 32 KiB
// and up to 4 bytes a logit, and 4 bytes for each edit. The zero value is ready. One goroutine uses it at a time; its draws don't
// depend on what it drew before.
type Sampler struct {
	hist []uint64
	ids  []int32
	kept []float32 // logits that edits replaced
}

// Token draws one id with a fresh Sampler. Greedy and plain temperature allocate
// nothing.
func Token(logits []float32, p backend.Sampling) int32 {
	var s Sampler
	return s.Token(logits, p)
}

// Token draws one id from logits as the package comment defines, −1 for no logits. It
// only reads logits, unless there are edits: those hold while it runs, and not any more when it
// returns. It allocates only for top-k, top-p or edits, until its scratch memory is large enough.
func (s *Sampler) Token(logits []float32, p backend.Sampling) int32 {
	if p.Edits == nil || len(p.Edits.List) == 0 {
		return s.draw(logits, p)
	}
	s.edit(logits, p.Edits)
	id := s.draw(logits, p)
	for i, e := range p.Edits.List {
		logits[e.ID] = s.kept[i]
	}
	return id
}

// edit is step 0 of the definition. It keeps what it replaces.
func (s *Sampler) edit(logits []float32, edits *backend.Edits) {
	s.kept = s.kept[:0]
	for _, e := range edits.List {
		l := logits[e.ID]
		s.kept = append(s.kept, l)
		switch {
		case !e.Repeat:
		case l > 0:
			l /= edits.Repetition
		default:
			l = float32(l * edits.Repetition)
		}
		logits[e.ID] = l + e.Add
	}
}

// draw is the definition from step 1 on.
func (s *Sampler) draw(logits []float32, p backend.Sampling) int32 {
	first := Argmax(logits)
	if first < 0 || !(p.Temperature > 0) {
		return first
	}
	if !(logits[first] > float32(math.Inf(-1))) {
		return first // nothing but −Inf and NaN
	}
	t := float64(min(p.Temperature, math.MaxFloat32))
	invT := 1 / t
	cut := uint64(0)
	if p.TopK > 0 && p.TopK < len(logits) {
		cut = s.cutCount(logits, uint64(p.TopK))
	}
	if p.TopP > 0 && p.TopP < 1 {
		cut = s.cutMass(logits, cut, first, invT, p.TopP)
	}
	return race(logits, cut, first, invT, t, p.Seed, p.Position)
}

// race finds the greatest z + g among the ids not below cut. first is the id with
// the greatest logit.
func race(logits []float32, cut uint64, first int32, invT, t float64, seed, position uint64) int32 {
	zmax := float64(float64(logits[first]) * invT)
	best, bestID := zmax+Gumbel(Bits(seed, position, first)), int(first)
	lowest, lastAtLowest := float32(math.Inf(-1)), len(logits)
	if cut > 0 {
		lowest, lastAtLowest = unrank(uint32(cut>>32)), int(^uint32(cut))
	}
	floor, bits := hurdles(best, zmax, t)
	for b := 0; b < len(logits); b += 4 {
		four := logits[b:min(b+4, len(logits))]
		high := float32(math.Inf(-1))
		for _, l := range four {
			if l > high {
				high = l
			}
		}
		if !(high >= lowest && float64(high) >= floor) {
			continue
		}
		words := block(seed, position, uint32(b)>>2)
		for j, l := range four {
			i := b + j
			if uint64(words[j]) < bits || !(l >= lowest) || l == lowest && i > lastAtLowest {
				continue
			}
			if v := float64(float64(l)*invT) + Gumbel(words[j]); v > best || v == best && i < bestID {
				best, bestID = v, i
				floor, bits = hurdles(best, zmax, t)
			}
		}
	}
	return int32(bestID)
}

// hurdles says what an id needs at least to reach best: its logit, since no Gumbel variate is above
// gumbelMax; and its random bits, since no z is above zmax and a variate is at most
// (k+1)·ln 2 where the bits begin with k ones (g(u) ≤ −ln(1−u), 1−u ≥ 2^−(k+1)). The margins are
// far above the rounding here and in the comparison that they stand for.
func hurdles(best, zmax, t float64) (logit float64, bits uint64) {
	logit = (best - gumbelMax) * t
	logit -= math.Abs(logit) * 1e-6
	need := best - zmax // NaN where both are infinite: then nothing is skipped
	need -= 1e-9 + math.Abs(best)*1e-12
	if k := math.Ceil(need/math.Ln2 - 1); k >= 1 {
		k := min(uint(k), 32)
		bits = 1<<32 - 1<<(32-k)
	}
	return logit, bits
}
