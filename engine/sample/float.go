package sample

import "math"

// The functions below are part of the definition: their results are fixed to the last
// bit. Every product is converted explicitly, which in Go forbids fusing it with the next
// sum.
const (
	ln2Hi = 6.93147180369123816490e-01 // 3fe62e42 fee00000
	ln2Lo = 1.90821492927058770002e-10 // 3dea39ef 35793c76

	lg1 = 6.666666666666735130e-01 // 3fe55555 55555593
	lg2 = 3.999999999940941908e-01 // 3fd99999 9997fa04
	lg3 = 2.857142874366239149e-01 // 3fd24924 94229359
	lg4 = 2.222219843214978396e-01 // 3fcc71c5 1d8e78af
	lg5 = 1.818357216161805012e-01 // 3fc74664 96cb03de
	lg6 = 1.531383769920937332e-01 // 3fc39a09 d078c69f
	lg7 = 1.479819860511658591e-01 // 3fc2f112 df3e5244

	sqrt2 = 1.41421356237309514547 // 3ff6a09e 667f3bcd
)

// massOne is the mass of the likeliest id: masses have 40 bits behind the point,
// so that the sum over 2^23 ids fits 63 bits.
const massOne = 1 << 40

// ln is the natural logarithm of a positive normal number, within one unit in the last place:
// FreeBSD's e_log.c (Sun Microsystems 1993).
func ln(x float64) float64 {
	b := math.Float64bits(x)
	k := float64(int(b>>52) - 1023)
	m := math.Float64frombits(b&(1<<52-1) | 1023<<52) // in [1, 2)
	if m > sqrt2 {
		m = float64(m * 0.5)
		k++
	}
	f := m - 1
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t := float64(s4*lg7) + lg5
	t = float64(s4*t) + lg3
	t = float64(s4*t) + lg1
	t1 := float64(s2 * t)
	t = float64(s4*lg6) + lg4
	t = float64(s4*t) + lg2
	t2 := float64(s4 * t)
	r := t1 + t2
	h := float64(float64(0.5*f) * f)
	inner := float64(s*(h+r)) + float64(k*ln2Lo)
	return float64(k*ln2Hi) - ((h - inner) - f)
}

// mass is w of the definition for x = z − zmax ≤ 0: floor(2^40 · e^x) with a relative error
// under 2e-12, by a table of 2^(i/64) and five terms of the series for the rest. exp2 is
// exp2Table().
func mass(exp2 *[64]float64, x float64) uint64 {
	const (
		perLn2 = 64 / math.Ln2 // 40571547652b82fe
		ln2per = math.Ln2 / 64 // 3f862e42fefa39ef
		c4     = 1.0 / 24      // 3fa5555555555555
		c3     = 1.0 / 6       // 3fc5555555555555
	)
	if !(x >= -28) {
		return 0 // e^−28 · 2^40 < 1
	}
	t := float64(x * perLn2)
	k := int64(t) // towards zero, so the rest is in (−1, 0]
	r := float64((t - float64(k)) * ln2per)
	p := float64(r*c4) + c3
	p = float64(r*p) + 0.5
	p = float64(r*p) + 1
	p = float64(r*p) + 1
	y := float64(exp2[k&63] * p) // in (0.98, 2)
	return uint64(float64(y*massOne)) >> uint64(-(k >> 6))
}

// Gumbel is g of the definition: a Gumbel(0, 1) variate from 32 random bits, in
// about (−3.14, 22.88).
func Gumbel(r uint32) float64 {
	u := float64((float64(r) + 0.5) * (1.0 / (1 << 32)))
	return -ln(-ln(u))
}

// gumbelMax is above every value of Gumbel.
const gumbelMax = 22.9
