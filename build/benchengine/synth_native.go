//go:build native

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
)

// preset is the model that the aims are stated for.
const preset = "qwen2.5-0.5b"

// syntheticModel is the folder of the synthetic model, made once in the cache (1 GB).
func syntheticModel(ctx context.Context, stderr io.Writer) (string, error) {
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bench", preset)
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return dir, nil
	}
	fmt.Fprintf(stderr, "benchengine: making the synthetic model %s (1 GB)\n", dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make synthetic model: %w", err)
	}
	return dir, model.Synth(ctx, preset, dir, model.SynthOptions{})
}

// packedModel is the folder of the model in dir quantised to format, made once in the cache.
// Scales are rounded to nearest, the quickest way: how they were chosen has no part in speed.
func packedModel(ctx context.Context, dir, format string, stderr io.Writer) (string, error) {
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	c, err := model.Open(dir)
	if err != nil {
		return "", err
	}
	digest, err := c.Digest()
	if err := errors.Join(err, c.Close()); err != nil {
		return "", err
	}
	packed := filepath.Join(root, "bench", "packed", digest[:12]+"-"+format)
	if _, err := os.Stat(filepath.Join(packed, "config.json")); err == nil {
		return packed, nil
	}
	fmt.Fprintf(stderr, "benchengine: quantising %s to %s\n", dir, packed)
	if err := os.MkdirAll(filepath.Dir(packed), 0o755); err != nil {
		return "", fmt.Errorf("quantise the model: %w", err)
	}
	_, err = quant.Folder(ctx, dir, packed, quant.Options{Format: format, Algorithm: quant.RTN})
	return packed, err
}
