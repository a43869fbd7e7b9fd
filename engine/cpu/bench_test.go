//go:build native

package cpu

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
)

// envBenchModel names a model folder to measure beside the small one, for instance
// a synthetic Qwen2.5-0.5B.
const envBenchModel = "PACELINE_BENCH_MODEL"

// benchModels are the model in the repository and, if one is named, a large one.
func benchModels(b *testing.B, f func(b *testing.B, m *model.Checkpoint)) {
	b.Run("robotstories", func(b *testing.B) { f(b, folder(b, shipped)) })
	dir := os.Getenv(envBenchModel)
	if dir == "" {
		b.Logf("no large model: set %s", envBenchModel)
		return
	}
	b.Run("large", func(b *testing.B) {
		f(b, folder(b, dir))
	})
}

// eachEngine opens the model for every kernel set, activation type and number of
// threads that makes a difference.
func eachEngine(b *testing.B, m *model.Checkpoint, f func(b *testing.B, e *engine)) {
	for _, isa := range Available() {
		for _, compute := range []string{"f32", "bf16"} {
			for _, threads := range slices.Compact([]int{1, Cores()}) {
				b.Run(fmt.Sprintf("%s/%s/threads%d", isa, compute, threads), func(b *testing.B) {
					e, err := openOn(m, Options{ISA: isa, Compute: compute, Threads: threads, MaxContext: min(4096, m.Config.MaxPositions)}, Cores())
					if err != nil {
						b.Fatal(err)
					}
					defer e.Close()
					f(b, e)
				})
			}
		}
	}
}

// BenchmarkDecode is single tokens of one sequence from position 64 on. GB/s is
// weights read; "read" is what plainly reading them gives in the same minute, on
// one thread.
func BenchmarkDecode(b *testing.B) {
	benchModels(b, func(b *testing.B, m *model.Checkpoint) {
		eachEngine(b, m, func(b *testing.B, e *engine) {
			table := pageList(256, 0, 1)
			chunked(b, e, prompt(64, m.Config.VocabSize), table, 64)
			greedy := &backend.Sampling{}
			token, n := int32(1), 0
			for b.Loop() {
				token = step(b, e, backend.Row{Tokens: []int32{token}, Start: 64 + n%128, Pages: table, Sample: greedy})[0].Token
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tok/s")
			b.ReportMetric(float64(e.memory.Weights)*float64(n)/b.Elapsed().Seconds()/1e9, "GB/s")
			from := time.Now()
			bytes := e.readMemory()
			b.ReportMetric(float64(bytes)/time.Since(from).Seconds()/1e9, "read-GB/s")
		})
	})
}

// BenchmarkPrefill is a prompt of 512 tokens in one batch, the last position's
// logits wanted.
func BenchmarkPrefill(b *testing.B) {
	benchModels(b, func(b *testing.B, m *model.Checkpoint) {
		eachEngine(b, m, func(b *testing.B, e *engine) {
			n := min(512, e.info.MaxContext)
			ids, table := prompt(n, m.Config.VocabSize), pageList(n, 0, 1)
			rounds := 0
			for b.Loop() {
				chunked(b, e, ids, table, n)
				rounds++
			}
			perSecond := float64(n*rounds) / b.Elapsed().Seconds()
			b.ReportMetric(perSecond, "tok/s")
			b.ReportMetric(2*float64(e.work(n, 1))/float64(n)*perSecond/1e9, "GFLOP/s")
		})
	})
}

// cpuTime is what this thread has computed, so that a busy machine spoils a figure
// less; the caller is locked to its thread.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkProduct is one matrix product on one thread, in GFLOP/s of its own
// processor time: the MLP's two shapes of Qwen2.5-0.5B.
func BenchmarkProduct(b *testing.B) {
	for _, k := range kernelSets() {
		if !k.have {
			continue
		}
		for _, s := range []struct{ n, in, m int }{{4864, 896, 512}, {896, 4864, 512}, {4864, 896, 12}, {4864, 896, 1}} {
			data, _ := bytesOf(make([]float32, s.n*s.in), model.BF16)
			p, _ := packMatrix(model.BF16, tensorOf(model.BF16, data, s.n, s.in))
			a, c := make([]float32, s.m*s.in), make([]float32, s.m*s.n)
			h := make([]uint16, len(a))
			run := func(name string, f func()) {
				b.Run(fmt.Sprintf("%s/%s/%dx%d/rows%d", k.name, name, s.n, s.in, s.m), func(b *testing.B) {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					n, from := 0, cpuTime(b)
					for b.Loop() {
						f()
						n++
					}
					spent := (cpuTime(b) - from).Seconds()
					b.ReportMetric(2*float64(s.n)*float64(s.in)*float64(s.m)*float64(n)/spent/1e9, "GFLOP/s")
				})
			}
			run("f32", func() { k.gemm(p, a, c, nil, s.m) })
			if k.hasDot() {
				run("bf16", func() { k.gemmDot(p, h, c, nil, s.m) })
			}
			for _, d := range []model.DType{model.W8, model.W4} {
				w, err := quant.Matrix(tensorOf(model.BF16, data, s.n, s.in), d, quant.RTN)
				if err != nil {
					b.Fatal(err)
				}
				p, _ := packMatrix(d, w)
				q := k.quantize(a, s.m)
				run(string(d), func() { k.gemmQ(p, q, c, nil, s.m) })
			}
		}
	}
}

// BenchmarkLong is where attention weighs most: prefill of 2048 tokens in batches
// of 512, and single tokens behind 4000 positions.
func BenchmarkLong(b *testing.B) {
	benchModels(b, func(b *testing.B, m *model.Checkpoint) {
		if m.Config.MaxPositions < 4096 {
			b.Skip("skipped: the model's context is short")
		}
		for _, isa := range Available() {
			e, err := openOn(m, Options{ISA: isa, MaxContext: 4096}, Cores())
			if err != nil {
				b.Fatal(err)
			}
			table := pageList(4096, 0, 1)
			b.Run("prefill2048/"+isa, func(b *testing.B) {
				ids, n := prompt(2048, m.Config.VocabSize), 0
				for b.Loop() {
					chunked(b, e, ids, table, 512)
					n++
				}
				b.ReportMetric(float64(2048*n)/b.Elapsed().Seconds(), "tok/s")
			})
			b.Run("decode4000/"+isa, func(b *testing.B) {
				n := 0
				for b.Loop() {
					step(b, e, backend.Row{Tokens: []int32{7}, Start: 4000 + n%90, Pages: table, Sample: &backend.Sampling{}})
					n++
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tok/s")
			})
			b.Run("decode8rows/"+isa, func(b *testing.B) {
				n, rows := 0, make([]backend.Row, 8)
				for b.Loop() {
					for i := range rows {
						rows[i] = backend.Row{Tokens: []int32{int32(i)}, Start: 64 + n%64, Pages: table[8*i:], Sample: &backend.Sampling{}}
					}
					step(b, e, rows...)
					n++
				}
				b.ReportMetric(float64(8*n)/b.Elapsed().Seconds(), "tok/s")
			})
			if err := e.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen is packing all weights.
func BenchmarkOpen(b *testing.B) {
	benchModels(b, func(b *testing.B, m *model.Checkpoint) {
		for b.Loop() {
			e, err := Open(m, Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := e.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
