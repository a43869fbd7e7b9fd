package load

import (
	"math"
	"testing"
	"time"
)

// TestArrivals: mean and spread of the gaps are those of the distribution, within five standard errors, and a seed gives
// the same instants again.
func TestArrivals(t *testing.T) {
	const n, rate = 20_000, 50.0
	for name, c := range map[string]struct {
		new func(seed uint64) *Arrivals
		cv  float64
	}{
		"constant":       {func(uint64) *Arrivals { return Constant(rate) }, 0},
		"poisson":        {func(s uint64) *Arrivals { return Poisson(rate, s) }, 1},
		"gamma, as it":   {func(s uint64) *Arrivals { return Gamma(rate, 1, s) }, 1},
		"gamma, bursts":  {func(s uint64) *Arrivals { return Gamma(rate, 0.25, s) }, 2},
		"gamma, regular": {func(s uint64) *Arrivals { return Gamma(rate, 16, s) }, 0.25},
	} {
		a, again := c.new(7), c.new(7)
		var before time.Duration
		var sum, squares float64
		for range n {
			at := a.Next()
			if at != again.Next() {
				t.Fatalf("%s: one seed gives two schedules", name)
			}
			gap := (at - before).Seconds()
			if gap < 0 {
				t.Fatalf("%s: an arrival before the one in front", name)
			}
			sum, squares, before = sum+gap, squares+gap*gap, at
		}
		mean := sum / n
		cv := math.Sqrt(squares/n-mean*mean) / mean
		if off := math.Abs(mean*rate - 1); off > 5*c.cv/math.Sqrt(n)+1e-9 {
			t.Errorf("%s: the mean gap is %.2f %% off", name, 100*off)
		}
		if math.Abs(cv-c.cv) > 0.1*c.cv+1e-4 {
			t.Errorf("%s: a coefficient of variation of %.3f, want %.3f", name, cv, c.cv)
		}
	}
}

// TestArrivalsAreAbsolute: rounding doesn't add up, whatever the rate.
func TestArrivalsAreAbsolute(t *testing.T) {
	a := Constant(3)
	var at time.Duration
	for range 3_000_000 {
		at = a.Next()
	}
	if off := at - 1_000_000*time.Second; off.Abs() > time.Microsecond {
		t.Errorf("after three million arrivals at 3 a second the schedule is %v off", off)
	}
}
