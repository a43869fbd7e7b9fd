package sample

import "math"

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
	l, z := float64(logits[id]), LogSumExp(logits)
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
