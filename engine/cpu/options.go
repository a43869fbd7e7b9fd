package cpu

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
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
	// Compute is the type of activations in matrix products: "f32" (default, exact
	// products) or "bf16" (rounded, faster where the machine multiplies bf16).
	Compute string
	// ISA forces a kernel set by name (see Available); empty: the environment's
	// PACELINE_CPU_ISA, else the best this machine has.
	ISA string
}

const (
	maxTokens = 512 // of a batch
	maxRows   = 64  // of a batch
	minPages  = 64
)

// complete fills in defaults and reports what can't be.
func (o Options) complete(c model.Config, cores int) (Options, error) {
	if o.Compute == "" {
		o.Compute = "f32"
	}
	if o.Compute != "f32" && o.Compute != "bf16" {
		return o, fmt.Errorf("compute %q: want f32 or bf16", o.Compute)
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
		o.Pages = max(minPages, pagesFor(o.MaxContext))
	}
	if o.Pages < 1 || o.Pages > 1<<24 {
		return o, fmt.Errorf("%d KV pages: want 1 to %d", o.Pages, 1<<24)
	}
	return o, nil
}

// pagesFor is how many pages hold n positions.
func pagesFor(n int) int { return (n + backend.PageTokens - 1) / backend.PageTokens }
