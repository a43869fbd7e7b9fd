package ref

import (
	"math"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) < 1e-12) {
			t.Errorf("%s: got %v, want %v", what, got, want)
			return
		}
	}
}

func TestRMSNorm(t *testing.T) {
	y := make([]float64, 4)
	// The mean squares are (9+16)/2 = 12.5 and 1/2; eps adds 3.5.
	rmsNorm(y, []float64{3, 4, 1, 0}, []float32{1, 2}, 3.5)
	near(t, "rmsNorm", y, []float64{0.75, 2, 0.5, 0})
}

func TestSoftmax(t *testing.T) {
	x := []float64{1000, 1000 + math.Log(3), math.Inf(-1)} // the raw exponentials overflow
	softmax(x)
	near(t, "softmax", x, []float64{0.25, 0.75, 0})
	near(t, "logProb", []float64{logProb([]float64{-800, -800, -800, -800}, 2)}, []float64{-math.Log(4)})
}

func TestMatrixApply(t *testing.T) {
	m := matrix{outputs: 2, inputs: 3, data: []float32{1, 2, 3, -1, 0, 0.5}}
	y := make([]float64, 4)
	m.apply(y, []float64{1, 1, 1, 2, 0, 4}, []float32{10, 20}, &scratch{row: make([]float64, 3)})
	near(t, "apply", y, []float64{16, 19.5, 24, 20})
	for n := range 9 { // every remainder of four
		a, want := make([]float64, n), 0.0
		for i := range a {
			a[i] = float64(i + 1)
			want += a[i] * a[i]
		}
		near(t, "dot", []float64{dot(a, a)}, []float64{want})
	}
}

func TestRotation(t *testing.T) {
	r := newRotation(100, 4) // angles p and p/10
	x := []float64{1, 2, 0, 0}
	r.set(0)
	r.turn(x)
	near(t, "position 0", x, []float64{1, 2, 0, 0})
	r.set(3)
	r.turn(x)
	near(t, "position 3", x, []float64{math.Cos(3), 2 * math.Cos(0.3), math.Sin(3), 2 * math.Sin(0.3)})

	// What attention sees depends on the distance of two positions only.
	product := func(p, q int) float64 {
		a, b := []float64{0.3, -1, 2, 0.7}, []float64{1.1, 0.4, -0.6, 2}
		r.set(p)
		r.turn(a)
		r.set(q)
		r.turn(b)
		return dot(a, b)
	}
	near(t, "equal distances", []float64{product(17, 5)}, []float64{product(112, 100)})
}

// TestAttend checks one position's attention against weights worked out by hand.
func TestAttend(t *testing.T) {
	c := model.Config{Layers: 1, Heads: 4, KVHeads: 2, HeadDim: 2}
	n := &network{config: c}
	kv := newCache(c, 3)
	table := []backend.PageID{2, 0}
	s := &scratch{weights: make([]float64, 100)}
	const last = 65 // in the second page
	for p := range last + 1 {
		copy(kv.key(table, 0, p), []float64{-1e4, 0, 0, 0})
		copy(kv.value(table, 0, p), []float64{100, 100, float64(p), 1})
	}
	// For query heads 0 and 1, which share KV head 0, only positions 63 and 65
	// count: weights 3/4 and 1/4 for a query of √2·ln 3.
	copy(kv.key(table, 0, 63), []float64{1, 0, 0, 0})
	copy(kv.value(table, 0, 63), []float64{4, 0, 63, 1})
	copy(kv.key(table, 0, 65), []float64{0, 1, 0, 0})
	copy(kv.value(table, 0, 65), []float64{0, 8, 65, 1})
	mixed := make([]float64, 2)
	n.attend(0, 1, last, []float64{math.Sqrt2 * math.Log(3), 0}, mixed, table, kv, s)
	near(t, "head 1", mixed, []float64{3, 2})
	// Query heads 2 and 3 read KV head 1, whose keys are all zero: the mean.
	n.attend(0, 2, last, []float64{5, 5}, mixed, table, kv, s)
	near(t, "head 2", mixed, []float64{32.5, 1})
	// Causal: position 63 sees nothing of what comes after it.
	n.attend(0, 0, 63, []float64{math.Sqrt2 * math.Log(3), 0}, mixed, table, kv, s)
	near(t, "head 0 at position 63", mixed, []float64{4, 0})
}
