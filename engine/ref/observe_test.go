package ref

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// TestObserve: every matrix of a layer has its inputs, of its width, for every token; those of the
// first layer are the embedding, normed.
func TestObserve(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	shape := tiny(t)
	shape.TieEmbeddings, shape.KVHeads, shape.HeadDim = false, 1, 32
	if err := model.SynthConfig(t.Context(), shape, dir, model.SynthOptions{Seed: 3}); err != nil {
		t.Fatal(err)
	}
	c, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ids := someTokens(observedTokens + 7)
	last := int64(0)
	seen, err := Observe(t.Context(), c, ids, func(done, total int64) {
		if done <= last || total != int64(len(ids)) {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || last != int64(len(ids)) {
		t.Fatalf("progress ended at %d: %v", last, err)
	}
	used := map[string]bool{}
	for _, e := range c.Config.Tensors() {
		if !strings.HasSuffix(e.Name, "_proj.weight") {
			continue
		}
		name := InputsOf(e.Name)
		used[name] = true
		if n := len(seen[name]); n != len(ids)*e.Shape[1] {
			t.Errorf("%s: %d numbers by the name %s, want %d vectors of %d", e.Name, n, name, len(ids), e.Shape[1])
		}
	}
	if len(used) != len(seen) {
		t.Errorf("%d names were seen, %d are used", len(seen), len(used))
	}
	x, err := c.Tensor("model.embed_tokens.weight")
	if err != nil {
		t.Fatal(err)
	}
	embedding := make([]float32, x.Len())
	if err := x.Float32(embedding); err != nil {
		t.Fatal(err)
	}
	width := c.Config.HiddenSize
	for at, id := range ids {
		row := embedding[int(id)*width : (int(id)+1)*width]
		square := 0.0
		for _, v := range row {
			square += float64(v) * float64(v)
		}
		for j, v := range row { // the norm's own weights are 1 in synthetic models
			want := float64(v) / math.Sqrt(square/float64(width)+c.Config.RMSNormEps)
			if got := float64(seen["model.layers.0.self_attn.q_proj.weight"][at*width+j]); math.Abs(got-want) > 1e-6 {
				t.Fatalf("token %d, input %d: %v, want %v", at, j, got, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Observe(ctx, c, ids, func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Observe(t.Context(), c, nil, nil); err == nil {
		t.Error("no ids: no error")
	}
}
