package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// ErrNoSpace is wrapped by the errors of Synth and WriteFolder when the disk can't hold the model.
var ErrNoSpace = errors.New("not enough disk space")

// SynthOptions say how a synthetic model is made. The zero value is valid.
type SynthOptions struct {
	// TokenizerDir is a folder with a tokenizer.json, which is copied with the
	// files that belong to it. Empty: one is made that covers the vocabulary.
	TokenizerDir string
	// Seed of the weights and of the tokenizer's invented words: equal seeds give equal
	// files, on every machine.
	Seed uint64
	// Progress, if not nil, is called with the bytes of weights written and wanted;
	// by one goroutine at a time.
	Progress func(done, total int64)

	// free tells the free bytes of the disk that holds a folder; nil asks the system.
	free func(dir string) (int64, error)
}

// Synth writes a model of the preset's architecture with random weights to the
// folder dir, which must not exist or be empty. It serves measurements of speed:
// its text means nothing, and Checkpoint.Synthetic says so. The folder appears
// whole or not at all.
func Synth(ctx context.Context, preset, dir string, o SynthOptions) error {
	c, err := PresetConfig(preset)
	if err != nil {
		return err
	}
	return SynthConfig(ctx, c, dir, o)
}

// SynthConfig is Synth for any architecture, for tests that need a certain shape,
// in bfloat16 or float32. Weights of one seed and name are equal in every element type.
func SynthConfig(ctx context.Context, c Config, dir string, o SynthOptions) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make synthetic model %s: %w", dir, err)
		}
	}()
	if c.DType != BF16.configName() && c.DType != F32.configName() {
		return unsupportedf("element type %.40q; supported: bfloat16, float32", c.DType)
	}
	config, err := synthConfigJSON(c)
	if err != nil {
		return err
	}
	plan := newWeightPlan(c, o.Seed)
	folder := FolderOptions{Need: plan.total + 8<<20, free: o.free} // the rest is small
	return WriteFolder(dir, folder, func(temp string) error {
		if err := writeFile(temp, configFile, config); err != nil {
			return err
		}
		if err := writeFile(temp, generationFile, synthGenerationJSON(c)); err != nil {
			return err
		}
		if o.TokenizerDir != "" {
			err = copyTokenizer(temp, o.TokenizerDir)
		} else {
			err = writeTokenizer(temp, c, o.Seed)
		}
		if err != nil {
			return err
		}
		return plan.write(ctx, weightsIn(temp), o.Progress)
	})
}

// synthConfigJSON writes config.json in the hub's dialect and makes sure that
// reading it gives c again.
func synthConfigJSON(c Config) ([]byte, error) {
	fields := map[string]any{
		"architectures":           []string{c.Architecture},
		"model_type":              "qwen2",
		"vocab_size":              c.VocabSize,
		"hidden_size":             c.HiddenSize,
		"intermediate_size":       c.IntermediateSize,
		"num_hidden_layers":       c.Layers,
		"num_attention_heads":     c.Heads,
		"num_key_value_heads":     c.KVHeads,
		"max_position_embeddings": c.MaxPositions,
		"rope_theta":              c.RopeTheta,
		"rms_norm_eps":            c.RMSNormEps,
		"tie_word_embeddings":     c.TieEmbeddings,
		"torch_dtype":             c.DType,
		"hidden_act":              "silu",
		"attention_dropout":       0.0,
		"initializer_range":       synthDeviation,
		"max_window_layers":       c.Layers,
		"sliding_window":          c.MaxPositions,
		"use_sliding_window":      false,
		"use_cache":               true,
		"paceline_synthetic":      true,
	}
	if c.HeadDim*c.Heads != c.HiddenSize {
		fields["head_dim"] = c.HeadDim
	}
	if c.BOS >= 0 {
		fields["bos_token_id"] = c.BOS
	}
	if len(c.EOS) > 0 {
		fields["eos_token_id"] = c.EOS
	}
	if len(c.EOS) == 1 {
		fields["eos_token_id"] = c.EOS[0]
	}
	data, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		return nil, err
	}
	back, err := parseConfig(data)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(back.Config, c) {
		return nil, fmt.Errorf("the architecture %+v would be read as %+v", c, back.Config)
	}
	return append(data, '\n'), nil
}

func synthGenerationJSON(c Config) []byte {
	fields := map[string]any{"do_sample": false}
	if c.BOS >= 0 {
		fields["bos_token_id"] = c.BOS
	}
	if len(c.EOS) > 0 {
		fields["eos_token_id"] = c.EOS
	}
	data, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		panic(err) // integers and booleans always marshal
	}
	return append(data, '\n')
}

// tokenizerFiles are the files that belong to a tokenizer.
func tokenizerFiles() []string {
	return []string{
		"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"vocab.json", "merges.txt", "chat_template.jinja",
	}
}

// copyTokenizer copies the files that belong to a tokenizer.
func copyTokenizer(to, from string) error {
	for _, name := range tokenizerFiles() {
		err := copyFile(filepath.Join(to, name), filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) && name != "tokenizer.json" {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy the tokenizer: %w", err)
		}
	}
	return nil
}

func copyFile(to, from string) error {
	const limit = 256 << 20
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if info, err := source.Stat(); err != nil {
		return err
	} else if !info.Mode().IsRegular() || info.Size() > limit {
		return fmt.Errorf("%s is no regular file of at most %d MB", from, limit>>20)
	}
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
