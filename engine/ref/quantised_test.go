package ref

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
)

// TestQuantisedWeights: a quantised model, the same rounded while it is loaded, and a float32
// model of the numbers that it stands for, give equal logits to the last bit.
func TestQuantisedWeights(t *testing.T) {
	c := tiny(t)
	c.TieEmbeddings, c.DType, c.KVHeads, c.HeadDim = false, "float32", 1, 32
	c.HiddenSize, c.IntermediateSize = 150, 300 // no multiples of a group
	plain := filepath.Join(t.TempDir(), "plain")
	if err := model.SynthConfig(context.Background(), c, plain, model.SynthOptions{Seed: 3}); err != nil {
		t.Fatal(err)
	}
	ids := someTokens(70)
	logits := func(dir string, o Options, says string) []float32 {
		b := openDir(t, dir, o)
		if got := b.Info().Weights; got != says {
			t.Errorf("weights %q, want %q", got, says)
		}
		return inBlocks(t, b, ids, 64, []backend.PageID{0, 1})
	}
	stored := logits(plain, Options{}, "f32")
	for _, format := range quant.Formats() {
		dir := filepath.Join(t.TempDir(), format)
		if _, err := quant.Folder(context.Background(), plain, dir, quant.Options{Format: format, Algorithm: quant.RTN}); err != nil {
			t.Fatal(err)
		}
		want := logits(dir, Options{}, format)
		if slices.Equal(want, stored) {
			t.Errorf("%s: nothing was rounded", format)
		}
		if got := logits(plain, Options{Weights: format}, format); !slices.Equal(got, want) {
			t.Errorf("%s: rounding while loading gives other logits", format)
		}
		if got := logits(unpacked(t, dir, plain), Options{}, "f32"); !slices.Equal(got, want) {
			t.Errorf("%s: the float32 numbers that it stands for give other logits", format)
		}
	}
	m, err := model.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := Open(m, Options{Weights: "int4"}); err == nil {
		t.Error("weights in int4 were accepted")
	}
}

// unpacked writes the quantised model dir as float32, with the configuration of plain.
func unpacked(t *testing.T, dir, plain string) string {
	t.Helper()
	c, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	header, data := map[string]any{}, []byte(nil)
	for _, e := range c.Config.Tensors() {
		x, err := c.Tensor(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, x.Len())
		if err := x.Float32(values); err != nil {
			t.Fatal(err)
		}
		start := len(data)
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		header[e.Name] = map[string]any{"dtype": "F32", "shape": e.Shape, "data_offsets": []int{start, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(plain, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	weights := bytes.Join([][]byte{binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data}, nil)
	for name, content := range map[string][]byte{"config.json": config, "model.safetensors": weights} {
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
