package harness

import (
	"math"
	"time"
)

// Warm-up rates are compared over windows that have at least one completion a slot
// and last at least minWarm, so that the clock's grain and one request's luck don't
// decide.
const (
	minWarm     = 100 * time.Millisecond
	warmWindows = 3
)

// stability watches the output rate of a warm-up.
type stability struct {
	limit  float64 // coefficient of variation
	every  int     // completions a window has at least
	from   time.Time
	tokens int64
	count  int
	rates  []float64
}

// completion takes the end of a request, with the tokens so far.
func (s *stability) completion(now time.Time, tokens int64) {
	s.count++
	took := now.Sub(s.from)
	if s.count < s.every || took < minWarm {
		return
	}
	s.rates = append(s.rates, float64(tokens-s.tokens)/took.Seconds())
	s.from, s.tokens, s.count = now, tokens, 0
}

// variation is the coefficient of variation of the last three rates; ok is false
// before there are three.
func (s *stability) variation() (cv float64, ok bool) {
	if len(s.rates) < warmWindows {
		return 0, false
	}
	last := s.rates[len(s.rates)-warmWindows:]
	var sum, squares float64
	for _, r := range last {
		sum += r
	}
	mean := sum / warmWindows
	if mean <= 0 {
		return 0, false
	}
	for _, r := range last {
		squares += (r - mean) * (r - mean)
	}
	return math.Sqrt(squares/(warmWindows-1)) / mean, true
}

func (s *stability) stable() bool {
	cv, ok := s.variation()
	return ok && cv <= s.limit
}
