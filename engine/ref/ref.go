package ref

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
	"github.com/paceline/paceline/engine/sample"
)

// Limits of one batch. The scratch space is made for maxTokens.
const (
	maxRows   = 256
	maxTokens = 512
	maxDraft  = 32 // of a row
)

// Options size the backend. The zero value is valid.
type Options struct {
	Pages      int // KV pages; 0: what one sequence of MaxContext needs, at least 64
	MaxContext int // most positions of a sequence; 0: the model's own limit, which it mustn't exceed
	// Weights is "" or "bf16" (as stored), or the format "w8" or "w4" to which matrices are
	// rounded as they are loaded (see quant.OnLoad).
	Weights string
}

// ref implements backend.Backend. It computes inside Launch.
type ref struct {
	config  model.Config
	weights string // what they were before they became float32: "f32" stands for any float
	context int
	net     *network
	cache   *cache
	scratch *scratch
	sampler sample.Sampler
	flying  *backend.Batch // launched and not collected
	door    *admit.Door
	out     []backend.RowOut
}

// Open loads the weights of c, converted to float32 without loss. The checkpoint
// may be closed afterwards.
func Open(c *model.Checkpoint, o Options) (backend.Backend, error) {
	context := c.Config.MaxPositions
	if o.MaxContext != 0 {
		context = o.MaxContext
	}
	if context < 1 || context > c.Config.MaxPositions {
		return nil, fmt.Errorf("open the ref backend: a context of %d positions, want 1 to the model's %d", context, c.Config.MaxPositions)
	}
	pages := o.Pages
	if pages == 0 {
		pages = max(64, admit.PagesFor(context))
	}
	if pages < 1 {
		return nil, fmt.Errorf("open the ref backend: %d pages, want at least 1", pages)
	}
	format, err := quant.OnLoad(c, o.Weights)
	if err != nil {
		return nil, fmt.Errorf("open the ref backend: %w", err)
	}
	net, err := loadNetwork(c, format)
	if err != nil {
		return nil, fmt.Errorf("open the ref backend: %w", err)
	}
	switch {
	case format != "":
	case c.Quantization != nil:
		format = c.Quantization.Weights
	default:
		format = "f32"
	}
	r := &ref{
		config:  c.Config,
		weights: format,
		context: context,
		net:     net,
		cache:   newCache(c.Config, pages),
		scratch: newScratch(c.Config, context),
	}
	r.door = admit.New(r.Info(), pages)
	return r, nil
}

func (r *ref) Info() backend.Info {
	return backend.Info{
		Name: "ref", Device: runtime.GOARCH, Compute: "f64", Weights: r.weights, Threads: 1, MaxInFlight: 1,
		MaxRows: maxRows, MaxTokens: maxTokens, MaxContext: r.context, VocabSize: r.config.VocabSize,
		MaxDraft: maxDraft,
	}
}

func (r *ref) Pages() backend.Pages { return r.cache }

func (r *ref) Memory() backend.Memory {
	return backend.Memory{Weights: r.net.bytes(), KV: r.cache.bytes(), Activation: r.scratch.bytes()}
}

// Launch computes the whole batch. A batch that breaks the rules of
// backend.Row is refused before anything is computed.
func (r *ref) Launch(b *backend.Batch) error {
	if r.flying != nil {
		return errors.New("launch: the batch before this one isn't collected")
	}
	if err := r.door.Check(b, nil); err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	r.out = r.out[:0]
	for i := range b.Rows {
		r.out = append(r.out, r.computeRow(&b.Rows[i]))
	}
	r.flying = b
	return nil
}

// Collect hands over what Launch computed.
func (r *ref) Collect(b *backend.Batch) error {
	if r.flying != b || b == nil {
		return errors.New("collect: this batch wasn't launched, or was collected before")
	}
	b.Out, r.flying = r.out, nil
	return nil
}

func (r *ref) Close() error {
	r.net, r.cache, r.scratch, r.out = nil, nil, nil, nil
	return nil
}

// computeRow feeds the row's tokens and answers what it asks for.
func (r *ref) computeRow(row *backend.Row) backend.RowOut {
	hidden := r.net.forward(row, r.cache, r.scratch)
	n, width := len(row.Tokens), r.config.HiddenSize
	out := backend.RowOut{Token: -1}
	logits := r.scratch.logits
	if row.WantAllLogProbs {
		out.LogProbs = make([]float32, n-1)
		for i := range n - 1 {
			r.net.logits(logits, hidden[i*width:(i+1)*width], r.scratch)
			out.LogProbs[i] = float32(logProb(logits, row.Tokens[i+1]))
		}
	}
	if row.Sample == nil && !row.WantLogits {
		return out
	}
	rounded := make([]float32, len(logits))
	for draw := range row.Draft + 1 {
		at := n - 1 - row.Draft + draw
		r.net.logits(logits, hidden[at*width:(at+1)*width], r.scratch)
		for i, v := range logits {
			rounded[i] = float32(v)
		}
		if row.Sample == nil {
			continue
		}
		s := *row.Sample
		s.Position += uint64(draw)
		out.Token = r.sampler.Token(rounded, s)
		if row.Draft > 0 {
			out.Drawn = append(out.Drawn, out.Token)
		}
	}
	if row.TopLogProbs > 0 {
		out.Top, out.TokenLogProb = sample.Top(nil, rounded, out.Token, row.TopLogProbs)
	}
	if row.WantLogits {
		out.Logits = rounded
	}
	return out
}
