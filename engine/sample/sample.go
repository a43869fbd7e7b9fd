package sample

import (
	"fmt"
	"math"
	"math/bits"

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

// Sampler draws tokens and keeps the scratch memory that top-k and top-p need: 32 KiB
// and up to 4 bytes a logit. The zero value is ready. One goroutine uses it at a time; its draws don't
// depend on what it drew before.
type Sampler struct {
	hist []uint64
	ids  []int32
}

// Token draws one id with a fresh Sampler. Greedy and plain temperature allocate
// nothing.
func Token(logits []float32, p backend.Sampling) int32 {
	var s Sampler
	return s.Token(logits, p)
}

// Token draws one id from logits as the package comment defines, −1 for no logits. It
// reads logits only, and allocates only for top-k or top-p, until its scratch memory is large enough.
func (s *Sampler) Token(logits []float32, p backend.Sampling) int32 {
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
	score := func(i int, r uint32) float64 { return float64(float64(logits[i])*invT) + Gumbel(r) }
	best, bestID := score(int(first), Bits(seed, position, first)), int(first)
	// No id with a logit under floor can win: it is cut off, or even gumbelMax wouldn't lift
	// it. The margin is far above the rounding of these two lines and of the comparison.
	lowest := math.Inf(-1)
	if cut > 0 {
		lowest = float64(unrank(uint32(cut >> 32)))
	}
	floorOf := func(best float64) float64 {
		f := (best - gumbelMax) * t
		return max(f-math.Abs(f)*1e-6, lowest)
	}
	floor := floorOf(best)
	for b := 0; b < len(logits); b += 4 {
		four := logits[b:min(b+4, len(logits))]
		any := false
		for _, l := range four {
			any = any || float64(l) >= floor
		}
		if !any {
			continue
		}
		words := block(seed, position, uint32(b)>>2)
		for j, l := range four {
			i := b + j
			if !(float64(l) >= floor) || rank(l, i) < cut {
				continue
			}
			z := float64(float64(l) * invT)
			if bound := z + gumbelBound(bits.LeadingZeros32(^words[j])); bound+math.Abs(z)*1e-12 < best {
				continue
			}
			if v := z + Gumbel(words[j]); v > best || v == best && i < bestID {
				best, bestID = v, i
				floor = floorOf(best)
			}
		}
	}
	return int32(bestID)
}
