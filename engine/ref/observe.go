package ref

import (
	"context"
	"fmt"
	"strings"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// observedTokens are computed at a time between looks at the context.
const observedTokens = 32

// Observe computes ids, at least one and at most the model's context, and gives what the
// matrices of each layer multiply: by InputsOf their names, a vector a token, one after
// another. ctx ends it within some tokens, of which a model of 0.5 G parameters computes
// about one a second; progress is called with how many are done.
func Observe(ctx context.Context, c *model.Checkpoint, ids []int32, progress func(done, total int64)) (map[string][]float32, error) {
	if len(ids) == 0 || len(ids) > c.Config.MaxPositions {
		return nil, fmt.Errorf("observe a model: %d ids, want 1 to %d", len(ids), c.Config.MaxPositions)
	}
	b, err := Open(c, Options{MaxContext: len(ids)})
	if err != nil {
		return nil, err
	}
	seen := map[string][]float32{}
	b.(*ref).net.see = func(name string, inputs []float64) { // Open gives nothing but a ref
		list := seen[name]
		if list == nil {
			list = make([]float32, 0, len(inputs)/min(observedTokens, len(ids))*len(ids))
		}
		for _, v := range inputs {
			list = append(list, float32(v))
		}
		seen[name] = list
	}
	pages := make([]backend.PageID, (len(ids)+backend.PageTokens-1)/backend.PageTokens)
	for i := range pages {
		pages[i] = backend.PageID(i)
	}
	for start := 0; start < len(ids); start += observedTokens {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		end := min(start+observedTokens, len(ids))
		batch := &backend.Batch{Rows: []backend.Row{{Tokens: ids[start:end], Start: start, Pages: pages}}}
		if err := b.Launch(batch); err != nil {
			return nil, fmt.Errorf("observe a model: %w", err)
		}
		if err := b.Collect(batch); err != nil {
			return nil, fmt.Errorf("observe a model: %w", err)
		}
		if progress != nil {
			progress(int64(end), int64(len(ids)))
		}
	}
	return seen, b.Close()
}

// InputsOf is the name under which Observe keeps what the matrix of that name multiplies:
// query, key and value share their inputs, as do gate and up.
func InputsOf(name string) string {
	for _, same := range [][2]string{{"k_proj", "q_proj"}, {"v_proj", "q_proj"}, {"up_proj", "gate_proj"}} {
		name = strings.Replace(name, same[0], same[1], 1)
	}
	return name
}

// show tells see of a layer's inputs.
func (n *network) show(layer int, name string, inputs []float64) {
	if n.see != nil {
		n.see(model.LayerTensor(layer, name), inputs)
	}
}
