package goldentest

import (
	"math"
	"testing"
)

// difference is the greatest one between elements.
func difference(t *testing.T, got, want [][]float64) float64 {
	t.Helper()
	worst := 0.0
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("list %d has %d numbers, want %d", i, len(got[i]), len(want[i]))
		}
		for j := range want[i] {
			worst = max(worst, math.Abs(got[i][j]-want[i][j]))
		}
	}
	return worst
}

// TestOneLayer agrees with transformers in all digits that the golden has, and would not if
// rotary angles were taken in float32.
func TestOneLayer(t *testing.T) {
	s := Long()
	c := Make(t, s)
	g, err := read(s, c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOneLayer(c)
	if err != nil {
		t.Fatal(err)
	}
	ids := Prompt(s.Config.MaxPositions, s.Config.VocabSize)
	if d := difference(t, o.Logits(ids[:s.Count()], s.Positions), g.Logits); d > 1e-8 { // nine digits of numbers below 16
		t.Errorf("differs from transformers by %g", d)
	}
	last := []int{len(ids) - 1}
	exact := o.Logits(ids, last)
	o.Angle = func(p int, f float64) float64 { return float64(float32(p) * float32(f)) }
	d := difference(t, o.Logits(ids, last), exact)
	t.Logf("with angles in float32, logits at the end of the context differ by %.2g", d)
	if d < 1.5*Float32(s, len(ids)) {
		t.Errorf("angles in float32 make a difference of %g only, which a test of a backend could not see", d)
	}
}
