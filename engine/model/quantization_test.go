package model

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// someQuantization is valid.
func someQuantization(format string) Quantization {
	return Quantization{Weights: format, GroupSize: GroupColumns, Head: "w8", Algorithm: "rtn", SourceDigest: strings.Repeat("0a", 32)}
}

// makeQuantised writes a model whose quantised elements mean nothing and returns its folder.
func makeQuantised(t testing.TB, format string) string {
	t.Helper()
	src := mustOpen(t, makeModel(t, smallest(false)))
	dir := filepath.Join(t.TempDir(), "quantised")
	err := WriteFolder(dir, FolderOptions{}, func(temp string) error {
		if err := src.WriteQuantized(temp, someQuantization(format)); err != nil {
			return err
		}
		w, err := NewWeightsWriter(temp, src, format)
		if err != nil {
			return err
		}
		for _, e := range src.Config.Tensors() {
			x, err := src.Tensor(e.Name)
			if err != nil {
				return err
			}
			if d := StoredType(format, e.Name); d != "" {
				data, scales := d.PackedSizes(e.Shape[0], e.Shape[1])
				x = Tensor{Name: e.Name, Data: make([]byte, data), Scales: make([]byte, scales)}
			}
			if err := w.Put(x); err != nil {
				return err
			}
		}
		return w.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestQuantisedCheckpoint(t *testing.T) {
	for _, format := range []string{"w8", "w4"} {
		c := mustOpen(t, makeQuantised(t, format))
		for _, e := range c.Config.Tensors() {
			x, err := c.Tensor(e.Name)
			if err != nil {
				t.Fatal(err)
			}
			want := StoredType(format, e.Name)
			if !slices.Equal(x.Shape, e.Shape) || want != "" && x.DType != want || want == "" && (x.DType != BF16 || x.Scales != nil) {
				t.Errorf("%s: %s is %s of shape %v", format, e.Name, x.DType, x.Shape)
			}
			if err := x.CheckFinite(); err != nil {
				t.Error(err)
			}
			if want != "" && len(e.Shape) != 2 {
				t.Errorf("%s is quantised and no matrix", e.Name)
			}
		}
	}
}

// TestQuantisedCheckpointDamaged: every way in which the files may contradict themselves.
func TestQuantisedCheckpointDamaged(t *testing.T) {
	const up = "model.layers.1.mlp.up_proj.weight"
	edit := func(name string, change func(x *Tensor)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			var list []Tensor
			for _, x := range readStored(t, dir) {
				if x.Name == name {
					change(&x)
				}
				if x.Name != "" {
					list = append(list, x)
				}
			}
			put(t, dir, weightsFile, safetensors(t, list))
		}
	}
	quant := func(key string, value any) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			q := someQuantization("w4").fields()
			if q[key] = value; value == nil {
				delete(q, key)
			}
			editConfig(t, dir, map[string]any{quantizationKey: q})
		}
	}
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   error
		says   string
	}{
		{"no scales", edit(up+scaleSuffix, func(x *Tensor) { x.Name = "" }), ErrInvalid, "its scales \"" + up + scaleSuffix + "\" are missing"},
		{"no matrix", edit(up, func(x *Tensor) { x.Name = "" }), ErrInvalid, "is missing"},
		{"scales of another type", edit(up+scaleSuffix, func(x *Tensor) { x.DType = BF16 }), ErrInvalid, "want F16 of shape [12 1], found BF16"},
		{"scales of another shape", edit(up+scaleSuffix, func(x *Tensor) { x.Shape = []int{1, 12} }), ErrInvalid, "found F16 of shape [1 12]"},
		{"a matrix of another type", edit(up, func(x *Tensor) { x.DType = "I8" }), ErrInvalid, "want U8 of shape [12 4], found I8"},
		{"a matrix of another shape", edit(up, func(x *Tensor) { x.Shape = []int{4, 12} }), ErrInvalid, "found U8 of shape [4 12]"},
		{"a norm that is quantised", edit("model.norm.weight", func(x *Tensor) { x.DType, x.Data = "I8", x.Data[:8] }), ErrUnsupported, "has type I8"},
		{"scales of nothing", edit("model.norm.weight", func(x *Tensor) { x.Name += scaleSuffix }), ErrInvalid, "is missing"},
		{"another format's files", quant("weights", "w8"), ErrInvalid, "want I8"},
		{"no quantization_config", func(t *testing.T, dir string) { editConfig(t, dir, map[string]any{quantizationKey: nil}) }, ErrUnsupported, "has type I8"},
		{"another method", quant("quant_method", "awq"), ErrUnsupported, `by the method "awq"`},
		{"no method", quant("quant_method", nil), ErrUnsupported, "paceline model quantize"},
		{"a later version", quant("version", 2), ErrUnsupported, "version 2 of the format; supported: 1: take a newer paceline"},
		{"no version", quant("version", nil), ErrUnsupported, "version 0"},
		{"a version that is none", quant("version", "1"), ErrInvalid, "version: found"},
		{"other weights", quant("weights", "w2"), ErrUnsupported, `weights is "w2"`},
		{"another head", quant("head", "bf16"), ErrUnsupported, `head is "bf16"`},
		{"another group", quant("group_size", 64), ErrUnsupported, "group_size is 64; supported: 128"},
		{"another algorithm", quant("algorithm", "magic"), ErrUnsupported, `algorithm is "magic"`},
		{"no digest", quant("source_digest", nil), ErrInvalid, "source_digest"},
		{"a digest that is none", quant("source_digest", strings.Repeat("0A", 32)), ErrInvalid, "64 hex digits"},
		{"an unknown key", quant("bits", 4), ErrInvalid, `unknown key "bits"`},
		{"no object", func(t *testing.T, dir string) { editConfig(t, dir, map[string]any{quantizationKey: []int{4}}) }, ErrInvalid, quantizationKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := makeQuantised(t, "w4")
			c.damage(t, dir)
			_, err := Open(dir)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

// readStored copies the tensors as they lie in the files.
func readStored(t testing.TB, dir string) (list []Tensor) {
	t.Helper()
	c := mustOpen(t, dir)
	for _, s := range c.shards {
		for _, e := range s.entries {
			x := s.tensor(e)
			x.Data = slices.Clone(x.Data)
			list = append(list, x)
		}
	}
	return list
}

func TestForeignQuantisation(t *testing.T) {
	for _, method := range []string{"gptq", "awq", "fp8", "compressed-tensors", "bitsandbytes"} {
		dir := makeModel(t, smallest(true))
		editConfig(t, dir, map[string]any{quantizationKey: map[string]any{"quant_method": method, "bits": 4}})
		if _, err := Open(dir); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), `"`+method+`"`) {
			t.Errorf("%s: got %v, want one that names it", method, err)
		}
	}
}

// FuzzQuantization: what is accepted is one of the formats there are, and is written as it
// was read.
func FuzzQuantization(f *testing.F) {
	f.Add([]byte(`{"quant_method":"paceline","version":1,"weights":"w4","group_size":128,"head":"w8","algorithm":"search","source_digest":"` + strings.Repeat("0a", 32) + `"}`))
	f.Add([]byte(`{"quant_method":"gptq","bits":4}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseObject(data)
		if err != nil {
			return
		}
		q, err := parseQuantization(o)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnsupported) {
				t.Errorf("an error of neither kind: %v", err)
			}
			return
		}
		if q.Weights != "w8" && q.Weights != "w4" || len(o) != len(q.fields()) {
			t.Errorf("%s was accepted as %+v", data, q)
		}
		written, err := withQuantization([]byte(`{"model_type":"qwen2","vocab_size":320,"hidden_size":8,"intermediate_size":12,"num_hidden_layers":1,"num_attention_heads":2,"max_position_embeddings":64}`), *q)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseConfig(written); err != nil || back.quant == nil || *back.quant != *q {
			t.Errorf("%+v was read back as %+v, %v", q, back.quant, err)
		}
	})
}
