package quant

import "math"

// fit looks for the scale of some numbers that share one: w ≈ q·scale with integers q in
// lo..hi. It keeps the scale of the smallest squared error, the first of equals.
type fit struct {
	w      []float32
	lo, hi float32
	round  func(scale float32) float32 // to what can be stored

	scale float32 // the best so far; 0 stands for all zeros
	err   float64 // of it; meaningful after the first try
	tried bool
}

// least is the smallest scale that divides; below it everything counts as zero. Its
// inverse is finite.
const least = 0x1p-120

// try takes the scale, as it can be stored, if it is the best so far. It returns the scale
// that would be best for the same integers, by least squares: Σ w·q / Σ q². One that
// overflows is taken too when it comes first, for the caller to find.
func (f *fit) try(scale float32) (better float32) {
	scale = f.round(scale)
	if !finite(scale) {
		if !f.tried {
			f.scale, f.err, f.tried = scale, math.Inf(1), true
		}
		return 0
	}
	if abs(scale) < least {
		scale = 0
	}
	err, wq, qq := f.cost(scale)
	if !f.tried || err < f.err {
		f.scale, f.err, f.tried = scale, err, true
	}
	if qq == 0 {
		return 0
	}
	return float32(wq / qq)
}

// refine tries the scale, then the better one.
func (f *fit) refine(scale float32) {
	if better := f.try(scale); better != 0 {
		f.try(better)
	}
}

// cost is the squared error at the scale, with Σ w·q and Σ q² on the way. The conversions
// keep compilers from joining a product and a sum, which would round
// otherwise on some processors.
func (f *fit) cost(scale float32) (err, wq, qq float64) {
	inverse := invert(scale)
	lo, hi := f.lo, f.hi
	for _, w := range f.w {
		q := nearest(w*inverse, lo, hi)
		d := float64(w - float32(q*scale))
		err += float64(d * d)
		wq += float64(float64(w) * float64(q))
		qq += float64(float64(q) * float64(q))
	}
	return err, wq, qq
}

// numbers writes the integers at the best scale to q, which has room for them.
func (f *fit) numbers(q []int8) []int8 {
	inverse := invert(f.scale)
	for i, w := range f.w {
		q[i] = int8(nearest(w*inverse, f.lo, f.hi))
	}
	return q[:len(f.w)]
}

func invert(scale float32) float32 {
	if scale == 0 {
		return 0
	}
	return 1 / scale
}

// nearest rounds to an integer in lo..hi, ties to even: adding 1.5·2²³ leaves no room
// for a fraction.
func nearest(v, lo, hi float32) float32 {
	const magic = 3 << 22
	return float32(max(min(v, hi), lo)+magic) - magic
}
