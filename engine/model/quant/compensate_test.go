package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// inputs are vectors whose columns depend on each other: each follows the one before it.
func inputs(seed uint64, count, width int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, count*width)
	for t := range count {
		v := 0.0
		for j := range width {
			v = 0.9*v + 0.4*rng.NormFloat64()
			x[t*width+j] = float32(v)
		}
	}
	return x
}

// TestSpan: UᵀU is the inverse of the damped moments, and U is upper triangular.
func TestSpan(t *testing.T) {
	const width, from, n, count = 200, 30, 150, 400
	x := inputs(1, count, width)
	s := newSpan(x, width, from, n)
	h := make([]float64, n*n)
	trace := 0.0
	for i := range n {
		for j := range n {
			for r := range count {
				h[i*n+j] += float64(x[r*width+from+i]) * float64(x[r*width+from+j])
			}
		}
		trace += h[i*n+i]
	}
	for i := range n {
		h[i*n+i] += damping * trace / n
	}
	inverse := make([]float64, n*n)
	for k := range n {
		for i := range n {
			if u := s.spread[k*n+i]; i < k && u != 0 {
				t.Fatalf("U[%d][%d] is %v below the diagonal", k, i, u)
			}
			for j := range n {
				inverse[i*n+j] += s.spread[k*n+i] * s.spread[k*n+j]
			}
		}
	}
	for i := range n {
		for j := range n {
			got, want := 0.0, 0.0
			for k := range n {
				got += inverse[i*n+k] * h[k*n+j]
			}
			if i == j {
				want = 1
			}
			if math.Abs(got-want) > 1e-9 { // the condition is below 1e5
				t.Fatalf("(UᵀU)·H at %d, %d is %v, want %v", i, j, got, want)
			}
		}
	}
	if newSpan(make([]float32, 3*width), width, from, n) != nil {
		t.Error("inputs of zeros gave a span")
	}
}

// outputError is Σ (W·x − W'·x)² over inputs.
func outputError(w, back, x []float32, rows, cols int) (sum float64) {
	for at := 0; at < len(x); at += cols {
		for r := range rows {
			d := 0.0
			for j := range cols {
				d += (float64(w[r*cols+j]) - float64(back[r*cols+j])) * float64(x[at+j])
			}
			sum += d * d
		}
	}
	return sum
}

// TestCompensated: outputs for inputs that weren't shown come out nearer than by search alone. The
// widths are those of part of a group, of several and of more than a span.
func TestCompensated(t *testing.T) {
	const rows = 12
	for _, cols := range []int{65, 300, spanColumns + 129} {
		v := normal(uint64(cols), rows*cols, 0.02)
		m := tensorF32("x", rows, cols, v)
		shown, other := inputs(2, 400, cols), inputs(3, 40, cols)
		_, searched := mustMatrix(t, m, model.W4, Search)
		q, err := Compensated(m, shown)
		if err != nil {
			t.Fatal(err)
		}
		back := make([]float32, len(v))
		if err := q.Float32(back); err != nil {
			t.Fatal(err)
		}
		gain := outputError(v, back, other, rows, cols) / outputError(v, searched, other, rows, cols)
		t.Logf("%d columns: %.3f of the squared error of search", cols, gain)
		if gain > 0.6 {
			t.Errorf("%d columns: %v of the squared error of search, want at most 0.6", cols, gain)
		}
		before := runtime.GOMAXPROCS(1)
		again, err := Compensated(m, shown)
		runtime.GOMAXPROCS(before)
		if err != nil || !bytes.Equal(again.Data, q.Data) || !bytes.Equal(again.Scales, q.Scales) {
			t.Errorf("%d columns: one processor gives other bits: %v", cols, err)
		}
	}
}

// TestCompensatedByNothing: inputs of zeros say nothing, so that search is left.
func TestCompensatedByNothing(t *testing.T) {
	m := tensorF32("x", 3, 130, normal(1, 390, 0.02))
	want, _ := mustMatrix(t, m, model.W4, Search)
	got, err := Compensated(m, make([]float32, 260))
	if err != nil || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Scales, want.Scales) {
		t.Errorf("other bits than by search: %v", err)
	}
	for _, n := range []int{0, 129} {
		if _, err := Compensated(m, make([]float32, n)); err == nil {
			t.Errorf("%d numbers were taken for vectors of 130", n)
		}
	}
}
