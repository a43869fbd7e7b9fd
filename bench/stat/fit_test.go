package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestPolynomialIsExact(t *testing.T) {
	x := []float64{128, 512, 1024, 2048, 3840}
	var line, curve []float64
	for _, v := range x {
		line = append(line, 3+0.02*v)
		curve = append(curve, 3+0.02*v+5e-6*v*v)
	}
	f, ok := Polynomial(x, line, 1)
	if !ok || math.Abs(f.Of[0]-3) > 1e-9 || math.Abs(f.Of[1]-0.02) > 1e-12 || f.Half[1] > 1e-9 {
		t.Errorf("a line: %+v, %v", f, ok)
	}
	f, ok = Polynomial(x, curve, 2)
	if !ok || math.Abs(f.Of[1]-0.02) > 1e-9 || math.Abs(f.Of[2]-5e-6) > 1e-12 {
		t.Errorf("a parabola: %+v, %v", f, ok)
	}
	// Two points are a line without an interval.
	if f, ok = Polynomial(x[:2], line[:2], 1); !ok || math.Abs(f.Of[1]-0.02) > 1e-12 || !math.IsNaN(f.Half[1]) {
		t.Errorf("two points: %+v, %v", f, ok)
	}
	for name, bad := range map[string]struct {
		x, y   []float64
		degree int
	}{
		"one point":  {x[:1], line[:1], 1},
		"one x":      {[]float64{5, 5, 5}, line[:3], 1},
		"zeros":      {[]float64{0, 0}, line[:2], 1},
		"two of x²":  {[]float64{1, 2, 1, 2}, line[:4], 2},
		"degree 3":   {x, line, 3},
		"other size": {x, line[:2], 1},
	} {
		if f, ok := Polynomial(bad.x, bad.y, bad.degree); ok {
			t.Errorf("%s gives %+v", name, f)
		}
	}
}

// The interval of a slope holds the true one as often as it says.
func TestPolynomialInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := []float64{1, 2, 3, 4, 5, 6}
	for degree := 1; degree <= 2; degree++ {
		in, n := 0, 4000
		for range n {
			var y []float64
			for _, v := range x {
				y = append(y, 2+0.5*v+0.3*rng.NormFloat64())
			}
			want := []float64{2, 0.5, 0}[degree]
			if f, ok := Polynomial(x, y, degree); ok && math.Abs(f.Of[degree]-want) <= f.Half[degree] {
				in++
			}
		}
		if share := float64(in) / float64(n); share < 0.935 || share > 0.965 {
			t.Errorf("degree %d: the interval holds the truth in %.1f %%, want 95 %%", degree, 100*share)
		}
	}
}

func TestStudent(t *testing.T) {
	for free, want := range map[int]float64{1: 12.7062, 10: 2.2281, 11: 2.2010, 20: 2.0860, 30: 2.0423, 120: 1.9799} {
		if got := student(free); math.Abs(got-want) > 2e-3 {
			t.Errorf("%d: %.4f, want %.4f", free, got, want)
		}
	}
}
