//go:build native

package cpu

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/ref"
)

// shapes are small architectures, one with nothing that is a multiple of anything.
func shapes() map[string]model.Config {
	base := model.Config{
		Architecture: "Qwen2ForCausalLM", RopeTheta: 1e6, RMSNormEps: 1e-6, MaxPositions: 512,
		BOS: 300, EOS: []int32{300}, DType: "bfloat16",
	}
	even, odd, group := base, base, base
	even.VocabSize, even.HiddenSize, even.IntermediateSize, even.Layers = 512, 128, 256, 3
	even.Heads, even.KVHeads, even.HeadDim, even.TieEmbeddings = 4, 2, 64, true
	odd.VocabSize, odd.HiddenSize, odd.IntermediateSize, odd.Layers = 309, 60, 75, 2
	odd.Heads, odd.KVHeads, odd.HeadDim, odd.DType = 6, 3, 10, "float32"
	group.VocabSize, group.HiddenSize, group.IntermediateSize, group.Layers = 307, 224, 304, 2
	group.Heads, group.KVHeads, group.HeadDim = 14, 2, 16
	return map[string]model.Config{"even": even, "odd": odd, "group": group}
}

func checkpoint(t testing.TB, c model.Config) *model.Checkpoint {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.SynthConfig(t.Context(), c, dir, model.SynthOptions{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// opened is an engine that uses all its threads, however small the work.
func opened(t testing.TB, m *model.Checkpoint, o Options) *engine {
	t.Helper()
	e := openedAsIs(t, m, o)
	e.solo = 0
	return e
}

func openedAsIs(t testing.TB, m *model.Checkpoint, o Options) *engine {
	t.Helper()
	b, err := openOn(m, o, Cores())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func oracle(t testing.TB, m *model.Checkpoint) backend.Backend {
	t.Helper()
	b, err := ref.Open(m, ref.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func prompt(n, vocab int) []int32 {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = r.Int32N(int32(vocab))
	}
	return ids
}

// pageList is pages first, first+by, … for n positions.
func pageList(n, first, by int) []backend.PageID {
	p := make([]backend.PageID, admit.PagesFor(n))
	for i := range p {
		p[i] = backend.PageID(first + i*by)
	}
	return p
}

func step(t testing.TB, b backend.Backend, rows ...backend.Row) []backend.RowOut {
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

// chunked feeds ids in chunks and returns the last logits.
func chunked(t testing.TB, b backend.Backend, ids []int32, table []backend.PageID, size int) []float32 {
	t.Helper()
	for at := 0; ; at += size {
		end := min(at+size, len(ids))
		out := step(t, b, backend.Row{Tokens: ids[at:end], Start: at, Pages: table, WantLogits: end == len(ids)})
		if end == len(ids) {
			return append([]float32(nil), out[0].Logits...)
		}
	}
}

func sameBits(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v, want the bits of %v", what, i, got[i], want[i])
		}
	}
}

func within(t testing.TB, what string, got, want []float32, bound float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if !(d <= bound) {
			t.Fatalf("%s: value %d is %v, want %v within %v", what, i, got[i], want[i], bound)
		}
		worst = max(worst, d)
	}
	t.Logf("%s: %d values, largest difference %.2g", what, len(got), worst)
}

// logitBound is the project's promise for f32 activations.
const logitBound = 2e-4

// TestAgainstOracle compares logits, log-probabilities and a greedy continuation
// with engine/ref, for every kernel set.
func TestAgainstOracle(t *testing.T) {
	for name, c := range shapes() {
		t.Run(name, func(t *testing.T) {
			m := checkpoint(t, c)
			const n = 150
			ids := prompt(n, c.VocabSize)
			greedy := &backend.Sampling{}
			run := func(b backend.Backend) (first backend.RowOut, tokens []int32, last []float32) {
				table := pageList(n+12, 1, 2)
				first = step(t, b, backend.Row{Tokens: ids, Pages: table, Sample: greedy, WantLogits: true, WantAllLogProbs: true})[0]
				first.Logits = append([]float32(nil), first.Logits...)
				first.LogProbs = append([]float32(nil), first.LogProbs...)
				out := first
				for i := range 12 {
					tokens = append(tokens, out.Token)
					out = step(t, b, backend.Row{Tokens: []int32{out.Token}, Start: n + i, Pages: table, Sample: greedy, WantLogits: true})[0]
				}
				return first, tokens, append([]float32(nil), out.Logits...)
			}
			want, wantTokens, wantLast := run(oracle(t, m))
			eachISA(t, func(t *testing.T, k kernelSet) {
				got, tokens, last := run(opened(t, m, Options{ISA: k.name}))
				within(t, "logits", got.Logits, want.Logits, logitBound)
				within(t, "log-probabilities", got.LogProbs, want.LogProbs, logitBound)
				within(t, "logits after decoding", last, wantLast, logitBound)
				for i := range tokens {
					if tokens[i] != wantTokens[i] {
						t.Fatalf("greedy token %d is %d, want %d", i, tokens[i], wantTokens[i])
					}
				}
			})
		})
	}
}

// formats are the ways to hold weights and the KV cache: all of them for the shape that has the
// most to go wrong, the plain ones for the others.
func formats(shape string) []Options {
	list := []Options{{}, {Compute: "bf16"}, {Weights: "w8"}, {Weights: "w4", KV: "int8"}}
	if shape != "even" {
		list = append(list, Options{KV: "bf16"}, Options{KV: "int8"}, Options{Compute: "bf16", KV: "f32"}, Options{Compute: "bf16", KV: "int8"},
			Options{Weights: "w8", KV: "f32"}, Options{Weights: "w4"})
	}
	return list
}

// TestSameBits: a sequence's numbers don't depend on the chunks of its prompt, on
// the company it computes in, or on the number of threads.
func TestSameBits(t *testing.T) {
	for name, c := range shapes() {
		t.Run(name, func(t *testing.T) {
			m := checkpoint(t, c)
			for _, o := range formats(name) {
				eachISA(t, func(t *testing.T, k kernelSet) {
					const n = 141
					ids, other := prompt(n, c.VocabSize), prompt(77, c.VocabSize)
					o.ISA = k.name
					b := opened(t, m, o)
					o.Threads = 1
					one := opened(t, m, o)
					table, elsewhere := pageList(n, 0, 3), pageList(n, 1, 3)
					want := chunked(t, b, ids, table, n)
					for _, size := range []int{1, 7, 16, 64, 65, 140} {
						sameBits(t, "chunks", chunked(t, b, ids, elsewhere, size), want)
					}
					sameBits(t, "one thread", chunked(t, one, ids, table, 40), want)
					// Among other rows, long and short, before and behind.
					step(t, b, backend.Row{Tokens: ids[:100], Pages: elsewhere})
					out := step(t, b,
						backend.Row{Tokens: other, Pages: pageList(len(other), 20, 1), WantLogits: true},
						backend.Row{Tokens: ids[100:], Start: 100, Pages: elsewhere, WantLogits: true},
						backend.Row{Tokens: other[:1], Pages: pageList(1, 30, 1), WantLogits: true},
						backend.Row{Tokens: ids[:20], Pages: pageList(20, 31, 1)},
					)
					sameBits(t, "among others", out[1].Logits, want)
					alone := step(t, b, backend.Row{Tokens: other[:1], Pages: pageList(1, 40, 1), WantLogits: true})
					few := append([]float32(nil), alone[0].Logits...)
					var rows []backend.Row
					for i := range 20 { // single rows, as in batched decoding
						rows = append(rows, backend.Row{Tokens: other[i : i+1], Pages: pageList(1, 20+i, 1), WantLogits: true})
					}
					sameBits(t, "decoding among others", step(t, b, rows...)[0].Logits, few)
				})
			}
		})
	}
}

// TestRounded bounds what rounded numbers cost, against the oracle with the same weights. Each
// of the four products of a layer rounds its activations: to bf16 by at most 2^-9 of each; to
// s8 by a uniform error of a step, which is 1/127 of the largest of a group, about 2.7 standard
// deviations of 128 normal numbers: 2.7/127/√12 = 0.006 of their size. Keys and values are two
// more such roundings. Through L layers the random errors of the residual stream add up to the
// root of the sum of their squares, of the logits' size. Four times that is a bound that no sound
// kernel reaches and a wrong one does.
func TestRounded(t *testing.T) {
	rounding := map[string]float64{"f32": 0, "bf16": 1.0 / 512, "int8": 0.006}
	for _, shape := range []string{"even", "odd", "group"} {
		c := shapes()[shape]
		m := checkpoint(t, c)
		ids := prompt(100, c.VocabSize)
		table := pageList(len(ids), 0, 1)
		want := map[string][]float32{}
		for _, weights := range []string{"", "w8", "w4"} {
			b, err := ref.Open(m, ref.Options{Weights: weights})
			if err != nil {
				t.Fatal(err)
			}
			want[weights] = slices.Clone(chunked(t, b, ids, table, len(ids)))
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range formats(shape)[1:] {
			eachISA(t, func(t *testing.T, k kernelSet) {
				o.ISA = k.name
				e := opened(t, m, o)
				diff := distance(chunked(t, e, ids, table, 64), want[o.Weights])
				act, kv := rounding[e.info.Compute], rounding[e.info.KV]
				bound := 4 * math.Sqrt(float64(c.Layers)*(4*act*act+2*kv*kv))
				t.Logf("%s, %s, KV %s: relative difference %.2g of %.2g", e.info.Weights, e.info.Compute, e.info.KV, diff, bound)
				if diff > bound || diff < 1e-5 {
					t.Errorf("%s, weights %s, compute %s, KV %s: relative difference %.3g, want above 1e-5 (rounding happened) and at most %.3g",
						shape, e.info.Weights, e.info.Compute, e.info.KV, diff, bound)
				}
			})
		}
	}
}

// distance is the root mean square of got − want, by that of want.
func distance(got, want []float32) float64 {
	var diff, size float64
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		diff += d * d
		size += float64(want[i]) * float64(want[i])
	}
	return math.Sqrt(diff / size)
}

// TestScores: log-probabilities beside logits, across rows and sizes.
func TestScores(t *testing.T) {
	c := shapes()["odd"]
	m := checkpoint(t, c)
	rows := []backend.Row{
		{Tokens: prompt(1, c.VocabSize), Pages: pageList(1, 0, 1), WantAllLogProbs: true},
		{Tokens: prompt(40, c.VocabSize), Pages: pageList(40, 1, 1), WantAllLogProbs: true, WantLogits: true},
		{Tokens: prompt(3, c.VocabSize), Pages: pageList(3, 2, 1)},
		{Tokens: prompt(17, c.VocabSize), Pages: pageList(17, 3, 1), WantAllLogProbs: true},
	}
	want := step(t, oracle(t, m), rows...)
	got := step(t, opened(t, m, Options{}), rows...)
	for i := range rows {
		within(t, "log-probabilities", got[i].LogProbs, want[i].LogProbs, logitBound)
		within(t, "logits", got[i].Logits, want[i].Logits, logitBound)
		if got[i].Token != -1 {
			t.Errorf("row %d asked for no token and got %d", i, got[i].Token)
		}
		if (got[i].LogProbs != nil) != rows[i].WantAllLogProbs && len(rows[i].Tokens) > 1 {
			t.Errorf("row %d: log-probabilities %v, asked: %v", i, got[i].LogProbs != nil, rows[i].WantAllLogProbs)
		}
	}
}

// TestCopy: a sequence that goes on from a copied part of a page computes the same
// bits, and the page's rest isn't touched.
func TestCopy(t *testing.T) {
	c := shapes()["group"]
	for _, kv := range []string{"f32", "bf16", "int8"} {
		t.Run(kv, func(t *testing.T) { testCopy(t, c, opened(t, checkpoint(t, c), Options{Pages: 8, KV: kv})) })
	}
}

func testCopy(t *testing.T, c model.Config, b *engine) {
	ids := prompt(90, c.VocabSize)
	want := chunked(t, b, ids, []backend.PageID{0, 1}, 90)
	step(t, b, backend.Row{Tokens: ids[:64], Pages: []backend.PageID{2}})
	step(t, b, backend.Row{Tokens: ids[64:], Start: 64, Pages: []backend.PageID{2, 3}})
	if err := b.Pages().Copy(4, 3, 10); err != nil {
		t.Fatal(err)
	}
	out := step(t, b, backend.Row{Tokens: ids[74:], Start: 74, Pages: []backend.PageID{2, 4}, WantLogits: true})
	sameBits(t, "from a copied page", out[0].Logits, want)
	for _, bad := range []struct {
		dst, src backend.PageID
		tokens   int
	}{{-1, 0, 1}, {0, 8, 1}, {8, 0, 1}, {1, 0, 0}, {1, 0, 65}} {
		if b.Pages().Copy(bad.dst, bad.src, bad.tokens) == nil {
			t.Errorf("copy %+v: no error", bad)
		}
	}
}
