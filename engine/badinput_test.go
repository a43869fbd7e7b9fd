package engine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// eachBackend runs a test with every backend that this build has.
func eachBackend(t *testing.T, f func(t *testing.T, name string)) {
	for _, name := range []string{"ref", "cpu"} {
		t.Run(name, func(t *testing.T) {
			e, err := Open(t.Context(), Options{ModelDir: tiny(t), Backend: name})
			if errors.Is(err, backend.ErrUnavailable) {
				t.Skipf("skipped: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			f(t, name)
		})
	}
}

// poison writes a bfloat16 over the last element of a tensor.
func poison(t *testing.T, dir, tensor string, bits uint16) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Offsets [2]uint64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	end := header[tensor].Offsets[1]
	if end == 0 {
		t.Fatalf("no tensor %s", tensor)
	}
	binary.LittleEndian.PutUint16(data[8+n+end-2:], bits)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNumbersThatAreNone in any kind of tensor: a clear error, before anything is computed.
func TestNumbersThatAreNone(t *testing.T) {
	eachBackend(t, func(t *testing.T, name string) {
		for tensor, bits := range map[string]uint16{
			"model.embed_tokens.weight": 0x7fc0, "model.norm.weight": 0xff80, // NaN, -Inf
			"model.layers.0.self_attn.q_proj.weight": 0x7f80, "model.layers.1.self_attn.v_proj.bias": 0x7fc1,
			"model.layers.1.mlp.down_proj.weight": 0xffff, "model.layers.0.input_layernorm.weight": 0x7f80,
		} {
			dir := tiny(t)
			poison(t, dir, tensor, bits)
			_, err := Open(t.Context(), Options{ModelDir: dir, Backend: name})
			if !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), tensor) || !strings.Contains(err.Error(), "finite") {
				t.Errorf("%s with %#x: got error %v, want one that names it", tensor, bits, err)
			}
		}
	})
}

// TestPromptsThatDontFit: each is refused with its reason, and a request beside them gets
// its tokens.
func TestPromptsThatDontFit(t *testing.T) {
	eachBackend(t, func(t *testing.T, name string) {
		e := open(t, Options{ModelDir: tiny(t), Backend: name, MaxContext: 64})
		vocab := int32(e.Model().Config.VocabSize)
		beside, err := e.Submit(t.Context(), Request{Prompt: []int32{1, 2}, MaxTokens: 20, IgnoreEOS: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			prompt []int32
			want   string
		}{
			{nil, "no tokens"},
			{make([]int32, 64), "longer context"},
			{make([]int32, 100_000), "has 100000 tokens and the context 64 positions"},
			{[]int32{1, vocab}, fmt.Sprintf("prompt token 1 is %d", vocab)},
			{[]int32{-1}, "prompt token 0 is -1"},
			{[]int32{1<<31 - 1}, "prompt token 0 is 2147483647"},
		} {
			if _, err := e.Submit(t.Context(), Request{Prompt: c.prompt, MaxTokens: 1}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("a prompt of %d: got error %v, want %q", len(c.prompt), err, c.want)
			}
			if _, err := e.Score(t.Context(), c.prompt); err == nil && len(c.prompt) != 64 {
				t.Errorf("a score of %d tokens: no error", len(c.prompt))
			}
		}
		if got := read(t, beside); got[len(got)-1].Finish.Reason != FinishLength || len(got) < 20 {
			t.Errorf("the request beside them ended with %+v", got[len(got)-1].Finish)
		}
		// The last position of the context can be generated, and none after it.
		got := submit(t, e, Request{Prompt: make([]int32, 63), MaxTokens: 10, IgnoreEOS: true})
		if f := got[len(got)-1].Finish; f.Reason != FinishLength || f.OutputTokens != 1 {
			t.Errorf("63 of 64 positions: %+v, want one token and the context's end", f)
		}
	})
}

// sparse writes a model whose weights are a file with a hole of more than a terabyte.
func sparse(t *testing.T) string {
	t.Helper()
	dir := tiny(t)
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.HiddenSize, c.IntermediateSize, c.Heads, c.KVHeads, c.HeadDim, c.Layers = 1<<14, 1<<16, 128, 128, 128, 128
	for key, n := range map[string]int{
		"hidden_size": c.HiddenSize, "intermediate_size": c.IntermediateSize, "num_attention_heads": c.Heads,
		"num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim, "num_hidden_layers": c.Layers,
	} {
		fields[key] = n
	}
	if data, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	header, at := map[string]any{}, int64(0)
	for _, x := range c.Tensors() {
		end := at + 2*int64(model.Tensor{Shape: x.Shape}.Len())
		header[x.Name] = map[string]any{"dtype": "BF16", "shape": x.Shape, "data_offsets": []int64{at, end}}
		at = end
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 8+int64(len(text))+at); err != nil {
		t.Skipf("skipped: no sparse file of %d GB here: %v", at/1e9, err)
	}
	return dir
}

// TestModelOverMemory is refused before any memory is filled.
func TestModelOverMemory(t *testing.T) {
	dir := sparse(t)
	eachBackend(t, func(t *testing.T, name string) {
		_, err := Open(t.Context(), Options{ModelDir: dir, Backend: name, MaxContext: 64})
		if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "take a smaller model") {
			t.Errorf("got error %v, want ErrMemory", err)
		}
	})
}

func TestRoom(t *testing.T) {
	c, err := model.Open(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := c.Inspect().Parameters
	const page = 64 * 2 * 2 * 32 // positions, K and V, layers, numbers of a head
	for _, tt := range []struct {
		o       Options
		weights int64
		kv      int64
	}{
		{Options{}, 2 * n, 64 * 4 * page},
		{Options{Backend: "cpu", Weights: "w8"}, n, 64 * 2 * page},
		{Options{KV: "bf16"}, 2 * n, 64 * 2 * page},
		{Options{Weights: "w4", Compute: "bf16"}, n / 2, 64 * 2 * page},
		{Options{Backend: "ref"}, 4 * n, 64 * 8 * page},
		{Options{Backend: "ref", KVBytes: 3 * 8 * page}, 4 * n, 3 * 8 * page},
	} {
		w := weightBytes(c.Inspect(), tt.o)
		plan, err := planKV(c.Config, tt.o, pageBytes(c, tt.o))
		if kv := int64(plan.pages) * pageBytes(c, tt.o); err != nil || w != tt.weights || kv != tt.kv {
			t.Errorf("%+v: %d bytes of weights and %d of KV, %v, want %d and %d", tt.o, w, kv, err, tt.weights, tt.kv)
		}
		if err := checkRoom(c, tt.o, tt.weights+tt.kv); err != nil {
			t.Errorf("%+v: %v", tt.o, err)
		}
		if err := checkRoom(c, tt.o, tt.weights+tt.kv-1); !errors.Is(err, ErrMemory) {
			t.Errorf("%+v with one byte too few: got error %v", tt.o, err)
		}
	}
	for _, o := range []Options{{KVBytes: -1}, {KVBytes: 1}, {MaxContext: -1}, {MaxContext: 1025}} {
		if err := checkRoom(c, o, -1); !errors.Is(err, ErrOptions) || strings.Contains(err.Error(), ErrOptions.Error()) {
			t.Errorf("%+v: got error %v, want an ErrOptions in its own words", o, err)
		}
	}
	// What is asked for at least is what the backend then has, but for padding.
	e := open(t, Options{ModelDir: c.Dir, Backend: "ref"})
	if m := e.Stats().Memory; m.Weights != 4*n || m.KV != 64*8*page {
		t.Errorf("the ref backend has %+v, foreseen were %d and %d", m, 4*n, 64*8*page)
	}
}
