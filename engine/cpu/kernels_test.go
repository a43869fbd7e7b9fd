//go:build native

package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// ulp is half a unit in the last place of 1 in float32: the relative error of one
// rounded operation.
const ulp = 1.0 / (1 << 24)

func eachISA(t *testing.T, f func(t *testing.T, k kernelSet)) {
	eachISAThat(t, func(kernelSet) bool { return true }, f)
}

// eachISAThat leaves out the kernel sets that don't have what is tested.
func eachISAThat(t *testing.T, has func(kernelSet) bool, f func(t *testing.T, k kernelSet)) {
	for _, k := range kernelSets() {
		if k.have && !has(k) {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			if !k.have {
				t.Skipf("skipped: this machine can't run %s", k.name)
			}
			f(t, k)
		})
	}
}

func seeded(t *testing.T) *rand.Rand {
	seed := uint64(0)
	for _, c := range t.Name() {
		seed = seed*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(seed, 7))
}

func normals(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// bytesOf stores v as dtype and gives back the values stored.
func bytesOf(v []float32, d model.DType) (data []byte, stored []float32) {
	stored = make([]float32, len(v))
	for i, f := range v {
		bits := math.Float32bits(f)
		switch d {
		case model.BF16:
			bits &= 0xffff0000
			data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
		case model.F16: // 10 bits of fraction, kept in the normal range
			bits &^= 1<<13 - 1
			e := int(bits>>23&255) - 127 + 15
			if e < 1 || e > 30 {
				bits, e = 0, 0
			}
			data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16&0x8000|uint32(e)<<10|bits>>13&1023))
		default:
			data = binary.LittleEndian.AppendUint32(data, bits)
		}
		stored[i] = math.Float32frombits(bits)
	}
	return data, stored
}

func tensorOf(d model.DType, data []byte, rows, cols int) model.Tensor {
	return model.Tensor{Name: "test", DType: d, Shape: []int{rows, cols}, Data: data}
}

// TestGEMM holds every product against float64. The bound is that of blocked
// summation: each of the products passes through at most 256 additions of its
// block and K/256+1 of the blocks, each off by one ulp of what has been summed,
// so |error| ≤ (256 + K/256 + 2)·ulp·Σ|a·w| (Higham, Accuracy and Stability of
// Numerical Algorithms, §4.2); kernels without FMA round each product too.
func TestGEMM(t *testing.T) {
	shapes := []struct{ n, k int }{{1, 1}, {16, 16}, {17, 33}, {48, 255}, {80, 256}, {96, 257}, {112, 896}, {33, 1000}}
	eachISA(t, func(t *testing.T, k kernelSet) {
		for _, s := range shapes {
			for _, d := range []model.DType{model.BF16, model.F32} {
				for _, m := range []int{1, 2, 3, 5, 7, 11, 12, 13, 29} {
					t.Run(fmt.Sprintf("%s_%dx%d_rows%d", d, s.n, s.k, m), func(t *testing.T) {
						testGEMM(t, k, s.n, s.k, m, d)
					})
				}
			}
		}
	})
}

func testGEMM(t *testing.T, k kernelSet, n, in, m int, d model.DType) {
	r := seeded(t)
	data, w := bytesOf(normals(r, n*in), d)
	p, _ := packMatrix(d, tensorOf(d, data, n, in))
	a := make([]float32, m*p.inputs)
	for i := range m {
		copy(a[i*p.inputs:], normals(r, in))
	}
	eachInit(r, n, p.rows, m, func(c, init []float32) { k.gemm(p, a, c, init, m) }, func(name string, got, start []float32) {
		for i := range m {
			for j := range n {
				want := float64(start[i*p.rows+j])
				size := math.Abs(want)
				for x := range in {
					v := float64(a[i*p.inputs+x]) * float64(w[j*in+x])
					want += v
					size += math.Abs(v)
				}
				bound := float64(min(in, 256)+in/256+3) * ulp * size
				if diff := math.Abs(float64(got[i*p.rows+j]) - want); !(diff <= bound) {
					t.Fatalf("%s: output %d of row %d is %v, want %v within %.3g", name, j, i, got[i*p.rows+j], want, bound)
				}
			}
		}
	})
}

// eachInit runs a product of m rows for every kind of init: none, one row for all, and the output
// itself. check gets what came out and what each output started from; n of rows columns count.
func eachInit(r *rand.Rand, n, rows, m int, product func(c, init []float32), check func(name string, got, start []float32)) {
	bias := make([]float32, rows)
	copy(bias, normals(r, n))
	residual := normals(r, m*rows)
	for _, c := range []struct {
		name  string
		init  []float32
		start []float32
	}{{"zero", nil, make([]float32, m*rows)}, {"bias", bias, slices.Repeat(bias, m)}, {"residual", residual, residual}} {
		got, init := normals(r, m*rows), c.init
		if c.name == "residual" {
			copy(got, residual)
			init = got // in place, as the residual stream
		}
		product(got, init)
		check(c.name, got, c.start)
	}
}

// TestGEMMRowsAgree demands the same bits for a row computed alone and among
// others: the invariant that kernels.h states.
func TestGEMMRowsAgree(t *testing.T) {
	eachISA(t, func(t *testing.T, k kernelSet) {
		for _, d := range []model.DType{model.BF16, model.F32} {
			for _, dot := range []bool{false, true} {
				if dot && (!k.hasDot() || d != model.BF16) {
					continue
				}
				r := seeded(t)
				const n, in, m = 16 * 7, 600, 27
				data, _ := bytesOf(normals(r, n*in), d)
				p, _ := packMatrix(d, tensorOf(d, data, n, in))
				a := make([]float32, m*p.inputs)
				for i := range m {
					copy(a[i*p.inputs:], normals(r, in))
				}
				h := make([]uint16, len(a))
				k.round(a, h)
				run := func(from, rows int) []float32 {
					c := make([]float32, rows*p.rows)
					if dot {
						k.gemmDot(p, h[from*p.inputs:], c, nil, rows)
					} else {
						k.gemm(p, a[from*p.inputs:], c, nil, rows)
					}
					return c
				}
				whole := run(0, m)
				for _, step := range []int{1, 2, 5, 12, 13} {
					for from := 0; from < m; from += step {
						rows := min(step, m-from)
						for i, got := range run(from, rows) {
							if want := whole[from*p.rows+i]; math.Float32bits(got) != math.Float32bits(want) {
								t.Fatalf("%s dot %v: %d rows from %d: value %d is %v, want the bits of %v", d, dot, rows, from, i, got, want)
							}
						}
					}
				}
			}
		}
	})
}

// TestGEMMDot: products of bf16 are exact in f32; VDPBF16PS adds the two of a pair
// with one rounding each, so the bound of TestGEMM holds. It takes denormals as 0,
// which the values here aren't.
func TestGEMMDot(t *testing.T) {
	eachISAThat(t, kernelSet.hasDot, func(t *testing.T, k kernelSet) {
		for _, s := range []struct{ n, k, m int }{{17, 33, 1}, {48, 896, 3}, {96, 257, 12}, {33, 600, 25}} {
			r := seeded(t)
			data, w := bytesOf(normals(r, s.n*s.k), model.BF16)
			p, _ := packMatrix(model.BF16, tensorOf(model.BF16, data, s.n, s.k))
			a := make([]float32, s.m*p.inputs)
			for i := range s.m {
				copy(a[i*p.inputs:], normals(r, s.k))
			}
			h := make([]uint16, len(a))
			k.round(a, h)
			k.round(a, nil)
			got := make([]float32, s.m*p.rows)
			k.gemmDot(p, h, got, nil, s.m)
			for i := range s.m {
				for j := range s.n {
					var want, size float64
					for x := range s.k {
						v := float64(a[i*p.inputs+x]) * float64(w[j*s.k+x])
						want += v
						size += math.Abs(v)
					}
					bound := float64(min(s.k, 256)+s.k/256+3) * ulp * size
					if diff := math.Abs(float64(got[i*p.rows+j]) - want); !(diff <= bound) {
						t.Fatalf("%d×%d: output %d of row %d is %v, want %v within %.3g", s.n, s.k, j, i, got[i*p.rows+j], want, bound)
					}
				}
			}
		}
	})
}

// TestSoftmax folds three pages, the last one half masked and one wholly masked
// for one of the rows, and compares with softmax in float64. exp is good to 2 ulp
// of a value plus the rounding of its argument, at most |x|·ulp for x in
// (-40, 0), and sums of 192 add as many roundings.
func TestSoftmax(t *testing.T) {
	const rows, dim, pages, page = 5, 48, 3, 64
	eachISA(t, func(t *testing.T, k kernelSet) {
		r := seeded(t)
		scores := make([][]float64, rows)
		o := normals(r, rows*dim)
		first := append([]float32(nil), o...)
		maxima, sums := make([]float32, rows), make([]float32, rows)
		for i := range maxima {
			maxima[i] = float32(math.Inf(-1))
		}
		weights := make([][]float64, rows)
		kept := make([]float64, rows)
		for p := range pages {
			s := normals(r, rows*page)
			for i := range s {
				s[i] *= 8
				row, at := i/page, p*page+i%page
				if at > 150 || row == 2 && at > 70 {
					s[i] = float32(math.Inf(-1))
				}
				scores[row] = append(scores[row], float64(s[i]))
			}
			before := append([]float32(nil), maxima...)
			k.softmax(s, o, maxima, sums, dim)
			for row := range rows {
				scale := math.Exp(float64(before[row]) - float64(maxima[row]))
				if p == 0 {
					kept[row] = scale
				} else {
					kept[row] *= scale
				}
				for i := range weights[row] {
					weights[row][i] *= scale
				}
				for _, w := range s[row*page : (row+1)*page] {
					weights[row] = append(weights[row], float64(w))
				}
			}
		}
		for row := range rows {
			top := math.Inf(-1)
			for _, s := range scores[row] {
				top = max(top, s)
			}
			var sum float64
			for _, s := range scores[row] {
				sum += math.Exp(s - top)
			}
			if got := float64(sums[row]); math.Abs(got-sum) > 300*ulp*sum {
				t.Fatalf("row %d: sum %v, want %v", row, got, sum)
			}
			for i, s := range scores[row] {
				want := math.Exp(s - top)
				if got := weights[row][i]; math.Abs(got-want) > 100*ulp*want+1e-37 {
					t.Fatalf("row %d: weight %d of score %v is %v, want %v", row, i, s, got, want)
				}
				if math.IsInf(s, -1) && weights[row][i] != 0 {
					t.Fatalf("row %d: a masked score has weight %v", row, weights[row][i])
				}
			}
			for i := range dim {
				if want := float64(first[row*dim+i]) * kept[row]; math.Abs(float64(o[row*dim+i])-want) > 200*ulp*math.Abs(want) {
					t.Fatalf("row %d: o[%d] is %v, want %v", row, i, o[row*dim+i], want)
				}
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	eachISA(t, func(t *testing.T, k kernelSet) {
		for _, count := range []int{1, 16, 30, 128, 896} {
			r := seeded(t)
			n := pad(count)
			x, w, y := make([]float32, n), make([]float32, n), make([]float32, n)
			copy(x, normals(r, count))
			copy(w, normals(r, count))
			const eps = 1e-6
			k.rmsNorm(y, x, w, count, eps)
			var sum float64
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			for i := range n {
				want := float64(x[i]) / math.Sqrt(sum/float64(count)+eps) * float64(w[i])
				// Half of the error of the mean (all terms positive), and four roundings.
				if bound := (float64(n)/16+6)*ulp*math.Abs(want) + 1e-45; math.Abs(float64(y[i])-want) > bound {
					t.Fatalf("%d values: y[%d] = %v, want %v within %.3g", count, i, y[i], want, bound)
				}
			}
		}
	})
}

func TestSwiGLU(t *testing.T) {
	eachISA(t, func(t *testing.T, k kernelSet) {
		r := seeded(t)
		const panels = 9
		g := normals(r, panels*32)
		for i := range g {
			g[i] *= 12
		}
		copy(g, []float32{0, float32(math.Copysign(0, -1)), 1e-30, -1e-30, 88, -88, 120, -120, 1000, -1000, -87.3, 87.3, 30, -30, 0.5, -0.5})
		y := make([]float32, panels*16)
		k.swiglu(y, g)
		for i, got := range y {
			v, u := float64(g[i/16*32+i%16]), float64(g[i/16*32+16+i%16])
			want := v / (1 + math.Exp(-v)) * u
			// The argument's rounding, |v|·ulp, comes on top of exp's own and three more.
			if bound := (math.Abs(v)+8)*ulp*math.Abs(want) + 1e-33; !(math.Abs(float64(got)-want) <= bound) {
				t.Fatalf("silu(%v)·%v = %v, want %v within %.3g", v, u, got, want, bound)
			}
		}
	})
}

func TestRound(t *testing.T) {
	eachISA(t, func(t *testing.T, k kernelSet) {
		r := seeded(t)
		x := normals(r, 64)
		copy(x, []float32{0, 1, -1, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/128, 1e-39, -3e38})
		h := make([]uint16, len(x))
		k.round(x, h)
		y := append([]float32(nil), x...)
		k.round(y, nil)
		for i, v := range x {
			bits := math.Float32bits(v)
			want := (bits + 0x7fff + bits>>16&1) >> 16
			if uint32(h[i]) != want || math.Float32bits(y[i]) != want<<16 {
				t.Fatalf("bf16 of %v: %04x and %08x, want %04x", v, h[i], math.Float32bits(y[i]), want)
			}
		}
	})
}

func TestLogSumExp(t *testing.T) {
	eachISA(t, func(t *testing.T, k kernelSet) {
		for _, n := range []int{1, 2, 15, 16, 17, 1024, 5003} {
			x := normals(seeded(t), n)
			for i := range x {
				x[i] *= 5
			}
			top := math.Inf(-1)
			for _, v := range x {
				top = max(top, float64(v))
			}
			var sum float64
			for _, v := range x {
				sum += math.Exp(float64(v) - top)
			}
			want := top + math.Log(sum)
			// Relative error of the sum: at most 64 additions in f32 and the arguments' rounding.
			if got := k.logSumExp(x); math.Abs(got-want) > 120*ulp {
				t.Fatalf("%d values: %v, want %v", n, got, want)
			}
		}
	})
}

// TestPack reads the layout back by its definition.
func TestPack(t *testing.T) {
	for _, to := range []model.DType{model.BF16, model.F32} {
		for _, from := range []model.DType{model.BF16, model.F16, model.F32} {
			if to == model.BF16 && from != model.BF16 {
				continue
			}
			for _, s := range []struct{ rows, cols int }{{1, 1}, {16, 16}, {19, 30}, {32, 33}, {40, 70}} {
				data, v := bytesOf(normals(seeded(t), s.rows*s.cols), from)
				p, finite := packMatrix(to, tensorOf(from, data, s.rows, s.cols))
				if !finite {
					t.Fatalf("%s to %s: finite weights are called infinite", from, to)
				}
				for r := range p.rows {
					for c := range p.inputs {
						want := float32(0)
						if r < s.rows && c < s.cols {
							want = v[r*s.cols+c]
						}
						var got float32
						if to == model.BF16 {
							at := r/16*16*p.inputs + c/2*32 + r%16*2 + c%2
							got = math.Float32frombits(uint32(binary.LittleEndian.Uint16(p.data[2*at:])) << 16)
						} else {
							at := r/16*16*p.inputs + c*16 + r%16
							got = math.Float32frombits(binary.LittleEndian.Uint32(p.data[4*at:]))
						}
						if got != want {
							t.Fatalf("%s to %s, %d×%d: [%d][%d] is %v, want %v", from, to, s.rows, s.cols, r, c, got, want)
						}
					}
				}
				for _, bad := range []float32{float32(math.Inf(1)), float32(math.NaN())} {
					v[len(v)-1] = bad
					if from == model.F16 {
						continue // bytesOf has no infinities of f16
					}
					data, _ := bytesOf(v, from)
					if _, finite := packMatrix(to, tensorOf(from, data, s.rows, s.cols)); finite {
						t.Fatalf("%s to %s: %v isn't noticed", from, to, bad)
					}
				}
			}
		}
	}
}
