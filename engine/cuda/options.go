package cuda

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// Options say how a model is opened. The zero value is valid.
type Options struct {
	// Device is the GPU: its index ("0"), its UUID or the UUID of a MIG instance, as
	// nvidia-smi prints them; "": the first.
	Device string
	// Pages is how many KV pages of backend.PageTokens positions there are; 0: what the device's
	// memory allows, but no more than MaxRows sequences of MaxContext fill.
	Pages int
	// MaxContext is the most positions of one sequence; 0: the model's own limit, which it must not
	// exceed.
	MaxContext int
	// Weights is what to hold the weights in: "" or "bf16".
	Weights string
}

const (
	maxTokens = 512 // of a batch
	maxRows   = 256 // of a batch
	maxDraft  = 32  // of a row
	minPages  = 64

	keptRows   = 256   // logits rows that are on the device at a time
	stagedRows = 32    // of them, that are on their way to the host
	maxParts   = 8192  // parts of attention that wait for a merge
	maxEdits   = 65536 // of a batch
)

// complete fills in defaults, but for Pages, and reports what can't be.
func (o Options) complete(c *model.Checkpoint) (Options, error) {
	if c.Quantization != nil {
		return o, fmt.Errorf("weights in %s: this backend computes with bf16 ones; take the cpu backend, or the checkpoint before it was quantised", c.Config.DType)
	}
	switch o.Weights {
	case "":
		o.Weights = "bf16"
	case "bf16":
	default:
		return o, fmt.Errorf("weights %q: this backend holds them in bf16; leave it out, or take the cpu backend", o.Weights)
	}
	if o.MaxContext == 0 {
		o.MaxContext = c.Config.MaxPositions
	}
	if o.MaxContext < 1 || o.MaxContext > c.Config.MaxPositions {
		return o, fmt.Errorf("context of %d positions: want 1 to %d, the model's limit", o.MaxContext, c.Config.MaxPositions)
	}
	if o.Pages < 0 || o.Pages > 1<<24 {
		return o, fmt.Errorf("%d KV pages: want 1 to %d, or 0 for what the device's memory allows", o.Pages, 1<<24)
	}
	return o, nil
}

// pageElements are the numbers of a KV page over all layers.
func pageElements(s kernels.Shape, layers int) int64 { return int64(layers) * 2 * int64(s.KVSide()) }

// PageBytes is the memory of one KV page of a model.
func PageBytes(c model.Config) (int64, error) {
	s, err := kernels.ShapeOf(c)
	return 2 * pageElements(s, c.Layers), err
}

// tablePages is the room for the page tables of a batch.
func (o Options) tablePages() int { return maxRows * admit.PagesFor(o.MaxContext) }

func (o Options) info(c model.Config) backend.Info {
	return backend.Info{
		Name: "cuda", Compute: "bf16", Weights: o.Weights, KV: "bf16",
		MaxInFlight: 2, MaxRows: maxRows, MaxTokens: maxTokens, MaxContext: o.MaxContext, MaxDraft: maxDraft, VocabSize: c.VocabSize,
	}
}
