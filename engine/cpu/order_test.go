//go:build native

package cpu

import (
	"math"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// TestOrderOfSum computes products in the order that kernels.h lays down, with fused
// operations in Go, and wants the same bits from every kernel set that has them: the
// sets of all machines then agree with each other.
func TestOrderOfSum(t *testing.T) {
	eachISAThat(t, func(k kernelSet) bool { return k.name != "scalar" }, func(t *testing.T, k kernelSet) {
		for _, d := range []model.DType{model.BF16, model.F32} {
			for _, m := range []int{1, 2, 13} {
				r := seeded(t)
				const n, in = 35, 600 // three stretches of 256, the last a part
				data, w := bytesOf(normals(r, n*in), d)
				p, _ := packMatrix(d, tensorOf(d, data, n, in))
				a, init := make([]float32, m*p.inputs), normals(r, m*p.rows)
				for i := range m {
					copy(a[i*p.inputs:], normals(r, in))
				}
				got := make([]float32, m*p.rows)
				k.gemm(p, a, got, init, m)
				for i := range m {
					for j := range n {
						want := init[i*p.rows+j]
						for from := 0; from < in; from += 256 {
							var sum float32
							for x := from; x < min(from+256, in); x++ {
								sum = fma32(w[j*in+x], a[i*p.inputs+x], sum)
							}
							want += sum
						}
						if got := got[i*p.rows+j]; math.Float32bits(got) != math.Float32bits(want) {
							t.Fatalf("%s, %d rows: output %d of row %d is %v, want the bits of %v", d, m, j, i, got, want)
						}
					}
				}
			}
		}
	})
}

// fma32 is a·b + c, rounded once. The product is exact in float64; the sum there is
// rounded to odd, so that rounding it again to float32 gives what one rounding would
// (Boldo and Melquiond, Emulation of a FMA and correctly rounded sums, 2008).
func fma32(a, b, c float32) float32 {
	p, q := float64(a)*float64(b), float64(c)
	s := p + q
	t := s - p
	rest := (p - (s - t)) + (q - t)
	if rest != 0 && math.Float64bits(s)&1 == 0 {
		s = math.Nextafter(s, math.Copysign(math.Inf(1), rest))
	}
	return float32(s)
}
