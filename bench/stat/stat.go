// Package stat has the statistics of results: exact quantiles, medians and robust
// spread, with a warning where there is too little to go by.
//
// Values are plain numbers in a metric's unit; which statistic a metric has and how
// many samples it needs is bench/metric's. What a difference means is judge's.
package stat

import (
	"fmt"
	"math"
	"slices"

	"github.com/paceline/paceline/bench/metric"
)

// MADScale makes the median absolute deviation of normal values estimate their
// standard deviation: 1/Φ⁻¹(3/4).
const MADScale = 1.4826

// InsufficientError says how many samples a statistic needs.
type InsufficientError struct {
	Stat       metric.Stat
	Have, Need int
}

// Error is one sentence for people.
func (e *InsufficientError) Error() string {
	return fmt.Sprintf("insufficient: %s needs %d samples, there are %d", e.Stat, e.Need, e.Have)
}

// Quantile is the q-quantile of values, 0 ≤ q ≤ 1, by linear interpolation between
// order statistics (type 7 of Hyndman and Fan, 1996). values need not be sorted
// and are not changed. NaN for no values, or where one is NaN.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 || math.IsNaN(q) || q < 0 || q > 1 || slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN()
	}
	return QuantileSorted(slices.Sorted(slices.Values(values)), q)
}

// QuantileSorted is Quantile of values in ascending order, at least one, none NaN.
func QuantileSorted(sorted []float64, q float64) float64 {
	h := q * float64(len(sorted)-1)
	low := int(math.Floor(h))
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	a, b := sorted[low], sorted[low+1]
	if a == b { // also for two equal infinities, whose difference is no number
		return a
	}
	return a + (h-float64(low))*(b-a)
}

// Median is the 0.5-quantile.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Mean is the arithmetic mean; NaN for no values.
func Mean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	// The running mean stays in range where a sum would overflow.
	var m float64
	for i, v := range values {
		m += (v - m) / float64(i+1)
	}
	return m
}

// MAD is the median absolute deviation from the median, unscaled; NaN for no values.
func MAD(values []float64) float64 {
	m := Median(values)
	dev := make([]float64, len(values))
	for i, v := range values {
		dev[i] = math.Abs(v - m)
	}
	return Median(dev)
}

// Spread is MADScale × MAD: robust, and the standard deviation where values are normal.
func Spread(values []float64) float64 { return MADScale * MAD(values) }

// HalfRange is half of max − min; 0 for one value, NaN for none.
func HalfRange(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return (slices.Max(values) - slices.Min(values)) / 2
}

// CV is the coefficient of variation: standard deviation (n − 1) over the absolute
// mean. NaN for fewer than two values or a mean of zero.
func CV(values []float64) float64 {
	if len(values) < 2 {
		return math.NaN()
	}
	m := Mean(values)
	var ss float64
	for _, v := range values {
		ss += (v - m) * (v - m)
	}
	return math.Sqrt(ss/float64(len(values)-1)) / math.Abs(m)
}

// Of computes a metric's statistic. Too few values give an *InsufficientError and
// NaN; metric.One is the median.
func Of(s metric.Stat, values []float64) (float64, error) {
	if need := s.MinSamples(); len(values) < need {
		return math.NaN(), &InsufficientError{Stat: s, Have: len(values), Need: need}
	}
	switch s {
	case metric.Mean:
		return Mean(values), nil
	case metric.Max:
		return slices.Max(values), nil
	case metric.P5:
		return Quantile(values, 0.05), nil
	case metric.One, metric.P50:
		return Median(values), nil
	case metric.P90:
		return Quantile(values, 0.90), nil
	case metric.P95:
		return Quantile(values, 0.95), nil
	case metric.P99:
		return Quantile(values, 0.99), nil
	}
	return math.NaN(), fmt.Errorf("unknown statistic %q", s)
}
