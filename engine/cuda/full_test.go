//go:build native

package cuda

import (
	"os"
	"testing"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/ref"
)

// TestFullShape computes one layer and the whole head in the sizes of Qwen2.5-0.5B, in each format, for PACELINE_DEEP=1.
func TestFullShape(t *testing.T) {
	if os.Getenv("PACELINE_DEEP") == "" {
		return
	}
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	c.Layers, c.MaxPositions = 1, 256
	m, d := synth(t, c), device(t)
	for _, weights := range []string{"bf16", "w8", "w4"} {
		t.Run(weights, func(t *testing.T) {
			got, err := open(m, Options{Pages: 8, Weights: weights}, d, 0, codeFor(t, false))
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, got)
			want, err := ref.Open(m, ref.Options{Pages: 8, Weights: weights})
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, want)
			compare(t, got, want, c)
		})
	}
}
