package chart

import (
	"fmt"
	"slices"
	"strings"
)

// SparkWidth and SparkHeight are the size of a sparkline's drawing, in its own units.
const (
	SparkWidth  = 120
	SparkHeight = 24
)

// Spark gives the points of an SVG polyline through the values, oldest first, and
// where the last one lies; empty for fewer than two finite values.
func Spark(values []float64) (points string, lastX, lastY float64) {
	values = slices.DeleteFunc(slices.Clone(values), bad)
	if len(values) < 2 {
		return "", 0, 0
	}
	lo, hi := slices.Min(values), slices.Max(values)
	span := hi - lo
	var b strings.Builder
	for i, v := range values {
		lastX = 2 + float64(i)/float64(len(values)-1)*(SparkWidth-4)
		lastY = SparkHeight / 2
		if span > 0 {
			lastY = 2 + (hi-v)/span*(SparkHeight-4)
		}
		fmt.Fprintf(&b, "%.1f,%.1f ", lastX, lastY)
	}
	return strings.TrimSpace(b.String()), lastX, lastY
}

// middle is the median of values, which are at least one.
func middle(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
