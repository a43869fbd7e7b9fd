//go:build native

package cuda

import (
	"math"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/estimate"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/model"
)

// openCounted opens a model, and what counts: bytes are counted by checked code only.
func openCounted(t *testing.T, m *model.Checkpoint, weights string, check bool) (*engine, *driver.Emulator) {
	t.Helper()
	d := device(t)
	emulator, err := d.Emulator()
	if err != nil {
		t.Skipf("counts come from the emulator: %v", err)
	}
	e, err := open(m, Options{Pages: 24, Weights: weights}, d, 0, codeFor(t, check))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, e) })
	return e, emulator
}

func do(t *testing.T, b backend.Backend, rows ...backend.Row) []backend.RowOut {
	t.Helper()
	batch := &backend.Batch{Rows: rows}
	if err := b.Launch(batch); err != nil {
		t.Fatal(err)
	}
	if err := b.Collect(batch); err != nil {
		t.Fatal(err)
	}
	return batch.Out
}

// TestLaunches counts what a step of decoding costs: six kernels a layer, the begin and the head; one more where tokens
// are drawn from a part of the vocabulary.
func TestLaunches(t *testing.T) {
	c := narrow()
	c.Layers = 3
	e, count := openCounted(t, synth(t, c), "", false)
	ids := goldentest.Prompt(70, c.VocabSize)
	do(t, e, backend.Row{Tokens: ids, Pages: []backend.PageID{1, 2}})
	before := e.graphs.made
	for name, tt := range map[string]struct {
		s    backend.Sampling
		want int64
	}{
		"greedy":      {backend.Sampling{}, int64(estimate.Launches(3, 1, false))},
		"temperature": {backend.Sampling{Temperature: 1}, int64(estimate.Launches(3, 1, false))},
		"top-k":       {backend.Sampling{Temperature: 1, TopK: 5}, int64(estimate.Launches(3, 1, true))},
		"top-p":       {backend.Sampling{Temperature: 1, TopP: 0.5}, int64(estimate.Launches(3, 1, true))},
	} {
		step := func() {
			do(t, e, backend.Row{Tokens: ids[69:], Start: 69, Pages: []backend.PageID{1, 2}, Sample: &tt.s})
		}
		step() // the graph is built
		graphs := e.graphs.made
		count.Forget()
		step()
		var launches int64
		counts, err := count.Counts()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range counts {
			launches += k.Launches
		}
		if launches != tt.want {
			t.Errorf("%s: %d launches, want %d: %+v", name, launches, tt.want, counts)
		}
		if e.graphs.made != graphs {
			t.Errorf("%s: a graph was built for the second step", name)
		}
	}
	if n := e.graphs.made - before; n != 2 {
		t.Errorf("%d graphs for steps of one row, want 2", n)
	}
}

// TestGraphs: prompts go by graphs too, whose number is bounded, and give what the kernels give one by one.
func TestGraphs(t *testing.T) {
	n := 0
	for _, k := range graphKinds() {
		n += 2 * len(k.sizes)
		if !slices.IsSorted(k.sizes) || len(k.sizes) > len(graphs{}.exec[0][0]) {
			t.Errorf("sizes %v", k.sizes)
		}
	}
	if n > 20 {
		t.Errorf("%d graphs, want 20 at most", n)
	}
	c := narrow()
	e, count := openCounted(t, synth(t, c), "", false)
	ids := goldentest.Prompt(200, c.VocabSize)
	launches := func() int {
		n, err := count.Calls("cuLaunchKernelEx")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	steps := [][]backend.Row{
		{{Tokens: ids[:100], Pages: []backend.PageID{1, 2}, Sample: &backend.Sampling{Temperature: 1, Seed: 5, Position: 100}}},
		{{Tokens: ids[100:101], Start: 100, Pages: []backend.PageID{1, 2}, Sample: &backend.Sampling{Temperature: 1, TopK: 9}}, {Tokens: ids[:190], Pages: []backend.PageID{3, 4, 5}, Sample: &backend.Sampling{}}},
		{{Tokens: ids[:64], Pages: []backend.PageID{6}}},
	}
	draw := func() (drawn []int32) {
		for _, rows := range steps {
			for _, o := range do(t, e, rows...) {
				drawn = append(drawn, o.Token)
			}
		}
		return drawn
	}
	before := launches()
	got := draw()
	if n := launches() - before; n != 0 {
		t.Errorf("%d kernels were launched one by one", n)
	}
	if e.graphs.made != 2 {
		t.Errorf("%d graphs, want one with a second pass and one without", e.graphs.made)
	}
	if err := e.graphs.close(); err != nil {
		t.Fatal(err)
	}
	e.graphs.full = true
	if want := draw(); !slices.Equal(got, want) {
		t.Errorf("by graphs %v, one by one %v", got, want)
	}
	if launches() == before {
		t.Error("no kernel was launched one by one")
	}
}

// TestSteadyState: a step of decoding allocates nothing on the device, builds nothing and waits for no stream; the host's
// allocations are few and don't grow.
func TestSteadyState(t *testing.T) {
	c := narrow()
	d := device(t)
	e, err := open(synth(t, c), Options{Pages: 24}, d, 0, codeFor(t, false))
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, e)
	emulator, err := d.Emulator()
	if err != nil {
		t.Skipf("counts come from the emulator: %v", err)
	}
	ids := goldentest.Prompt(70, c.VocabSize)
	row := backend.Row{Tokens: ids[:1], Pages: []backend.PageID{1, 2}, Sample: &backend.Sampling{}}
	batch := &backend.Batch{Rows: []backend.Row{row}}
	step := func() {
		if err := e.Launch(batch); err != nil {
			t.Fatal(err)
		}
		if err := e.Collect(batch); err != nil {
			t.Fatal(err)
		}
	}
	step()
	calls := func() (n [6]int) {
		for i, f := range []string{"cuMemAlloc", "cuMemHostAlloc", "cuStreamSynchronize", "cuGraphInstantiateWithFlags", "cuLaunchKernelEx", "cuMemcpyHtoD"} {
			if n[i], err = emulator.Calls(f); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	before := calls()
	allocs := testing.AllocsPerRun(20, step)
	if after := calls(); after != before {
		t.Errorf("calls of memory, of building and of waiting: %v before, %v after 20 steps, want no more", before, after)
	}
	if allocs > 0 {
		t.Errorf("%v allocations of the host a step", allocs)
	}
}

// TestBytes counts the bytes that a step of decoding reads of weights, of their scales and of the KV pages, each once, and
// holds them against the floor: what lies there once.
func TestBytes(t *testing.T) {
	c := narrow()
	c.HiddenSize, c.IntermediateSize = 160, 272
	m := synth(t, c)
	for _, weights := range []string{"bf16", "w8", "w4"} {
		e, count := openCounted(t, m, weights, true)
		ids := goldentest.Prompt(128, c.VocabSize)
		pages := []backend.PageID{4, 2}
		do(t, e, backend.Row{Tokens: ids[:127], Pages: pages})
		w, kv := count.Traffic(driver.Ptr(e.weightsAt)), count.Traffic(driver.Ptr(e.kv))
		do(t, e, backend.Row{Tokens: ids[127:], Start: 127, Pages: pages, Sample: &backend.Sampling{}})
		w2, kv2 := count.Traffic(driver.Ptr(e.weightsAt)), count.Traffic(driver.Ptr(e.kv))
		gotWeights, gotKV := w2.DistinctRead-w.DistinctRead, kv2.DistinctRead-kv.DistinctRead
		f := estimate.FloorOf(e.shape, c.Layers, 128)
		for what, n := range map[string][2]int64{"weights": {gotWeights, f.Weights}, "KV pages": {gotKV, f.KV}} {
			if ratio := float64(n[0]) / float64(n[1]); math.Abs(ratio-1) > 0.02 {
				t.Errorf("%s: %s: %d bytes read, the floor is %d", weights, what, n[0], n[1])
			}
		}
		t.Logf("%s: weights %d of %d, KV %d of %d, written to pages %d", weights, gotWeights, f.Weights, gotKV, f.KV, kv2.DistinctWritten-kv.DistinctWritten)
		if e.shape.Weights.String() != weights {
			t.Errorf("held in %s", e.shape.Weights)
		}
	}
}
