//go:build native

package engine

import (
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// TestInvarianceOnCPU is the same with the preset's own shape.
func TestInvarianceOnCPU(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := model.Synth(t.Context(), "tiny", dir, model.SynthOptions{Seed: 2}); err != nil {
		t.Fatal(err)
	}
	holdInvariant(t, dir, "cpu", 3, 300, 0)
}

// TestNothingIsAllocatedPerTokenOnCPU counts the whole way of a token, from the kernels to its
// event: a long answer allocates as often as a short one. Text is left out, which is made of strings.
func TestNothingIsAllocatedPerTokenOnCPU(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("not with the race detector: the compiler keeps fewer things off the heap for it")
	}
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := model.Synth(t.Context(), "tiny", dir, model.SynthOptions{Seed: 2}); err != nil {
		t.Fatal(err)
	}
	e := open(t, Options{ModelDir: dir, MaxContext: 512})
	tokenizer := e.tokenizer
	e.tokenizer = nil
	defer func() { e.tokenizer = tokenizer }()
	allocations := func(tokens int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := e.Submit(t.Context(), Request{
			Prompt: []int32{1, 2, 3}, MaxTokens: tokens, IgnoreEOS: true, Sampling: backend.Sampling{Temperature: 1, TopP: 0.9},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range s.Events() {
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	allocations(10)
	least := uint64(1 << 60) // the runtime allocates now and then too
	for range 5 {
		short, long := allocations(50), allocations(450)
		least = min(least, long-min(long, short))
	}
	if least > 20 {
		t.Errorf("400 tokens more allocate %d times more, want none", least)
	}
}
