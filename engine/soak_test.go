//go:build native

package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// envSoak is how many times the soak opens an engine, uses and closes it.
const envSoak = "PACELINE_SOAK_CYCLES"

// holding is what this process holds of what an engine takes.
type holding struct {
	goroutines, threads int
	resident            int64 // bytes
}

// leaks says what grew over cycles of opening and closing an engine that has so many
// threads of its own and so many bytes of weights, all of them touched. A cycle that
// kept any of that would keep all of it, so half of it, over all cycles, is the bound:
// the runtime's own threads and heap settle, and stay below.
func leaks(before, after holding, cycles, threads int, weights int64) []string {
	var found []string
	if after.goroutines > before.goroutines {
		found = append(found, fmt.Sprintf("%d goroutines, %d before", after.goroutines, before.goroutines))
	}
	if n := after.threads - before.threads; threads > 1 && n > cycles*(threads-1)/2 {
		found = append(found, fmt.Sprintf("%d threads more after %d engines of %d", n, cycles, threads))
	}
	if n := after.resident - before.resident; n > int64(cycles)*weights/2 {
		found = append(found, fmt.Sprintf("%d bytes more in memory after %d engines with %d bytes of weights", n, cycles, weights))
	}
	return found
}

// held measures, once goroutines that are ending have ended: at most want are left, or a
// while has passed.
func held(t *testing.T, want int) holding {
	t.Helper()
	for range 500 {
		if runtime.NumGoroutine() <= want {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	debug.FreeOSMemory()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skipf("skipped: this system doesn't tell what a process holds: %v", err)
	}
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return holding{runtime.NumGoroutine(), len(tasks), pages * int64(os.Getpagesize())}
}

// soakModel is small enough for a test, and its weights large enough to be seen in the
// memory of a process.
func soakModel(t *testing.T) string {
	t.Helper()
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.HiddenSize, c.IntermediateSize, c.Layers, c.Heads, c.KVHeads, c.HeadDim = 128, 512, 6, 4, 2, 32
	dir := filepath.Join(t.TempDir(), "soak")
	if err := model.SynthConfig(t.Context(), c, dir, model.SynthOptions{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// soak is one cycle: an engine under random requests from several sides, some cut off,
// some never read, and its end, with requests under way or without.
func soak(t *testing.T, dir string, r *rand.Rand) (stats Stats) {
	t.Helper()
	e, err := Open(t.Context(), Options{ModelDir: dir, MaxContext: 160, Compute: []string{"f32", "bf16"}[r.IntN(2)]})
	if err != nil {
		t.Fatal(err)
	}
	memory := e.Stats().Memory
	var all sync.WaitGroup
	for range 4 {
		own := rand.New(rand.NewPCG(r.Uint64(), 1))
		all.Go(func() {
			for range 5 {
				soakRequest(t, e, own)
			}
		})
	}
	if r.IntN(3) == 0 { // an end in the middle
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	for i := 0; e.Stats().PagesUsed != 0 && i < 500; i++ { // the last cut off ones end with their step
		time.Sleep(10 * time.Millisecond)
	}
	stats = e.Stats()
	if stats.PagesUsed != 0 || stats.Memory != memory {
		t.Errorf("%d pages in use without a request; memory %+v, at first %+v", stats.PagesUsed, stats.Memory, memory)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	return stats
}

// soakRequest is one use of the engine. It checks only what every use keeps.
func soakRequest(t *testing.T, e *Engine, r *rand.Rand) {
	prompt := make([]int32, 1+r.IntN(100))
	for i := range prompt {
		prompt[i] = r.Int32N(int32(e.Model().Config.VocabSize))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if r.IntN(4) == 0 {
		if r.IntN(3) == 0 {
			cancel()
		}
		if _, err := e.Score(ctx, prompt); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Errorf("score: %v", err)
		}
		return
	}
	s, err := e.Submit(ctx, Request{
		Prompt: prompt, MaxTokens: 1 + r.IntN(24), IgnoreEOS: r.IntN(2) == 0,
		Sampling: backend.Sampling{Temperature: r.Float32(), Seed: r.Uint64()},
	})
	if err != nil {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("submit: %v", err)
		}
		return
	}
	if r.IntN(5) == 0 {
		return // nobody reads it, and its context ends
	}
	stop := r.IntN(30)
	for ev := range s.Events() {
		if ev.Finish == nil {
			if stop--; stop < 0 {
				cancel()
			}
			continue
		}
		if ev.Finish.Reason == FinishError {
			t.Errorf("finished by %v", ev.Finish.Err)
		}
	}
}

// TestSoak opens, uses and closes engines again and again, and wants back all they took.
func TestSoak(t *testing.T) {
	cycles := 10
	if text := os.Getenv(envSoak); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 4 {
			t.Fatalf("%s=%q: want a number of cycles, at least 4", envSoak, text)
		}
		cycles = n
	}
	dir := soakModel(t)
	r := rand.New(rand.NewPCG(5, 9))
	goroutines := runtime.NumGoroutine()
	var stats Stats
	var requests uint64
	for range 3 { // the runtime's own threads and heap settle
		stats = soak(t, dir, r)
	}
	before := held(t, goroutines)
	before.goroutines = goroutines
	for range cycles {
		stats = soak(t, dir, r)
		requests += stats.Requests
	}
	after := held(t, goroutines)
	t.Logf("%d requests in %d cycles; before %+v, after %+v", requests, cycles, before, after)
	for _, leak := range leaks(before, after, cycles, stats.Backend.Threads, stats.Memory.Weights) {
		t.Error(leak)
	}
}

// TestSoakSeesLeaks keeps engines open, which is what the soak must notice.
func TestSoakSeesLeaks(t *testing.T) {
	dir := soakModel(t)
	soak(t, dir, rand.New(rand.NewPCG(1, 2)))
	const kept = 8
	before := held(t, runtime.NumGoroutine())
	var stats Stats
	for range kept {
		stats = open(t, Options{ModelDir: dir, MaxContext: 160}).Stats()
	}
	after := held(t, math.MaxInt) // they won't end
	want := 2                     // goroutines and memory
	if stats.Backend.Threads > 1 {
		want++
	}
	if got := leaks(before, after, kept, stats.Backend.Threads, stats.Memory.Weights); len(got) != want {
		t.Errorf("%d engines were left open, and only this was found: %q", kept, got)
	}
}
