package gate

import (
	"math"
	"testing"
)

// TestNoise: a change of exactly that size has a z of 3, and fewer rounds hide more.
func TestNoise(t *testing.T) {
	noise := func(value float64, k int) (*Verdict, float64) {
		c := Candidate{}
		for range k {
			c.Rounds = append(c.Rounds, Round{Value: value})
		}
		o := Decide(rule(.2), steady(100, 10), c)
		if o.Verdict == nil {
			t.Fatalf("%d rounds of %g: no verdict", k, value)
		}
		return o.Verdict, o.Verdict.Noise()
	}
	v, one := noise(99, 1)
	v, _ = noise(v.BaselineValue*(1-one), 1)
	if math.Abs(v.Z-zFail) > 1e-3 { // the level is a median of logarithms
		t.Errorf("a drop of %g has z %g", one, v.Z)
	}
	v, seven := noise(60, 7)
	if seven >= one || math.Abs(seven-v.CanSee) > 1e-12 {
		t.Errorf("noise of one round %g, of seven %g, can see %g", one, seven, v.CanSee)
	}
	if got := (&Verdict{Rule: rule(.2)}).Noise(); got != 0 {
		t.Errorf("noise of nothing is %g", got)
	}
}
