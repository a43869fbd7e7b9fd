package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/paceline/paceline/engine/model"
)

// Matrix quantises a matrix of shape [rows, cols], in bf16, f16 or f32, to W8 or W4, by RTN or
// Search. All processors share the rows. The result owns its memory. An element that isn't
// finite, and numbers too large for the scales, are errors that wrap model.ErrInvalid.
func Matrix(t model.Tensor, to model.DType, a Algorithm) (model.Tensor, error) {
	switch a {
	case RTN, Search:
		return matrix(t, to, a == Search, nil)
	}
	return model.Tensor{}, fmt.Errorf("quantise tensor %q by %q: want %s or %s", t.Name, a, RTN, Search)
}

// Compensated is Matrix to W4 by GPTQ. inputs are vectors that the matrix multiplies when the
// model runs, one after another, some hundreds of them.
func Compensated(t model.Tensor, inputs []float32) (model.Tensor, error) {
	if len(t.Shape) != 2 || len(inputs) == 0 || len(inputs)%t.Shape[1] != 0 {
		return model.Tensor{}, fmt.Errorf("quantise tensor %q of shape %v: %d numbers aren't its inputs", t.Name, t.Shape, len(inputs))
	}
	cols := t.Shape[1]
	var spans []*span
	for from := 0; from < cols; from += spanColumns {
		spans = append(spans, newSpan(inputs, cols, from, min(spanColumns, cols-from)))
	}
	return matrix(t, model.W4, true, spans)
}

// matrix quantises with or without a search for scales, and with the errors carried on
// within spans unless those are nil.
func matrix(t model.Tensor, to model.DType, search bool, spans []*span) (model.Tensor, error) {
	switch {
	case to != model.W8 && to != model.W4:
		return model.Tensor{}, fmt.Errorf("quantise tensor %q to %s: want %s or %s", t.Name, to, model.W8, model.W4)
	case t.DType != model.BF16 && t.DType != model.F16 && t.DType != model.F32:
		return model.Tensor{}, fmt.Errorf("quantise tensor %q: %w: its type is %s; supported: %s, %s, %s", t.Name, model.ErrUnsupported, t.DType, model.BF16, model.F16, model.F32)
	case len(t.Shape) != 2:
		return model.Tensor{}, fmt.Errorf("quantise tensor %q: its shape is %v, want a matrix", t.Name, t.Shape)
	}
	rows, cols := t.Shape[0], t.Shape[1]
	data, scales := to.PackedSizes(rows, cols)
	out := model.Tensor{Name: t.Name, DType: to, Shape: t.Shape, Data: make([]byte, data), Scales: make([]byte, scales)}
	var next, bad atomic.Int64 // bad is 1 + a row that can't be quantised, or 0
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), rows) {
		wait.Go(func() {
			w := make([]float32, cols)
			for r := int(next.Add(1)) - 1; r < rows; r = int(next.Add(1)) - 1 {
				size := cols * t.DType.Size()
				one := model.Tensor{Name: t.Name, DType: t.DType, Shape: []int{1, cols}, Data: t.Data[r*size : (r+1)*size]}
				done := one.Float32(w) == nil
				switch {
				case !done:
				case to == model.W8:
					done = rowW8(out, r, w, search)
				default:
					done = rowW4(out, r, w, search, spans)
				}
				if !done {
					bad.Store(int64(r) + 1)
					return
				}
			}
		})
	}
	wait.Wait()
	if r := bad.Load(); r != 0 {
		if err := t.CheckFinite(); err != nil {
			return model.Tensor{}, fmt.Errorf("quantise: %w", err)
		}
		return model.Tensor{}, fmt.Errorf("quantise tensor %q to %s: %w: the numbers of row %d are too large for its scales", t.Name, to, model.ErrInvalid, r-1)
	}
	return out, nil
}

// rowW8 quantises row r to one scale. It is false when the scale overflows.
func rowW8(out model.Tensor, r int, w []float32, search bool) bool {
	f := fit{w: w, lo: -127, hi: 127, round: round16}
	top := abs(signedMax(w))
	f.try(top / 127)
	if search {
		for steps := float32(123); steps < 160; steps += 3 {
			f.refine(top / steps)
		}
	}
	if !finite(127 * f.scale) {
		return false
	}
	binary.LittleEndian.PutUint32(out.Scales[4*r:], math.Float32bits(f.scale))
	data := out.Data[r*len(w):]
	for i, q := range f.numbers(make([]int8, len(w))) {
		data[i] = byte(q)
	}
	return true
}

// rowW4 quantises row r to a scale for each group. It is false when one overflows.
func rowW4(out model.Tensor, r int, w []float32, search bool, spans []*span) bool {
	groups := (len(w) + model.GroupColumns - 1) / model.GroupColumns
	numbers := make([]int8, len(w)+1) // the last is the pad of an odd row
	var rest []float64                // of a span's columns: what is still to be rounded
	for g := range groups {
		from := g * model.GroupColumns
		group := w[from:min(from+model.GroupColumns, len(w))]
		var s *span
		if spans != nil {
			s = spans[from/spanColumns]
		}
		if s != nil {
			if from == s.from {
				rest = widen(w[from : from+s.n])
			}
			group = narrow(rest[from-s.from:][:len(group)])
		}
		f := fitW4(group, search)
		if !finite(f.scale) {
			return false
		}
		bits, _ := model.Half(f.scale)
		binary.LittleEndian.PutUint16(out.Scales[2*(r*groups+g):], bits)
		if s == nil {
			f.numbers(numbers[from:])
			continue
		}
		for i := range group {
			at := from - s.from + i
			q := nearest(float32(rest[at])*invert(f.scale), f.lo, f.hi)
			numbers[from+i] = int8(q)
			s.carry(rest, at, rest[at]-float64(q*f.scale))
		}
	}
	data := out.Data[r*((len(w)+1)/2):]
	for i := range (len(w) + 1) / 2 {
		data[i] = byte(numbers[2*i]+8) | byte(numbers[2*i+1]+8)<<4
	}
	return true
}

// fitW4 finds the scale of a group.
func fitW4(group []float32, search bool) fit {
	f := fit{w: group, lo: -8, hi: 7, round: roundHalf}
	top := signedMax(group)
	f.try(top / -8)
	f.try(top / 7)
	if search {
		for steps := float32(6.5); steps < 10; steps += 0.25 {
			f.refine(top / -steps)
			f.refine(top / steps)
		}
	}
	return f
}

func widen(w []float32) []float64 {
	out := make([]float64, len(w))
	for i, v := range w {
		out[i] = float64(v)
	}
	return out
}

func narrow(w []float64) []float32 {
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = float32(v)
	}
	return out
}

// round16 rounds to 16 significant bits, so that a product with a number of up to eight
// is exact in float32.
func round16(v float32) float32 {
	b := math.Float32bits(v)
	return math.Float32frombits((b + 0x7f + b>>8&1) &^ 0xff)
}

func roundHalf(v float32) float32 {
	_, v = model.Half(v)
	return v
}

func finite(v float32) bool { return math.Float32bits(v)&0x7f800000 != 0x7f800000 }

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// signedMax is the element of the largest magnitude, the first of equals; 0 for none.
func signedMax(w []float32) float32 {
	top := float32(0)
	for _, v := range w {
		if abs(v) > abs(top) {
			top = v
		}
	}
	return top
}
