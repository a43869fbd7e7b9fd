package model

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// smallest is an architecture with every kind of tensor, small enough that a test
// may write it many times.
func smallest(tied bool) Config {
	return Config{
		Architecture: architectureQwen2, VocabSize: 320, HiddenSize: 8, IntermediateSize: 12, Layers: 2,
		Heads: 4, KVHeads: 2, HeadDim: 2, MaxPositions: 64, RopeTheta: 1e4, RMSNormEps: 1e-6,
		TieEmbeddings: tied, DType: "bfloat16", BOS: 300, EOS: []int32{300},
	}
}

// makeModel writes a sound model and returns its folder.
func makeModel(t testing.TB, c Config) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := SynthConfig(context.Background(), c, dir, SynthOptions{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustOpen(t testing.TB, dir string) *Checkpoint {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// readTensors copies all tensors out of a model, in their order.
func readTensors(t testing.TB, dir string) []Tensor {
	t.Helper()
	c := mustOpen(t, dir)
	var list []Tensor
	for _, name := range c.Names() {
		tensor, err := c.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		tensor.Data = slices.Clone(tensor.Data)
		list = append(list, tensor)
	}
	return list
}

// safetensors is the file that holds the tensors.
func safetensors(t testing.TB, tensors []Tensor) []byte {
	t.Helper()
	header := map[string]any{}
	var data []byte
	for _, x := range tensors {
		header[x.Name] = map[string]any{"dtype": x.DType, "shape": x.Shape, "data_offsets": []int{len(data), len(data) + len(x.Data)}}
		data = append(data, x.Data...)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(withLength(string(text)), data...)
}

// withLength puts the length before a header.
func withLength(header string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
}

func put(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// editConfig changes keys of config.json; a nil value removes the key.
func editConfig(t testing.TB, dir string, changes map[string]any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	for key, value := range changes {
		if fields[key] = value; value == nil {
			delete(fields, key)
		}
	}
	if data, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	put(t, dir, configFile, data)
}

// shardModel splits the one safetensors file into two and an index.
func shardModel(t testing.TB, dir string) (index map[string]string, shards map[string][]Tensor) {
	t.Helper()
	shards, index = map[string][]Tensor{}, map[string]string{}
	for i, x := range readTensors(t, dir) {
		name := "model-00001-of-00002.safetensors"
		if i%2 == 1 {
			name = "model-00002-of-00002.safetensors"
		}
		shards[name] = append(shards[name], x)
		index[x.Name] = name
	}
	if err := os.Remove(filepath.Join(dir, weightsFile)); err != nil {
		t.Fatal(err)
	}
	for name, tensors := range shards {
		put(t, dir, name, safetensors(t, tensors))
	}
	putIndex(t, dir, index)
	return index, shards
}

func putIndex(t testing.TB, dir string, index map[string]string) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, indexFile, data)
}
