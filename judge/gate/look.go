package gate

import (
	"math"

	"github.com/paceline/paceline/bench/stat"
)

// Constants of the rule.
const (
	medianVar   = 1.571 // variance of a median of normal values, × n: π/2
	zFail       = 3.0
	zUpper      = 1.645 // one-sided 95 %
	smallSpread = 0.05  // least noise of a baseline of fewer than five rounds
	fewRounds   = 5
	maxLook     = 7
)

// looks are the numbers of rounds at which the gate decides, and how many of them
// may lie under 0.6 of the threshold in a fail.
func looks() [4][2]int { return [4][2]int{{1, -1}, {3, 0}, {5, 1}, {maxLook, 1}} }

// nextLook is the look after k rounds.
func nextLook(k int) int {
	for _, look := range looks() {
		if look[0] > k {
			return look[0]
		}
	}
	return k
}

// level is a baseline in logs with a rule's limits on d.
type level struct {
	sign   float64 // +1: higher is better
	median float64
	s      float64 // noise
	n      int
	lo, hi float64
}

func (r Rule) level(base []float64, pooled float64) level {
	l := level{sign: 1, median: stat.Median(base), s: noise(base, pooled), n: len(base)}
	if !r.HigherIsBetter() {
		l.sign = -1
	}
	l.lo, l.hi = r.limits()
	return l
}

// figures are what a look at k rounds gives.
type figures struct {
	k     int
	d, z  float64
	under int
}

// look computes the figures of the candidate's logs.
func (l level) look(cand []float64) figures {
	f := figures{k: len(cand), d: l.sign * (l.median - stat.Median(cand))}
	f.z = f.d / (l.s * errorFactor(f.k, l.n))
	for _, x := range cand {
		if l.sign*(l.median-x) < l.lo {
			f.under++
		}
	}
	return f
}

// upper is the one-sided 95 % bound of d.
func (l level) upper(f figures) float64 { return f.d + zUpper*l.s*errorFactor(f.k, l.n) }

// decide gives the verdict at a look; empty: more rounds are needed.
func (l level) decide(f figures, severity Severity, startBound bool) Kind {
	beyond := f.d > l.hi
	switch {
	case f.d < l.lo:
		return Pass
	case severity == Investigate && beyond:
		return Warn
	case severity == Investigate:
		return Pass
	case severity == Critical && beyond:
		return Fail
	case beyond && f.k > 1 && f.z >= zFail && f.under <= allowed(f.k) && l.canFail(startBound):
		return Fail
	case f.k < maxLook:
		return ""
	case l.upper(f) >= l.hi:
		return Inconclusive
	}
	return Warn
}

// canFail says whether the gate may fail at all: rounds of a subject that can't be
// restarted share one start's error, and so may those of a short baseline.
func (l level) canFail(startBound bool) bool { return !startBound || l.n >= fewRounds }

// allowed is how many rounds may lie under the lower mark in a fail after k rounds.
func allowed(k int) int {
	for _, look := range looks() {
		if look[0] == k {
			return look[1]
		}
	}
	return -1
}

// noise is s: the robust spread of the baseline's logs, at least 1 %, and at least
// 5 % and the pooled spread for a baseline of fewer than five rounds.
func noise(base []float64, pooled float64) float64 {
	s := max(stat.Spread(base), math.Log(1.01))
	if len(base) < fewRounds {
		s = max(s, pooled, smallSpread)
	}
	return s
}

// errorFactor is √(c/k + c/n), with c = π/2 for medians and 1 for single rounds.
func errorFactor(k, n int) float64 {
	return math.Sqrt(variance(k) + variance(n))
}

func variance(count int) float64 {
	if count == 1 {
		return 1
	}
	return medianVar / float64(count)
}
