package quant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/engine/model"
)

// Algorithm is how scales are chosen.
type Algorithm string

// The algorithms.
const (
	// RTN rounds to nearest: the scale comes from the largest number. W4 takes the better of
	// two such scales.
	RTN Algorithm = "rtn"
	// Search tries some scales, each refined by least squares, and keeps the one with the
	// smallest squared error. Its error is never above RTN's; it takes some 20 times as long.
	Search Algorithm = "search"
	// GPTQ searches too, and lets the columns that aren't rounded yet make up for the error of
	// each, by how the inputs of the matrix depend on each other. It needs to see some.
	GPTQ Algorithm = "gptq"
)

// Formats are the names of the formats.
func Formats() []string { return []string{"w8", "w4"} }

// TypeOf is the type that a format gives to the tensor of that name, or "" for what it
// leaves as it is.
func TypeOf(format, name string) model.DType { return model.StoredType(format, name) }

// OnLoad says what to quantise c to while it is loaded, when weights was asked for: a format,
// or "" for nothing. weights is "" (as stored), "bf16" (as stored, which must be so), or a
// format. What is quantised already isn't quantised again. Its errors wrap
// model.ErrUnsupported.
func OnLoad(c *model.Checkpoint, weights string) (format string, err error) {
	stored := c.Config.DType
	switch {
	case weights == "", weights == stored, weights == "bf16" && stored == "bfloat16":
		return "", nil
	case weights == "bf16":
		return "", fmt.Errorf("%w: weights bf16: %s is stored as %s: leave the weights out to take them as they are", model.ErrUnsupported, c.Dir, stored)
	case !slices.Contains(Formats(), weights):
		return "", fmt.Errorf("%w: weights %q: want bf16, %s, or none to take them as they are stored", model.ErrUnsupported, weights, strings.Join(Formats(), ", "))
	case c.Quantization != nil:
		return "", fmt.Errorf("%w: weights %s: %s is quantised as %s, and quantising twice adds the errors up: take the model that it was made of", model.ErrUnsupported, weights, c.Dir, stored)
	}
	return weights, nil
}

// Load gives a tensor of c as OnLoad said: format is "" or a format, to which the tensor
// is rounded (RTN). What needs no change is a view, as Checkpoint.Tensor gives it.
func Load(c *model.Checkpoint, name, format string) (model.Tensor, error) {
	t, err := c.Tensor(name)
	if err != nil || format == "" || TypeOf(format, name) == "" {
		return t, err
	}
	return Matrix(t, TypeOf(format, name), RTN)
}
