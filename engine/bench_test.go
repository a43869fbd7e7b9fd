//go:build native

package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model/robotstories"
)

// BenchmarkGenerate is one stream of 128 tokens through the whole engine: on the shipped model,
// where the engine's own work shows most, and on the folder that PACELINE_BENCH_MODEL names.
func BenchmarkGenerate(b *testing.B) {
	dirs := map[string]string{"robot-stories": filepath.Join(b.TempDir(), "robot-stories")}
	if err := robotstories.Extract(dirs["robot-stories"]); err != nil {
		b.Fatal(err)
	}
	if dir := os.Getenv("PACELINE_BENCH_MODEL"); dir != "" {
		dirs[filepath.Base(dir)] = dir
	}
	for name, dir := range dirs {
		for kind, s := range map[string]backend.Sampling{
			"greedy": {},
			"top-p":  {Temperature: 0.7, TopP: 0.9, Seed: 1},
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				e, err := Open(b.Context(), Options{ModelDir: dir, MaxContext: 512})
				if err != nil {
					b.Fatal(err)
				}
				defer e.Close()
				const tokens = 128
				b.ReportAllocs()
				for b.Loop() {
					st, err := e.Submit(b.Context(), Request{Prompt: []int32{1, 2, 3}, MaxTokens: tokens, IgnoreEOS: true, Sampling: s})
					if err != nil {
						b.Fatal(err)
					}
					for range st.Events() {
					}
				}
				b.ReportMetric(tokens*float64(b.N)/b.Elapsed().Seconds(), "tok/s")
			})
		}
	}
}
