//go:build !native

package host

import "math"

// kindSuffix tells this flavour's readings from those of C.
const kindSuffix = ".go"

// sum reads every word of b.
func sum(b []uint64) uint64 {
	var s [8]uint64
	for len(b) >= 8 {
		w := (*[8]uint64)(b)
		s[0] += w[0]
		s[1] += w[1]
		s[2] += w[2]
		s[3] += w[3]
		s[4] += w[4]
		s[5] += w[5]
		s[6] += w[6]
		s[7] += w[7]
		b = b[8:]
	}
	for _, w := range b {
		s[0] += w
	}
	return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7]
}

// fma makes rounds of eight independent multiply-adds, in double precision: Go has
// no other. It gives a value that depends on all of them and their operations.
func fma(rounds int) (value float32, flops float64) {
	a, b, c, d, e, f, g, h := 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7
	const m, k = 0.999999, 1e-6
	for range rounds {
		a = math.FMA(a, m, k)
		b = math.FMA(b, m, k)
		c = math.FMA(c, m, k)
		d = math.FMA(d, m, k)
		e = math.FMA(e, m, k)
		f = math.FMA(f, m, k)
		g = math.FMA(g, m, k)
		h = math.FMA(h, m, k)
	}
	return float32(a + b + c + d + e + f + g + h), 2 * 8 * float64(rounds)
}
