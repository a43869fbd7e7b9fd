package sample

import "math"

// The two functions below are part of the definition: their results are fixed to the last
// bit. They follow FreeBSD's e_log.c and e_exp.c (Sun Microsystems 1993), with
// every product converted explicitly, which in Go forbids fusing it with the next sum.
// Their error is under one unit in the last place.
const (
	ln2Hi = 6.93147180369123816490e-01 // 3fe62e42 fee00000
	ln2Lo = 1.90821492927058770002e-10 // 3dea39ef 35793c76
	log2e = 1.44269504088896338700e+00 // 3ff71547 652b82fe

	lg1 = 6.666666666666735130e-01 // 3fe55555 55555593
	lg2 = 3.999999999940941908e-01 // 3fd99999 9997fa04
	lg3 = 2.857142874366239149e-01 // 3fd24924 94229359
	lg4 = 2.222219843214978396e-01 // 3fcc71c5 1d8e78af
	lg5 = 1.818357216161805012e-01 // 3fc74664 96cb03de
	lg6 = 1.531383769920937332e-01 // 3fc39a09 d078c69f
	lg7 = 1.479819860511658591e-01 // 3fc2f112 df3e5244

	ex1 = 1.66666666666666657415e-01  // 3fc55555 55555555
	ex2 = -2.77777777770155933842e-03 // bf66c16c 16bebd93
	ex3 = 6.61375632143793436117e-05  // 3f11566a af25de2c
	ex4 = -1.65339022054652515390e-06 // bebbbd41 c5d26bf1
	ex5 = 4.13813679705723846039e-08  // 3e663769 72bea4d0

	sqrt2 = 1.41421356237309514547 // 3ff6a09e 667f3bcd
)

// massOne is the mass of the likeliest id: masses have 40 bits behind the point,
// so that the sum over 2^23 ids fits 63 bits.
const massOne = 1 << 40

// ln is the natural logarithm of a positive normal number.
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

// expNeg is exp(x) for −30 ≤ x ≤ 0.
func expNeg(x float64) float64 {
	y, k := expParts(x)
	return float64(y * math.Float64frombits(uint64(1023+k)<<52))
}

// expParts gives y and k with exp(x) = y · 2^k and y about 0.7 to 1.42.
func expParts(x float64) (y float64, k int) {
	kf := math.Floor(float64(x*log2e) + 0.5)
	hi := x - float64(kf*ln2Hi)
	lo := float64(kf * ln2Lo)
	r := hi - lo
	t := float64(r * r)
	c := float64(t*ex5) + ex4
	c = float64(t*c) + ex3
	c = float64(t*c) + ex2
	c = float64(t*c) + ex1
	c = r - float64(t*c)
	q := float64(r*c) / (2 - c)
	return 1 - ((lo - q) - hi), int(kf)
}

// mass is w of the definition for x = z − zmax ≤ 0.
func mass(x float64) uint64 {
	if x == 0 {
		return massOne
	}
	if !(x >= -28) {
		return 0 // exp(−28)·2^40 < 1
	}
	return uint64(float64(expNeg(x) * massOne))
}

// Gumbel is g of the definition: a Gumbel(0, 1) variate from 32 random bits, in
// about (−3.14, 22.88).
func Gumbel(r uint32) float64 {
	u := float64((float64(r) + 0.5) * (1.0 / (1 << 32)))
	return -ln(-ln(u))
}

// gumbelMax is above every value of Gumbel.
const gumbelMax = 22.9

// gumbelBound is not below Gumbel(r), by far less work: g(u) ≤ −ln(1−u), and 1−u is at
// least 2^−(k+1) where r begins with k ones.
func gumbelBound(leadingOnes int) float64 {
	return float64(leadingOnes+1)*0.6931471805599454 + 1e-9
}
