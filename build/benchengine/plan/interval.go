package plan

import (
	"math"
	"slices"

	"github.com/paceline/paceline/bench/stat"
)

// Summary is some values of rounds.
type Summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Spread float64 `json:"spread"` // robust standard deviation (bench/stat.Spread)
	// Low and High are the 95 % interval of the median; both nil with fewer than six values,
	// of which no two can be such an interval.
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
}

// Summarise gives the statistics of values, which may be none: then N is 0 and the rest means
// nothing.
func Summarise(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	s := Summary{
		N: len(values), Median: stat.Median(values), Min: slices.Min(values), Max: slices.Max(values), Spread: stat.Spread(values),
	}
	sorted := slices.Sorted(slices.Values(values))
	if k := medianRank(len(values)); k > 0 {
		low, high := sorted[k-1], sorted[len(sorted)-k]
		s.Low, s.High = &low, &high
	}
	return s
}

// medianRank is the largest k ≥ 1 for which the k-th smallest and the k-th largest of n
// values hold the median with at least 95 %, or 0 where even k = 1 does not. It assumes
// nothing of the distribution: the median lies below the k-th smallest with the probability
// that fewer than k of n fair coins show heads (Conover, Practical Nonparametric Statistics,
// 3.2).
func medianRank(n int) int {
	const miss = 0.05 / 2
	// The probability of exactly i heads, and the sum so far.
	p := math.Pow(0.5, float64(n))
	sum, k := 0.0, 0
	for i := 0; i < n; i++ {
		if sum += p; sum > miss {
			break
		}
		k = i + 1
		p *= float64(n-i) / float64(i+1)
	}
	return k
}
