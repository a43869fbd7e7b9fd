//go:build native

package cuda

import (
	"math"
	"os"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/backendtest"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/ref"
)

// TestFormats holds each format against the oracle, which rounds the same weights in the same way. The shapes have
// sums over several groups of columns, the last of them not whole, and slices that begin within one.
func TestFormats(t *testing.T) {
	d := device(t)
	for name, change := range map[string]func(*model.Config){
		"wide":   func(c *model.Config) { c.HiddenSize, c.IntermediateSize = 416, 1200 },
		"narrow": func(c *model.Config) { c.HiddenSize, c.IntermediateSize = 160, 272 },
	} {
		c := narrow()
		change(&c)
		m := synth(t, c)
		for _, weights := range []string{"bf16", "w8", "w4"} {
			t.Run(name+"/"+weights, func(t *testing.T) {
				got, err := open(m, Options{Pages: 24, Weights: weights}, d, 0, codeFor(t, false))
				if err != nil {
					t.Fatal(err)
				}
				defer closed(t, got)
				want, err := ref.Open(m, ref.Options{Pages: 24, Weights: weights})
				if err != nil {
					t.Fatal(err)
				}
				defer closed(t, want)
				if got.Info().Weights != weights {
					t.Errorf("Info says weights in %s, want %s", got.Info().Weights, weights)
				}
				compare(t, got, want, c)
			})
		}
	}
}

// compare feeds both backends the same tokens, at once and one by one.
func compare(t *testing.T, got, want backend.Backend, c model.Config) {
	t.Helper()
	ids := goldentest.Prompt(80, c.VocabSize)
	feed := func(b backend.Backend) (logits [][]float32) {
		pages := []backend.PageID{3, 1}
		for _, r := range []backend.Row{
			{Tokens: ids[:75], Pages: pages, WantLogits: true},
			{Tokens: ids[75:76], Start: 75, Pages: pages, WantLogits: true},
			{Tokens: ids[76:], Start: 76, Pages: pages, WantLogits: true},
		} {
			batch := &backend.Batch{Rows: []backend.Row{r}}
			if err := b.Launch(batch); err != nil {
				t.Fatal(err)
			}
			if err := b.Collect(batch); err != nil {
				t.Fatal(err)
			}
			logits = append(logits, append([]float32(nil), batch.Out[0].Logits...))
		}
		return logits
	}
	tolerance := goldentest.Bfloat16(goldentest.Shape{Config: c})
	a, b := feed(got), feed(want)
	worst, size := 0.0, 0.0
	for i := range a {
		for j := range a[i] {
			worst = max(worst, math.Abs(float64(a[i][j]-b[i][j])))
			size = max(size, math.Abs(float64(b[i][j])))
		}
	}
	if !(worst <= tolerance) {
		t.Errorf("logits differ by %.3g, allowed %.3g", worst, tolerance)
	}
	t.Logf("largest difference %.2g of logits up to %.2g, allowed %.2g", worst, size, tolerance)
}

func closed(t *testing.T, b backend.Backend) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestFormatsConform: no format makes a row depend on what is beside it.
func TestFormatsConform(t *testing.T) {
	c := narrow()
	c.HiddenSize, c.IntermediateSize = 160, 272
	m, d := synth(t, c), device(t)
	for _, weights := range []string{"w4", "w8"} {
		if weights == "w8" && os.Getenv("PACELINE_DEEP") == "" {
			continue // its sums are those of bf16
		}
		t.Run(weights, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backend.Backend {
				b, err := open(m, Options{Pages: 24, Weights: weights}, d, 0, codeFor(t, false))
				if err != nil {
					t.Fatal(err)
				}
				return b
			})
		})
	}
}
