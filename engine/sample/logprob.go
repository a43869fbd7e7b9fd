package sample

import (
	"math"

	"github.com/paceline/paceline/engine/backend"
)

// LogSumExp is ln Σ exp(logit), in float64 with the greatest logit taken out first.
// NaN counts as −Inf; it is −Inf for no logits, and +Inf if a logit is. Unlike Token it
// isn't fixed to the last bit across machines.
func LogSumExp(logits []float32) float64 {
	first := Argmax(logits)
	if first < 0 {
		return math.Inf(-1)
	}
	top := float64(logits[first])
	if math.IsNaN(top) || math.IsInf(top, -1) {
		return math.Inf(-1)
	}
	if math.IsInf(top, 1) {
		return top
	}
	var sum float64
	for _, l := range logits {
		if l == l {
			sum += math.Exp(float64(l) - top)
		}
	}
	return top + math.Log(sum)
}

// LogProb is the natural logarithm of id's softmax probability, ≤ 0; −Inf for an id that
// isn't there or has none.
func LogProb(logits []float32, id int32) float64 {
	if id < 0 || int(id) >= len(logits) {
		return math.Inf(-1)
	}
	return logProb(logits[id], LogSumExp(logits))
}

// logProb is ln of the probability of an id with this logit, where z is the row's LogSumExp.
func logProb(logit float32, z float64) float64 {
	l := float64(logit)
	if math.IsNaN(l) || math.IsInf(l, -1) || math.IsInf(z, -1) {
		return math.Inf(-1)
	}
	if math.IsInf(z, 1) {
		if math.IsInf(l, 1) {
			return 0
		}
		return math.Inf(-1)
	}
	return min(l-z, 0)
}

// Top appends the n likeliest ids, likeliest first and the lowest id first among equals, to
// into, and gives the natural logarithm of id's probability beside them. All are of softmax of
// the logits as they are; fewer than n where there are fewer logits.
func Top(into []backend.Likely, logits []float32, id int32, n int) (top []backend.Likely, ofID float32) {
	z := LogSumExp(logits)
	from := len(into)
	worst := uint64(0) // rank of the last of n
	for i, l := range logits {
		r := rank(l, i)
		if len(into)-from == n {
			if n == 0 || r <= worst {
				continue
			}
			into = into[:len(into)-1]
		}
		at := len(into)
		for at > from && rank(logits[into[at-1].ID], int(into[at-1].ID)) < r {
			at--
		}
		into = append(into, backend.Likely{})
		copy(into[at+1:], into[at:])
		into[at] = backend.Likely{ID: int32(i), LogProb: float32(logProb(l, z))}
		last := into[len(into)-1].ID
		worst = rank(logits[last], int(last))
	}
	if id < 0 || int(id) >= len(logits) {
		return into, float32(math.Inf(-1))
	}
	return into, float32(logProb(logits[id], z))
}
