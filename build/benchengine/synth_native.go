//go:build native

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/paceline/paceline/engine/model"
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
