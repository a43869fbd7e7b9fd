// Package goldentest holds a backend against Hugging Face transformers: small models in
// many shapes, what transformers computes for them, and tests that any backend runs.
//
// The repository holds no weights. The models are made anew from model.SynthConfig and a
// seed, and the expected numbers name the digest of the files that they belong to.
package goldentest

import "github.com/paceline/paceline/engine/model"

// Shape is a small model: an architecture and how its files are written.
type Shape struct {
	Name   string
	Config model.Config
	Shards int  // safetensors files; 1 has no index
	Newer  bool // config.json in the dialect of transformers ≥ 5
	// Positions after which logits are known, ascending; the last one ends the prompt.
	// Short prompts also have the log-probability of each of their tokens.
	Positions []int
}

// Count is the length of the shape's prompt.
func (s Shape) Count() int { return s.Positions[len(s.Positions)-1] + 1 }

// long says that the prompt doesn't fit one batch.
func (s Shape) long() bool { return s.Count() > 512 }

// Shapes are chosen so that each thing that a checkpoint may differ in differs somewhere:
// heads per KV head 1, 2 and 7; heads of 10 to 128 elements; head tied or its own; rope
// bases; types; files; dialects; sizes that are a multiple of 128, of 16, of 4 or of nothing.
func Shapes() []Shape {
	base := model.Config{
		Architecture: "Qwen2ForCausalLM", Layers: 2, MaxPositions: 512, RMSNormEps: 1e-6, BOS: -1, DType: "bfloat16",
	}
	short := []int{199}
	with := func(name string, shards int, newer bool, at []int, set func(c *model.Config)) Shape {
		c := base
		set(&c)
		c.EOS = []int32{int32(c.VocabSize - 3)}
		return Shape{Name: name, Config: c, Shards: shards, Newer: newer, Positions: at}
	}
	heads := func(c *model.Config, heads, kv, dim int) { c.Heads, c.KVHeads, c.HeadDim = heads, kv, dim }
	return []Shape{
		with("ratio1-head32", 1, false, short, func(c *model.Config) {
			heads(c, 4, 4, 32)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta, c.TieEmbeddings = 320, 128, 256, 1e4, true
		}),
		with("ratio2-head64", 2, true, short, func(c *model.Config) {
			heads(c, 4, 2, 64)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta, c.Layers = 333, 256, 304, 1e6, 3
		}),
		with("ratio7-head64", 1, false, short, func(c *model.Config) { // as Qwen2.5-0.5B, narrower
			heads(c, 14, 2, 64)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta, c.TieEmbeddings, c.DType = 301, 100, 150, 1e6, true, "float32"
		}),
		with("ratio2-head96", 3, true, short, func(c *model.Config) {
			heads(c, 2, 1, 96)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta, c.RMSNormEps = 310, 200, 264, 5e5, 1e-5
		}),
		with("ratio7-head128", 1, true, short, func(c *model.Config) {
			heads(c, 7, 1, 128)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta, c.TieEmbeddings, c.DType = 304, 144, 272, 1e6, true, "float16"
		}),
		with("ratio2-head10", 2, false, short, func(c *model.Config) { // nothing is a multiple of anything
			heads(c, 6, 3, 10)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta = 307, 58, 75, 5e5
		}),
		with("deep", 1, true, short, func(c *model.Config) {
			heads(c, 4, 1, 32)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta, c.TieEmbeddings, c.Layers = 300, 96, 200, 1e4, true, 8
		}),
		with("long", 1, true, []int{64, 4096, 8191}, func(c *model.Config) {
			heads(c, 2, 1, 16)
			c.VocabSize, c.HiddenSize, c.IntermediateSize, c.RopeTheta, c.Layers, c.MaxPositions = 259, 32, 48, 1e6, 1, 32768
			c.TieEmbeddings = true
		}),
	}
}

// Long is the shape with a long prompt. It has one layer (see OneLayer) and a context of
// 32,768 positions.
func Long() Shape {
	all := Shapes()
	return all[len(all)-1]
}

// Prompt is n ids below vocab, the same for all who ask; shapes.py makes the same.
func Prompt(n, vocab int) []int32 {
	ids, x := make([]int32, n), uint32(1)
	for i := range ids { // the generator of Numerical Recipes
		x = x*1664525 + 1013904223
		ids[i] = int32(x>>16) % int32(vocab)
	}
	return ids
}
