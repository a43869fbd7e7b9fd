package goldentest

import "math"

// Exact is what a backend that computes in float64 may differ by: the rounding of logits to
// float32, 2^-24 of their size, which stays below 16.
const Exact = 16.0 / (1 << 24)

// Float32 is what a backend that computes in float32 may differ by after so many positions.
//
// Rounding errors of a sum of n products are about u·√n of its size, with u = 2^-24
// (Higham and Mary: A new approach to probabilistic rounding error analysis, 2019). A layer
// adds those of its sums over the hidden and the inner width and over the positions; and
// those of scores, sums over a head, which softmax turns from absolute errors of scores, of
// size up to 16 here, to relative ones of what it weighs. Layers add up as random errors do.
// Logits have a size of about 2; four deviations cover the greatest of some hundreds.
func Float32(s Shape, positions int) float64 {
	c, root := s.Config, func(n int) float64 { return math.Sqrt(float64(n)) }
	layer := root(c.HiddenSize) + root(c.IntermediateSize) + root(positions) + 16*root(c.HeadDim)
	return 4 * 2 * root(c.Layers) * layer / (1 << 24)
}
