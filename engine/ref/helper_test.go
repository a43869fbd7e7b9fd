package ref

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// tiny is the synthetic architecture of these tests.
func tiny(t testing.TB) model.Config {
	t.Helper()
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// open makes a synthetic model in the folder dir and opens it.
func open(t testing.TB, dir string, c model.Config, o Options) backend.Backend {
	t.Helper()
	if err := model.SynthConfig(context.Background(), c, dir, model.SynthOptions{Seed: 3}); err != nil {
		t.Fatal(err)
	}
	return openDir(t, dir, o)
}

func openDir(t testing.TB, dir string, o Options) backend.Backend {
	t.Helper()
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(m, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil { // the backend must not need it any more
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func openTiny(t testing.TB) backend.Backend {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "tiny"), tiny(t), Options{})
}

// someTokens are n ids below 512, the same for all who ask.
func someTokens(n int) []int32 {
	ids, x := make([]int32, n), uint32(1)
	for i := range ids { // the generator of Numerical Recipes
		x = x*1664525 + 1013904223
		ids[i] = int32(x>>16) % 512
	}
	return ids
}

// step launches and collects a batch of these rows.
func step(t testing.TB, b backend.Backend, rows ...backend.Row) []backend.RowOut {
	t.Helper()
	batch := &backend.Batch{Rows: rows}
	if err := b.Launch(batch); err != nil {
		t.Fatal(err)
	}
	if err := b.Collect(batch); err != nil {
		t.Fatal(err)
	}
	if len(batch.Out) != len(rows) {
		t.Fatalf("%d outputs for %d rows", len(batch.Out), len(rows))
	}
	return batch.Out
}

// inBlocks feeds ids in blocks of size and returns the logits after the last.
func inBlocks(t testing.TB, b backend.Backend, ids []int32, size int, pages []backend.PageID) []float32 {
	t.Helper()
	for start := 0; ; start += size {
		end := min(start+size, len(ids))
		out := step(t, b, backend.Row{Tokens: ids[start:end], Start: start, Pages: pages, WantLogits: end == len(ids)})
		if end == len(ids) {
			return out[0].Logits
		}
	}
}
