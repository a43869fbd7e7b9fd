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

// cutCount is the rank of the k-th id of the order.
func (s *Sampler) cutCount(logits []float32, k uint64) uint64 {
	s.reserve(len(logits))
	for i := range logits {
		s.weight[i] = 1
	}
	return s.cut(logits, k)
}

// cutMass is the rank of the last id of the nucleus: of the ids not below floor,
// the shortest prefix that holds topP of their mass.
func (s *Sampler) cutMass(logits []float32, floor uint64, first int32, invT float64, topP float32) uint64 {
	s.reserve(len(logits))
	zmax := float64(float64(logits[first]) * invT)
	var total uint64
	for i, l := range logits {
		w := uint64(0)
		if z := float64(float64(l) * invT); z == zmax {
			w = massOne
		} else if z-zmax >= -28 {
			w = mass(z - zmax)
		}
		if w != 0 && rank(l, i) < floor {
			w = 0
		}
		s.weight[i] = w
		total += w
	}
	hi, lo := bits.Mul64(uint64(float64(topP)*(1<<32)), total)
	lo, carry := bits.Add64(lo, 1<<32-1, 0)
	target := (hi+carry)<<32 | lo>>32
	return s.cut(logits, max(target, 1))
}

func (s *Sampler) reserve(n int) {
	if cap(s.weight) < n {
		s.weight = make([]uint64, n)
	}
	s.weight = s.weight[:n]
	if s.hist == nil {
		s.hist = make([]uint64, 1<<digitBits[0])
	}
}

// digitBits splits the 32 bits of order, high bits first.
var digitBits = [3]int{12, 10, 10}

// cut is the rank of the id at which the running sum of s.weight, in the order of the
// definition, reaches target ≥ 1. It is a radix selection: each pass fixes the next
// digit of that id's order, the last one its id. target must not exceed the whole sum.
func (s *Sampler) cut(logits []float32, target uint64) uint64 {
	var prefix uint32 // the digits fixed so far
	shift := 32
	for pass, width := range digitBits {
		hist := s.hist[:1<<width]
		clear(hist)
		above := shift
		shift -= width
		for i, l := range logits {
			if s.weight[i] == 0 {
				continue
			}
			o := order(l)
			if pass > 0 && o>>above != prefix {
				continue
			}
			hist[o>>shift&(1<<width-1)] += s.weight[i]
		}
		d := len(hist) - 1
		for d > 0 && hist[d] < target {
			target -= hist[d]
			d--
		}
		prefix = prefix<<width | uint32(d)
	}
	last := 0
	for i, l := range logits {
		if s.weight[i] == 0 || order(l) != prefix {
			continue
		}
		last = i
		if s.weight[i] >= target {
			break
		}
		target -= s.weight[i]
	}
	return uint64(prefix)<<32 | uint64(^uint32(last))
}
