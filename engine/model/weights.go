package model

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// openWeights opens the one safetensors file, or else the shards of the index.
func (c *Checkpoint) openWeights(d folder) error {
	if d.exists(weightsFile) {
		return c.addShard(d, weightsFile)
	}
	if !d.exists(indexFile) {
		return c.noWeights(d)
	}
	data, err := c.readSmall(d, indexFile, MaxHeaderBytes)
	if err != nil {
		return err
	}
	index, err := parseIndex(data)
	if err != nil {
		return fmt.Errorf("%s: %w", indexFile, err)
	}
	files, err := shardsOf(index)
	if err != nil {
		return fmt.Errorf("%s: %w", indexFile, err)
	}
	for _, name := range files {
		if err := c.addShard(d, name); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = invalidf("the shard %s isn't there: %w", name, err)
			}
			return fmt.Errorf("%s: %w", indexFile, err)
		}
	}
	for _, tensor := range sortedKeys(index) {
		if found, ok := c.tensors[tensor]; !ok {
			return fmt.Errorf("%s: %w", indexFile, invalidf("tensor %q isn't in its shard %s", tensor, index[tensor]))
		} else if found.shard.name != index[tensor] {
			return fmt.Errorf("%s: %w", indexFile, invalidf("tensor %q should lie in %s, found it in %s", tensor, index[tensor], found.shard.name))
		}
	}
	for name, found := range c.tensors {
		if _, ok := index[name]; !ok {
			return fmt.Errorf("%s: %w", found.shard.name, invalidf("tensor %q isn't in %s", name, indexFile))
		}
	}
	return nil
}

// Shards reads a model.safetensors.index.json and gives the files that it names, sorted.
// Each is the name of a .safetensors file in the same folder, and nothing else.
func Shards(index []byte) ([]string, error) {
	names, err := parseIndex(index)
	if err != nil {
		return nil, err
	}
	return shardsOf(names)
}

func shardsOf(index map[string]string) ([]string, error) {
	files := map[string]bool{}
	for tensor, name := range index {
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) || !strings.HasSuffix(name, ".safetensors") {
			return nil, invalidf("tensor %q lies in %q, want the name of a .safetensors file in this folder", tensor, name)
		}
		files[name] = true
	}
	return sortedKeys(files), nil
}

// noWeights explains a folder without safetensors.
func (c *Checkpoint) noWeights(d folder) error {
	entries, err := fs.ReadDir(d.root.FS(), d.at)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".bin", ".pt", ".pth", ".gguf":
			return unsupportedf("the folder has no %s and no %s, but %.80q; supported: safetensors", weightsFile, indexFile, e.Name())
		}
	}
	return fmt.Errorf("%w: %s has neither %s nor %s: was the download cut short?", ErrNotFound, absolute(c.Dir), weightsFile, indexFile)
}

func (c *Checkpoint) addShard(d folder, name string) error {
	s, err := openShard(d, name)
	if err != nil {
		return err
	}
	c.shards = append(c.shards, s)
	if len(c.tensors)+len(s.entries) > MaxTensors {
		return invalidf("%s: more than %d tensors together", name, MaxTensors)
	}
	for _, e := range s.entries {
		if other, ok := c.tensors[e.name]; ok {
			return invalidf("tensor %q lies in both %s and %s", e.name, other.shard.name, name)
		}
		c.tensors[e.name] = place{shard: s, entry: e}
		c.names = append(c.names, e.name)
	}
	return nil
}

// checkTensors holds the config against the tensors.
func (c *Checkpoint) checkTensors() error {
	want := c.Config.Tensors()
	known := make(map[string]bool, len(want))
	for _, t := range want {
		known[t.Name] = true
		p, ok := c.tensors[t.Name]
		if d := c.quantised(t.Name); ok && d != "" {
			if err := c.checkPacked(t, d); err != nil {
				return err
			}
			known[t.Name+scaleSuffix] = true
			continue
		}
		if !ok {
			return invalidf("tensor %q of shape %v is missing (%s says %d layers)", t.Name, t.Shape, configFile, c.Config.Layers)
		}
		if !slices.Equal(p.entry.shape, t.Shape) {
			return fmt.Errorf("%s: %w", p.shard.name, invalidf("tensor %q: %s wants shape %v, found %v", t.Name, configFile, t.Shape, p.entry.shape))
		}
		if !p.entry.dtype.weight() {
			return fmt.Errorf("%s: %w", p.shard.name, unsupportedf("tensor %q has type %s; supported: %s, %s, %s", t.Name, p.entry.dtype, BF16, F16, F32))
		}
	}
	for _, name := range c.names {
		if known[name] || strings.HasSuffix(name, ".rotary_emb.inv_freq") { // a constant that old files carry
			continue
		}
		if name == headName && c.Quantization == nil {
			if err := c.checkTiedHead(); err != nil {
				return err
			}
			continue
		}
		return fmt.Errorf("%s: %w", c.tensors[name].shard.name, invalidf("tensor %q has no place in the %s of %d layers that %s describes", name, c.Config.Architecture, c.Config.Layers, configFile))
	}
	if c.Quantization != nil {
		c.Config.DType = c.Quantization.Weights
		return nil
	}
	found := c.tensors[embeddingName].entry.dtype.configName()
	if c.Config.DType != "" && c.Config.DType != found {
		return invalidf("%s says %s, but %q is stored as %s", configFile, c.Config.DType, embeddingName, found)
	}
	c.Config.DType = found
	return nil
}

// checkTiedHead allows a head that is stored although it is tied, as some
// exporters do, when it really is the embedding.
func (c *Checkpoint) checkTiedHead() error {
	head, embedding := c.tensors[headName], c.tensors[embeddingName]
	if head.entry.dtype == embedding.entry.dtype && slices.Equal(head.entry.shape, embedding.entry.shape) &&
		bytes.Equal(head.shard.tensor(head.entry).Data, embedding.shard.tensor(embedding.entry).Data) {
		return nil
	}
	return fmt.Errorf("%s: %w", head.shard.name, invalidf("%s ties the head to the embedding, but %q differs from %q", configFile, headName, embeddingName))
}
