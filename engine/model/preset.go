package model

import (
	"fmt"
	"strings"
)

// Presets are the names that Synth knows.
func Presets() []string { return []string{"qwen2.5-0.5b", "tiny"} }

// PresetConfig is the architecture behind a preset: "qwen2.5-0.5b" has all sizes
// of Qwen2.5-0.5B; "tiny" is for tests, 2 layers and about 1.3 million parameters.
func PresetConfig(preset string) (Config, error) {
	switch preset {
	case "qwen2.5-0.5b":
		return Config{
			Architecture: architectureQwen2, VocabSize: 151936, HiddenSize: 896, IntermediateSize: 4864,
			Layers: 24, Heads: 14, KVHeads: 2, HeadDim: 64, MaxPositions: 32768,
			RopeTheta: 1e6, RMSNormEps: 1e-6, TieEmbeddings: true, DType: "bfloat16",
			BOS: 151643, EOS: []int32{151643},
		}, nil
	case "tiny":
		return Config{
			Architecture: architectureQwen2, VocabSize: 512, HiddenSize: 256, IntermediateSize: 512,
			Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 64, MaxPositions: 1024,
			RopeTheta: 1e6, RMSNormEps: 1e-6, TieEmbeddings: true, DType: "bfloat16",
			BOS: 509, EOS: []int32{509},
		}, nil
	}
	return Config{}, fmt.Errorf("unknown preset %q; known: %s", preset, strings.Join(Presets(), ", "))
}
