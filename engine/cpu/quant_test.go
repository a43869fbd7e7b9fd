//go:build native

package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
)

var quantised = []model.DType{model.W8, model.W4}

// quantisedMatrix is a random matrix in type d and its values.
func quantisedMatrix(t *testing.T, d model.DType, rows, cols int) (model.Tensor, []float32) {
	t.Helper()
	data, _ := bytesOf(normals(seeded(t), rows*cols), model.F32)
	w, err := quant.Matrix(tensorOf(model.F32, data, rows, cols), d, quant.RTN)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, rows*cols)
	if err := w.Float32(values); err != nil {
		t.Fatal(err)
	}
	return w, values
}

// TestQuantize reads groups back: each number is off by half a step at most, the sums are those
// of the integers, and what isn't finite does no harm to other groups.
func TestQuantize(t *testing.T) {
	eachISA(t, func(t *testing.T, k kernelSet) {
		for _, n := range []int{16, 128, 144, 896, 4864} {
			x := normals(seeded(t), 2*n)
			clear(x[:min(n, 128)]) // a group of zeros
			x[n] = -1e30
			q := k.quantize(x, 2)
			groups := groupsOf(n)
			for i, v := range x {
				step := float64(q.scale[i/n*groups+i%n/128])
				if got := float64(q.q[i]) * step; math.Abs(got-float64(v)) > step*0.5001 {
					t.Fatalf("%d values: [%d] is %v, want %v within %v", n, i, got, v, step/2)
				}
			}
			for g := range q.sum {
				row, from := g/groups, g%groups*128
				sum, most := int32(0), float32(0)
				for i := row*n + from; i < row*n+min(from+128, n); i++ {
					sum += int32(q.q[i])
					most = max(most, float32(math.Abs(float64(x[i]))))
				}
				if q.sum[g] != sum || q.scale[g] != most/127 {
					t.Fatalf("%d values: group %d has sum %d and scale %v, want %d and %v", n, g, q.sum[g], q.scale[g], sum, most/127)
				}
			}
			x[0] = float32(math.NaN())
			if bad := k.quantize(x, 2); n > 128 && bad.scale[1] != q.scale[1] {
				t.Fatalf("%d values: a NaN in the first group changed the second", n)
			}
		}
	})
}

// TestGEMMQ holds products of quantised weights against float64. The integer sums are exact; for
// each of the K/128 groups there are the roundings of the integer's conversion, of the product of
// scales and of the multiply-add (two where there is no fused one) in a running sum of at most
// Σ|a·w|: |error| ≤ (K/128+1)·4·ulp·Σ|a·w|.
func TestGEMMQ(t *testing.T) {
	shapes := []struct{ n, k int }{{1, 1}, {16, 16}, {17, 33}, {48, 255}, {80, 256}, {96, 257}, {112, 896}, {33, 1000}}
	eachISA(t, func(t *testing.T, k kernelSet) {
		for _, s := range shapes {
			for _, d := range quantised {
				for _, m := range []int{1, 2, 3, 5, 7, 11, 12, 13, 29} {
					t.Run(fmt.Sprintf("%s_%dx%d_rows%d", d, s.n, s.k, m), func(t *testing.T) { testGEMMQ(t, k, d, s.n, s.k, m) })
				}
			}
		}
	})
}

func testGEMMQ(t *testing.T, k kernelSet, d model.DType, n, in, m int) {
	tensor, w := quantisedMatrix(t, d, n, in)
	p, _ := packMatrix(d, tensor)
	r := seeded(t)
	a := make([]float32, m*p.inputs)
	for i := range m {
		copy(a[i*p.inputs:], normals(r, in))
	}
	q := k.quantize(a, m)
	groups := groupsOf(p.inputs)
	eachInit(r, n, p.rows, m, func(c, init []float32) { k.gemmQ(p, q, c, init, m) }, func(name string, got, start []float32) {
		for i := range m {
			for j := range n {
				want := float64(start[i*p.rows+j])
				size := math.Abs(want)
				for x := range in {
					v := float64(q.q[i*p.inputs+x]) * float64(q.scale[i*groups+x/128]) * float64(w[j*in+x])
					want += v
					size += math.Abs(v)
				}
				bound := float64(groups+1)*4*ulp*size + 1e-37
				if diff := math.Abs(float64(got[i*p.rows+j]) - want); !(diff <= bound) {
					t.Fatalf("%s: output %d of row %d is %v, want %v within %.3g", name, j, i, got[i*p.rows+j], want, bound)
				}
			}
			for j := n; j < p.rows; j++ {
				if name == "zero" && got[i*p.rows+j] != 0 {
					t.Fatalf("padded output %d of row %d is %v, want 0", j, i, got[i*p.rows+j])
				}
			}
		}
	})
}

// TestGEMMQSameBits demands the same bits for a row alone and among others, and on every kernel
// set with fused multiply-adds.
func TestGEMMQSameBits(t *testing.T) {
	const n, in, m = 16 * 7, 600, 27
	for _, d := range quantised {
		tensor, _ := quantisedMatrix(t, d, n, in)
		p, _ := packMatrix(d, tensor)
		a := make([]float32, m*p.inputs)
		for i := range m {
			copy(a[i*p.inputs:], normals(seeded(t), in))
		}
		var whole []float32
		for _, k := range kernelSets() {
			if !k.have || k.name == "scalar" {
				continue
			}
			for _, step := range []int{m, 1, 2, 5, 12, 13} {
				for from := 0; from < m; from += step {
					rows := min(step, m-from)
					c := make([]float32, rows*p.rows)
					k.gemmQ(p, k.quantize(a[from*p.inputs:][:rows*p.inputs], rows), c, nil, rows)
					if whole == nil {
						whole = c
					}
					sameBits(t, fmt.Sprintf("%s %s: %d rows from %d", k.name, d, rows, from), c, whole[from*p.rows:][:rows*p.rows])
				}
			}
		}
	}
}

// TestPackQuantised reads the layout back by its definition.
func TestPackQuantised(t *testing.T) {
	for _, d := range quantised {
		for _, s := range []struct{ rows, cols int }{{1, 1}, {16, 16}, {19, 30}, {32, 33}, {40, 70}, {32, 296}} {
			tensor, v := quantisedMatrix(t, d, s.rows, s.cols)
			p, _ := packMatrix(d, tensor)
			for r := range s.rows {
				for c := range s.cols {
					var got float32
					if d == model.W8 {
						q := int(p.data[r/16*16*p.inputs+c/4*64+r%16*4+c%4]) - 128
						got = float32(q) * math.Float32frombits(binary.LittleEndian.Uint32(p.scales[4*r:]))
					} else {
						b := p.data[r/16*8*p.inputs+c/8*64+r%16*4+c%4]
						q := int(b>>(c%8/4*4)&15) - 8
						at := (r/16*groupsOf(p.inputs)+c/128)*16 + r%16
						scale := make([]float32, 1)
						half := model.Tensor{DType: model.F16, Shape: []int{1}, Data: p.scales[2*at:][:2]}
						if err := half.Float32(scale); err != nil {
							t.Fatal(err)
						}
						got = float32(q) * scale[0]
					}
					if got != v[r*s.cols+c] {
						t.Fatalf("%s, %d×%d: [%d][%d] is %v, want %v", d, s.rows, s.cols, r, c, got, v[r*s.cols+c])
					}
				}
			}
		}
	}
}

// TestPackUnsound: what Tensor.CheckFinite refuses is noticed while packing, wherever it lies.
func TestPackUnsound(t *testing.T) {
	for _, d := range quantised {
		for _, s := range []struct{ rows, cols int }{{16, 256}, {19, 30}, {40, 296}} {
			sound, _ := quantisedMatrix(t, d, s.rows, s.cols)
			if _, ok := packMatrix(d, sound); !ok {
				t.Fatalf("%s %d×%d: a sound matrix is refused", d, s.rows, s.cols)
			}
			plant := func(what string, change func(t *model.Tensor)) {
				bad := sound
				bad.Data, bad.Scales = slices.Clone(sound.Data), slices.Clone(sound.Scales)
				change(&bad)
				if _, ok := packMatrix(d, bad); ok || bad.CheckFinite() == nil {
					t.Errorf("%s %d×%d: %s isn't noticed", d, s.rows, s.cols, what)
				}
			}
			last := len(sound.Scales)
			plant("an infinite scale", func(t *model.Tensor) {
				if d == model.W8 {
					binary.LittleEndian.PutUint32(t.Scales[last-4:], 0xff800000)
				} else {
					binary.LittleEndian.PutUint16(t.Scales[last-2:], 0x7c00)
				}
			})
			if d == model.W8 {
				plant("a number of -128", func(t *model.Tensor) { t.Data[len(t.Data)/2] = 0x80 })
				plant("a scale that overflows", func(t *model.Tensor) { binary.LittleEndian.PutUint32(t.Scales, math.Float32bits(1e38)) })
			}
		}
	}
}
