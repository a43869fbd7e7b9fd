package cpu

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/model"
)

// Options say how a model is opened. The zero value is valid.
type Options struct {
	// Pages is how many KV pages of backend.PageTokens positions there are; 0:
	// room for one sequence of MaxContext, at least 64.
	Pages int
	// MaxContext is the most positions of one sequence; 0: the model's own limit,
	// which it must not exceed.
	MaxContext int
	// Threads that compute, the caller included; 0: one a physical core that this
	// process may use. More than that is an error: they would wait for each other.
	Threads int
	// Compute is the type of activations in matrix products: "f32" (exact products, the
	// default of weights in bf16 and f32), "bf16" (rounded, faster where the machine
	// multiplies bf16) or "int8" (rounded by groups of 128; quantised weights take this
	// and nothing else).
	Compute string
	// Weights is what to quantise the weights to while loading: "" (as stored), "bf16" (as
	// stored, which must be so), "w8" or "w4".
	Weights string
	// KV is the type of keys and values in the pages: "f32", "bf16" or "int8" (a scale a
	// position and head); "": "f32" where Compute is "f32", else "bf16".
	KV string
	// ISA forces a kernel set by name (see Available); empty: the environment's
	// PACELINE_CPU_ISA, else the best this machine has.
	ISA string
}

const (
	maxTokens = 512 // of a batch
	maxRows   = 64  // of a batch
	maxDraft  = 32  // of a row
	minPages  = 64
)

// complete fills in defaults and reports what can't be. quantised says that the weights
// are, or will be.
func (o Options) complete(c model.Config, quantised bool, cores int) (Options, error) {
	switch {
	case quantised && o.Compute == "":
		o.Compute = "int8"
	case quantised && o.Compute != "int8":
		return o, fmt.Errorf("compute %q: quantised weights are multiplied in int8; leave it out", o.Compute)
	case o.Compute == "":
		o.Compute = "f32"
	case o.Compute == "int8" && !quantised:
		return o, fmt.Errorf("compute %q: only quantised weights are multiplied in int8; want f32 or bf16, or weights w8 or w4", o.Compute)
	case !quantised && o.Compute != "f32" && o.Compute != "bf16":
		return o, fmt.Errorf("compute %q: want f32 or bf16", o.Compute)
	}
	if o.KV == "" {
		o.KV = DefaultKV(o.Compute)
	}
	if kvBits(o.KV) == 0 {
		return o, fmt.Errorf("KV cache in %q: want f32, bf16 or int8", o.KV)
	}
	if o.MaxContext == 0 {
		o.MaxContext = c.MaxPositions
	}
	if o.MaxContext < 1 || o.MaxContext > c.MaxPositions {
		return o, fmt.Errorf("context of %d positions: want 1 to %d, the model's limit", o.MaxContext, c.MaxPositions)
	}
	if o.Threads == 0 {
		o.Threads = cores
	}
	if o.Threads < 1 || o.Threads > cores {
		return o, fmt.Errorf("%d threads: want 1 to %d, the cores this process may use", o.Threads, cores)
	}
	if o.Pages == 0 {
		o.Pages = max(minPages, admit.PagesFor(o.MaxContext))
	}
	if o.Pages < 1 || o.Pages > 1<<24 {
		return o, fmt.Errorf("%d KV pages: want 1 to %d", o.Pages, 1<<24)
	}
	return o, nil
}

// DefaultKV is the type of the KV pages for a type of activations.
func DefaultKV(compute string) string {
	if compute == "" || compute == "f32" {
		return "f32"
	}
	return "bf16"
}

// roundsAttention says that queries and the weights of attention are rounded to bf16: where
// keys and values are, and nothing exact was asked for.
func (o Options) roundsAttention() bool { return o.KV == "bf16" && o.Compute != "f32" }

// kvBits are the bits of one number of the KV cache, 0 for a type there isn't.
func kvBits(kv string) int { return map[string]int{"f32": 32, "bf16": 16, "int8": 8}[kv] }

// PageBytes is the memory of one KV page in the type kv.
func PageBytes(c model.Config, kv string) int64 {
	head := backend.PageTokens * 2 * pad(c.HeadDim) * kvBits(kv) / 8
	if kv == "int8" {
		head += backend.PageTokens * 2 * 4 // scales
	}
	return int64(c.Layers) * int64(c.KVHeads) * int64(head)
}

// lanes is how many rows of a matrix lie together (kernels.h, PL_LANES).
const lanes = 16

// pad is n rounded up to whole vectors of 16.
func pad(n int) int { return (n + lanes - 1) / lanes * lanes }
