package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	for name, tied := range map[string]bool{"tied": true, "untied": false} {
		t.Run(name, func(t *testing.T) {
			want := smallest(tied)
			c := mustOpen(t, makeModel(t, want))
			if !c.Synthetic || c.Dialect != DialectHub || c.Config.TieEmbeddings != tied || c.Config.DType != "bfloat16" {
				t.Errorf("got synthetic %v, dialect %s, config %+v", c.Synthetic, c.Dialect, c.Config)
			}
			if c.Has(headName) == tied {
				t.Errorf("Has(%s) = %v", headName, !tied)
			}
			var names []string
			for _, x := range want.Tensors() {
				names = append(names, x.Name)
				got, err := c.Tensor(x.Name)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got.Shape, x.Shape) || got.DType != BF16 || len(got.Data) != 2*got.Len() {
					t.Errorf("tensor %s: shape %v, %s, %d bytes; want shape %v", x.Name, got.Shape, got.DType, len(got.Data), x.Shape)
				}
			}
			if !slices.Equal(c.Names(), names) {
				t.Errorf("names %v, want %v", c.Names(), names)
			}
			if _, err := c.Tensor("nothing"); err == nil {
				t.Error("an unknown tensor: got no error")
			}
		})
	}
}

func TestOpenShards(t *testing.T) {
	dir := makeModel(t, smallest(false))
	want := readTensors(t, dir)
	shardModel(t, dir)
	c := mustOpen(t, dir)
	for _, x := range want {
		got, err := c.Tensor(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Data, x.Data) {
			t.Errorf("tensor %s differs between one file and shards", x.Name)
		}
	}
	if files := c.Inspect().Files; len(files) != 2 {
		t.Errorf("files %v, want 2", files)
	}
}

// TestOpenRefusals damages a sound model in one way each.
func TestOpenRefusals(t *testing.T) {
	weights := func(t *testing.T, dir string) (string, []byte) {
		path := filepath.Join(dir, weightsFile)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return path, data
	}
	tensors := func(change func([]Tensor) []Tensor) func(*testing.T, string) {
		return func(t *testing.T, dir string) { put(t, dir, weightsFile, safetensors(t, change(readTensors(t, dir)))) }
	}
	config := func(key string, value any) func(*testing.T, string) {
		return func(t *testing.T, dir string) { editConfig(t, dir, map[string]any{key: value}) }
	}
	index := func(change func(map[string]string)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			index, _ := shardModel(t, dir)
			change(index)
			putIndex(t, dir, index)
		}
	}
	const norm = "model.norm.weight"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		kind   error
		want   string
	}{
		{"no folder", func(t *testing.T, dir string) { os.RemoveAll(dir) }, ErrNotFound, "doesn't exist"},
		{"a file for a folder", func(t *testing.T, dir string) {
			os.RemoveAll(dir)
			put(t, filepath.Dir(dir), filepath.Base(dir), nil)
		}, ErrNotFound, "not a directory"},
		{"no config", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, configFile)) }, ErrNotFound, "has no config.json"},
		{"no weights", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, weightsFile)) }, ErrNotFound, "was the download cut short"},
		{"pickled weights", func(t *testing.T, dir string) {
			os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, "pytorch_model.bin"))
		}, ErrUnsupported, `but "pytorch_model.bin"; supported: safetensors`},
		{"a huge config", func(t *testing.T, dir string) { put(t, dir, configFile, make([]byte, 2<<20)) }, ErrInvalid, "the limit is 1048576"},
		{"a folder for weights", func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, weightsFile))
			os.Mkdir(filepath.Join(dir, weightsFile), 0o755)
		}, ErrInvalid, "no regular file"},
		{"broken generation config", func(t *testing.T, dir string) { put(t, dir, generationFile, []byte(`{`)) }, ErrInvalid, "generation_config.json"},

		{"empty weights", func(t *testing.T, dir string) { put(t, dir, weightsFile, nil) }, ErrInvalid, "model.safetensors"},
		{"truncated weights", func(t *testing.T, dir string) {
			path, data := weights(t, dir)
			os.WriteFile(path, data[:len(data)-1], 0o644)
		}, ErrInvalid, "truncated"},
		{"truncated header", func(t *testing.T, dir string) {
			path, data := weights(t, dir)
			os.WriteFile(path, data[:100], 0o644)
		}, ErrInvalid, "the header claims"},
		{"bytes after the weights", func(t *testing.T, dir string) {
			path, data := weights(t, dir)
			os.WriteFile(path, append(data, 0), 0o644)
		}, ErrInvalid, "1 bytes follow"},
		{"huge header length", func(t *testing.T, dir string) {
			path, data := weights(t, dir)
			binary.LittleEndian.PutUint64(data, 1<<62)
			os.WriteFile(path, data, 0o644)
		}, ErrInvalid, "the limit is 16777216"},

		{"missing tensor", tensors(func(l []Tensor) []Tensor {
			return slices.DeleteFunc(l, func(x Tensor) bool { return x.Name == norm })
		}), ErrInvalid, `"model.norm.weight" of shape [8] is missing`},
		{"wrong shape", tensors(func(l []Tensor) []Tensor {
			for i := range l {
				if l[i].Name == norm {
					l[i].Shape = []int{2, 4}
				}
			}
			return l
		}), ErrInvalid, "wants shape [8], found [2 4]"},
		{"wrong type", tensors(func(l []Tensor) []Tensor {
			for i := range l {
				l[i].DType = "I16"
			}
			return l
		}), ErrUnsupported, "has type I16; supported: BF16"},
		{"unknown tensor", tensors(func(l []Tensor) []Tensor {
			return append(l, Tensor{Name: "model.layers.0.self_attn.q_norm.weight", DType: BF16, Shape: []int{1}, Data: make([]byte, 2)})
		}), ErrInvalid, "q_norm.weight\" has no place"},
		{"a head that isn't the embedding", tensors(func(l []Tensor) []Tensor {
			head := l[0]
			head.Name, head.Data = headName, make([]byte, len(head.Data))
			return append(l, head)
		}), ErrInvalid, "ties the head"},

		{"fewer layers in the config", config("num_hidden_layers", 1), ErrInvalid, "has no place"},
		{"more layers in the config", config("num_hidden_layers", 3), ErrInvalid, `"model.layers.2.input_layernorm.weight" of shape [8] is missing (config.json says 3 layers)`},
		{"another width", config("hidden_size", 16), ErrInvalid, "wants shape [320 16], found [320 8]"},
		{"another vocabulary", config("vocab_size", 321), ErrInvalid, "wants shape [321 8], found [320 8]"},
		{"another type in the config", config("torch_dtype", "float32"), ErrInvalid, "stored as bfloat16"},
		{"untied without a head", config("tie_word_embeddings", false), ErrInvalid, `"lm_head.weight" of shape [320 8] is missing`},
		{"unknown architecture", config("architectures", []string{"GPT2LMHeadModel"}), ErrUnsupported, "supported: Qwen2ForCausalLM"},

		{"shard missing", func(t *testing.T, dir string) {
			shardModel(t, dir)
			os.Remove(filepath.Join(dir, "model-00002-of-00002.safetensors"))
		}, ErrInvalid, "the shard model-00002-of-00002.safetensors isn't there"},
		{"shard above the folder", index(func(m map[string]string) { m[norm] = "../x.safetensors" }), ErrInvalid, `lies in "../x.safetensors"`},
		{"shard at an absolute path", index(func(m map[string]string) { m[norm] = "/etc/passwd" }), ErrInvalid, `lies in "/etc/passwd"`},
		{"shard is the folder", index(func(m map[string]string) { m[norm] = "." }), ErrInvalid, "lies in"},
		{"shard has no name", index(func(m map[string]string) { m[norm] = "" }), ErrInvalid, "lies in"},
		{"shard by backslash", index(func(m map[string]string) { m[norm] = `..\x` }), ErrInvalid, "lies in"},
		{"tensor in another shard", index(func(m map[string]string) {
			for _, shard := range m {
				if shard != m[norm] {
					m[norm] = shard
					return
				}
			}
		}), ErrInvalid, "should lie in"},
		{"tensor not in the index", index(func(m map[string]string) { delete(m, norm) }), ErrInvalid, "isn't in model.safetensors.index.json"},
		{"tensor only in the index", index(func(m map[string]string) { m["x"] = m[norm] }), ErrInvalid, `"x" isn't in its shard`},
		{"tensor in both shards", func(t *testing.T, dir string) {
			_, shards := shardModel(t, dir)
			all := slices.Concat(slices.Collect(maps.Values(shards))...)
			for name := range shards {
				put(t, dir, name, safetensors(t, all))
			}
		}, ErrInvalid, "lies in both"},
		{"no weight map", func(t *testing.T, dir string) {
			shardModel(t, dir)
			put(t, dir, indexFile, []byte(`{"metadata":{}}`))
		}, ErrInvalid, "weight_map is missing"},
		{"weight map of numbers", func(t *testing.T, dir string) {
			shardModel(t, dir)
			put(t, dir, indexFile, []byte(`{"weight_map":{"a":1}}`))
		}, ErrInvalid, "isn't a string"},
		{"link out of the folder", func(t *testing.T, dir string) {
			outside := filepath.Join(filepath.Dir(dir), "outside")
			os.Rename(filepath.Join(dir, weightsFile), outside)
			if err := os.Symlink("../outside", filepath.Join(dir, weightsFile)); err != nil {
				t.Skip("no links here:", err)
			}
		}, ErrInvalid, "cp -rL"},
		{"shard through a linked folder", func(t *testing.T, dir string) {
			index, _ := shardModel(t, dir)
			if err := os.Symlink(filepath.Dir(dir), filepath.Join(dir, "up")); err != nil {
				t.Skip("no links here:", err)
			}
			index[norm] = "up/x.safetensors"
			putIndex(t, dir, index)
		}, ErrInvalid, "lies in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := makeModel(t, smallest(true))
			c.damage(t, dir)
			m, err := Open(dir)
			if err == nil {
				m.Close()
			}
			checkError(t, err, c.kind, c.want)
			if err != nil && !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v doesn't name the folder %s", err, dir)
			}
		})
	}
}

// TestOpenTolerates lists what real folders have and Open must not refuse.
func TestOpenTolerates(t *testing.T) {
	t.Run("a stored head that is the embedding", func(t *testing.T) {
		dir := makeModel(t, smallest(true))
		list := readTensors(t, dir)
		head := list[0]
		head.Name = headName
		put(t, dir, weightsFile, safetensors(t, append(list, head)))
		if c := mustOpen(t, dir); !c.Config.TieEmbeddings {
			t.Error("the head isn't tied")
		}
	})
	t.Run("a config that doesn't say whether the head is tied", func(t *testing.T) {
		for _, tied := range []bool{true, false} {
			dir := makeModel(t, smallest(tied))
			editConfig(t, dir, map[string]any{"tie_word_embeddings": nil})
			if c := mustOpen(t, dir); c.Config.TieEmbeddings != tied {
				t.Errorf("tied %v, want %v", c.Config.TieEmbeddings, tied)
			}
		}
	})
	t.Run("stored rotary frequencies", func(t *testing.T) {
		dir := makeModel(t, smallest(true))
		extra := Tensor{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", DType: F32, Shape: []int{1}, Data: make([]byte, 4)}
		put(t, dir, weightsFile, safetensors(t, append(readTensors(t, dir), extra)))
		mustOpen(t, dir)
	})
	t.Run("a link inside the folder", func(t *testing.T) {
		dir := makeModel(t, smallest(true))
		if err := os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, "blob")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("blob", filepath.Join(dir, weightsFile)); err != nil {
			t.Skip("no links here:", err)
		}
		mustOpen(t, dir)
	})
	t.Run("no generation config", func(t *testing.T) {
		dir := makeModel(t, smallest(true))
		if err := os.Remove(filepath.Join(dir, generationFile)); err != nil {
			t.Fatal(err)
		}
		if c := mustOpen(t, dir); len(c.Config.EOS) != 1 || c.Config.EOS[0] != 300 {
			t.Errorf("end tokens %v, want [300] from config.json", c.Config.EOS)
		}
	})
}

func TestFileChangesSize(t *testing.T) {
	dir := makeModel(t, smallest(true))
	c := mustOpen(t, dir)
	if err := os.Truncate(filepath.Join(dir, weightsFile), 100); err != nil {
		t.Fatal(err)
	}
	_, err := c.Tensor(embeddingName)
	checkError(t, err, ErrInvalid, "has 100 bytes now")
	_, err = c.Digest()
	checkError(t, err, ErrInvalid, "has 100 bytes now")
}

func TestDigest(t *testing.T) {
	digest := func(dir string) string {
		d, err := mustOpen(t, dir).Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	dir := makeModel(t, smallest(true))
	first := digest(dir)
	if again := digest(dir); again != first || len(first) != 64 {
		t.Errorf("digest %s and then %s", first, again)
	}
	put(t, dir, "README.md", []byte("not part of the model"))
	put(t, dir, "tokenizer.json", []byte("has a digest of its own"))
	if got := digest(dir); got != first {
		t.Error("the digest depends on files that aren't the model's")
	}
	editConfig(t, dir, map[string]any{"rope_theta": 2e4})
	changed := digest(dir)
	if changed == first {
		t.Error("the digest doesn't depend on the config")
	}
	path := filepath.Join(dir, weightsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	put(t, dir, weightsFile, data)
	if digest(dir) == changed {
		t.Error("the digest doesn't depend on the last byte of the weights")
	}
}

func TestCloseTwice(t *testing.T) {
	c, err := Open(makeModel(t, smallest(true)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}

func TestInspect(t *testing.T) {
	config := smallest(false)
	in := mustOpen(t, makeModel(t, config)).Inspect()
	parameters := map[string]int64{
		"embedding": 320 * 8, "head": 320 * 8, "norm": 5 * 8,
		"attention": 2 * (8*8 + 8 + 2*(4*8+4) + 8*8), "mlp": 2 * 3 * 8 * 12,
	}
	total := int64(0)
	for _, p := range in.Parts {
		if p.Parameters != parameters[p.Name] || p.Bytes != 2*p.Parameters {
			t.Errorf("part %+v, want %d parameters of 2 bytes", p, parameters[p.Name])
		}
		total += p.Parameters
	}
	if len(in.Parts) != len(parameters) || in.Parameters != total || in.Bytes != 2*total {
		t.Errorf("%d parts, %d parameters, %d bytes; want %d, %d, %d", len(in.Parts), in.Parameters, in.Bytes, len(parameters), total, 2*total)
	}
	if in.KVElements != 2*2*4 || in.KVBytes16 != 2*16 || in.KVContext != 64*32 || in.StepBytes != in.Bytes-2*320*8 || !in.Synthetic {
		t.Errorf("got %+v", in)
	}
}
