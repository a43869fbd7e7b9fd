//go:build native

package cuda

import (
	"math"
	"os"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/estimate"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/model"
)

// TestWide: the products of many rows give what the products of few give, to the bit, in each format. The shapes have row
// tiles and slices that don't fill a block or a step, and sums that are split over blocks.
func TestWide(t *testing.T) {
	d := device(t)
	for name, change := range map[string]func(*model.Config){
		"split":  func(c *model.Config) { c.HiddenSize, c.IntermediateSize, c.Layers = 416, 2600, 1 },
		"narrow": func(c *model.Config) { c.HiddenSize, c.IntermediateSize = 160, 272 },
	} {
		c := narrow()
		change(&c)
		m := synth(t, c)
		for _, weights := range []string{"bf16", "w8", "w4"} {
			t.Run(name+"/"+weights, func(t *testing.T) {
				deep := os.Getenv("PACELINE_DEEP") != ""
				if !deep && (name == "split") != (weights == "w8") {
					return // one shape of each will do
				}
				checked := name == "narrow" && (weights == "w4" || deep) || deep && weights == "w8"
				e, err := open(m, Options{Pages: 24, Weights: weights}, d, 0, codeFor(t, checked))
				if err != nil {
					t.Fatal(err)
				}
				defer closed(t, e)
				e.wideFrom = math.MaxInt
				want := prefilled(t, e, c)
				e.wideFrom = 0
				same := func(how string) {
					for i, got := range prefilled(t, e, c) {
						if !slices.Equal(got, want[i]) {
							t.Errorf("%s: logits %d differ: %.7g…, want %.7g…", how, i, got[:4], want[i][:4])
						}
					}
				}
				same("of 64 rows")
				if d.Emulated() && e.kernels.hopper == (wide{}) {
					t.Error("the emulator has no kernels of Hopper")
				}
				if e.kernels.hopper != (wide{}) {
					if err := e.byWarpgroups(); err != nil {
						t.Fatal(err)
					}
					same("by warpgroups")
				}
			})
		}
	}
}

// prefilled computes two prompts in a step, one of them longer than a block takes, and a step of decoding after it.
func prefilled(t *testing.T, e *engine, c model.Config) (logits [][]float32) {
	ids := goldentest.Prompt(160, c.VocabSize)
	a, b := []backend.PageID{3, 1, 7}, []backend.PageID{2}
	for _, rows := range [][]backend.Row{
		{{Tokens: ids[:150], Pages: a, WantLogits: true}, {Tokens: ids[100:140], Pages: b, WantLogits: true}},
		{{Tokens: ids[150:151], Start: 150, Pages: a, WantLogits: true}},
	} {
		for _, o := range do(t, e, rows...) {
			logits = append(logits, slices.Clone(o.Logits))
		}
	}
	return logits
}

// TestManyRows: a step of decoding with many sequences goes by a graph too, costs what estimate says, and gives each
// of them what it gets alone.
func TestManyRows(t *testing.T) {
	c := narrow()
	const rows = kernels.WideFrom + 12
	m, d := synth(t, c), device(t)
	e, err := open(m, Options{Pages: rows}, d, 0, codeFor(t, false))
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, e)
	ids := goldentest.Prompt(rows+2, c.VocabSize)
	step := func(from, n, at, tokens int) (drawn []int32) {
		var batch []backend.Row
		for i := from; i < from+n; i++ {
			batch = append(batch, backend.Row{
				Tokens: ids[i+at : i+at+tokens], Start: at, Pages: []backend.PageID{backend.PageID(i)}, Sample: &backend.Sampling{Temperature: 1, Seed: uint64(i), Position: uint64(at + tokens)},
			})
		}
		for _, o := range do(t, e, batch...) {
			drawn = append(drawn, o.Token)
		}
		return drawn
	}
	first, second := step(0, rows, 0, 2), step(0, rows, 2, 1)
	if emulator, err := d.Emulator(); err == nil {
		emulator.Forget()
		step(0, rows, 2, 1)
		counts, err := emulator.Counts()
		if err != nil {
			t.Fatal(err)
		}
		launches := 0
		for _, k := range counts {
			launches += int(k.Launches)
		}
		if want := estimate.Launches(c.Layers, rows, false); launches != want {
			t.Errorf("%d launches, want %d: %+v", launches, want, counts)
		}
	}
	for _, i := range []int{0, 63, 64, rows - 1} {
		if a, b := step(i, 1, 0, 2), step(i, 1, 2, 1); a[0] != first[i] || b[0] != second[i] {
			t.Errorf("sequence %d alone draws %d and %d, among %d %d and %d", i, a[0], b[0], rows, first[i], second[i])
		}
	}
}
