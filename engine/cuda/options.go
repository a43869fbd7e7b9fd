package cuda

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
	"github.com/paceline/paceline/engine/room"
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
	// NVRTC is NVIDIA's compiler library; "": looked for where it usually is. It is needed only for what
	// isn't compiled yet.
	NVRTC string
	// Weights is what to hold the weights in: "" (as stored; float32 and float16 become bf16), "bf16", "w8" or "w4".
	Weights string
	// Warpgroups multiplies many rows by Hopper's own instructions. It is off until a device has shown that results are
	// then the same to the bit, which a request's tokens depend on where it is computed beside others.
	Warpgroups bool
}

// ErrMemory is wrapped by the error of opening a model that the device has no memory for.
var ErrMemory = room.ErrMemory

const (
	maxTokens = 2048 // of a batch: a prompt of so many fills a large device
	maxRows   = 256  // of a batch
	maxDraft  = 32   // of a row
	minPages  = 64

	keptRows   = 256   // logits rows that are on the device at a time
	stagedRows = 32    // of them, that are on their way to the host
	maxParts   = 8192  // parts of attention that wait for a merge
	maxEdits   = 65536 // of a batch
)

// complete fills in defaults, but for Pages, and reports what can't be. format is what the weights are quantised
// to while they are loaded, or "".
func (o Options) complete(c *model.Checkpoint) (_ Options, format string, err error) {
	if format, err = quant.OnLoad(c, o.Weights); err != nil {
		return o, "", err
	}
	switch {
	case format != "":
		o.Weights = format
	case c.Quantization != nil:
		o.Weights = c.Quantization.Weights
	default:
		o.Weights = "bf16"
	}
	if o.MaxContext == 0 {
		o.MaxContext = c.Config.MaxPositions
	}
	if o.MaxContext < 1 || o.MaxContext > c.Config.MaxPositions {
		return o, "", fmt.Errorf("context of %d positions: want 1 to %d, the model's limit", o.MaxContext, c.Config.MaxPositions)
	}
	if o.Pages < 0 || o.Pages > 1<<24 {
		return o, "", fmt.Errorf("%d KV pages: want 1 to %d, or 0 for what the device's memory allows", o.Pages, 1<<24)
	}
	return o, format, nil
}

// pageElements are the numbers of a KV page over all layers.
func pageElements(s kernels.Shape, layers int) int64 { return int64(layers) * 2 * int64(s.KVSide()) }

// PageBytes is the memory of one KV page of a model.
func PageBytes(c model.Config) (int64, error) {
	s, err := kernels.ShapeOf(c, kernels.BF16)
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
