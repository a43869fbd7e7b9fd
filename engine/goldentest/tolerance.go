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

// Bfloat16 is what a backend that rounds what it multiplies to bf16 may differ by.
//
// A sum whose terms are rounded by u = 2^-9 each has an error of about u of its size, since the errors are as random as
// the terms. A layer has six such sums in a row: of queries, keys and values, of scores, of values, and three
// of the output and the MLP. An error of scores, of size up to 16 spread over the elements of a head, turns to a relative one
// of what it weighs. Weights that aren't stored in bf16 are rounded too. Layers, the size of logits and deviations
// are those of Float32.
func Bfloat16(s Shape) float64 {
	c := s.Config
	layer := 6 + 16*math.Sqrt(2/float64(c.HeadDim))
	if c.DType != "bfloat16" {
		layer += 6
	}
	return 4 * 2 * math.Sqrt(float64(c.Layers)) * layer / (1 << 9)
}
