package sample

import (
	"math"
	"math/bits"
)

// order maps a logit to a number that is greater for a greater logit.
func order(l float32) uint32 {
	if l != l {
		l = float32(math.Inf(-1))
	}
	b := math.Float32bits(l + 0) // −0 becomes +0
	if b>>31 == 1 {
		return ^b
	}
	return b | 1<<31
}

// rank is an id's place in the order of the definition: greater for ids that come
// earlier, different for different ids.
func rank(l float32, id int) uint64 {
	return uint64(order(l))<<32 | uint64(^uint32(id))
}

// unrank is a logit that has the given order.
func unrank(o uint32) float32 {
	if o>>31 == 1 {
		return math.Float32frombits(o &^ (1 << 31))
	}
	return math.Float32frombits(^o)
}

// cutCount is the rank of the k-th id of the order.
func (s *Sampler) cutCount(logits []float32, k uint64) uint64 {
	s.reserve()
	for _, l := range logits {
		s.hist[order(l)>>firstShift]++
	}
	return s.cut(logits, k, func(float32, int) uint64 { return 1 })
}

// cutMass is the rank of the last id of the nucleus: of the ids not below floor,
// the shortest prefix that holds topP of their mass.
func (s *Sampler) cutMass(logits []float32, floor uint64, first int32, invT float64, topP float32) uint64 {
	s.reserve()
	zmax := float64(float64(logits[first]) * invT)
	exp2 := exp2Table()
	weight := func(l float32, id int) uint64 {
		z := float64(float64(l) * invT)
		if !(z == zmax || z-zmax >= -28) || floor != 0 && rank(l, id) < floor {
			return 0
		}
		if z == zmax { // infinite ones too, whose difference is NaN
			return massOne
		}
		return mass(&exp2, z-zmax)
	}
	// Most of a vocabulary is refused by one comparison: below low, z − zmax is surely under −28.
	low := (zmax - 28.5) / invT
	low -= math.Abs(low) * 1e-9
	if math.IsInf(zmax, 1) {
		low = math.MaxFloat32
	}
	var total uint64
	for i, l := range logits {
		if !(float64(l) >= low) {
			continue
		}
		if w := weight(l, i); w != 0 {
			s.hist[order(l)>>firstShift] += w
			total += w
		}
	}
	hi, lo := bits.Mul64(uint64(float64(topP)*(1<<32)), total)
	lo, carry := bits.Add64(lo, 1<<32-1, 0)
	target := (hi+carry)<<32 | lo>>32
	return s.cut(logits, max(target, 1), weight)
}

// The radix selection splits the 32 bits of order, high bits first, in digits of 12,
// 10 and 10 bits; firstShift leaves the first.
const (
	firstBits  = 12
	firstShift = 32 - firstBits
	nextBits   = 10
)

func (s *Sampler) reserve() {
	if s.hist == nil {
		s.hist = make([]uint64, 1<<firstBits)
	}
	clear(s.hist)
}

// cut is the rank of the id at which the running sum of weights, in the order of the
// definition, reaches target ≥ 1, which must not exceed the whole sum. s.hist holds the
// sums by first digit. It is a radix selection: each pass fixes the next digit of that id's
// order and keeps the ids that share it, the last one fixes its id.
func (s *Sampler) cut(logits []float32, target uint64, weight func(l float32, id int) uint64) uint64 {
	prefix, target := digit(s.hist, target)
	ids := s.ids[:0]
	for i, l := range logits {
		if order(l)>>firstShift == prefix {
			ids = append(ids, int32(i))
		}
	}
	s.ids = ids // keeps the memory
	for shift := firstShift - nextBits; shift >= 0; shift -= nextBits {
		hist := s.hist[:1<<nextBits]
		clear(hist)
		for _, id := range ids {
			l := logits[id]
			hist[order(l)>>shift&(1<<nextBits-1)] += weight(l, int(id))
		}
		var d uint32
		d, target = digit(hist, target)
		prefix = prefix<<nextBits | d
		kept := ids[:0]
		for _, id := range ids {
			if order(logits[id])>>shift == prefix {
				kept = append(kept, id)
			}
		}
		ids = kept
	}
	last := int32(0)
	for _, id := range ids { // equal logits, ascending ids
		last = id
		w := weight(logits[id], int(id))
		if w >= target {
			break
		}
		target -= w
	}
	return uint64(prefix)<<32 | uint64(^uint32(last))
}

// digit is the bin, from the top, in which the running sum reaches target, and what of
// target is left for that bin.
func digit(hist []uint64, target uint64) (bin uint32, left uint64) {
	d := len(hist) - 1
	for d > 0 && hist[d] < target {
		target -= hist[d]
		d--
	}
	return uint32(d), target
}
