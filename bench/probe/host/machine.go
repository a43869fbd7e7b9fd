package host

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// The machine probe's budget. A reading is the median of its passes; one pass of
// each kind is always made.
const (
	readBudget  = 300 * time.Millisecond
	fmaBudget   = 100 * time.Millisecond
	fmaPass     = 12 * time.Millisecond
	maxThreads  = 16
	minBuffer   = 64 << 20  // bytes read a pass, over all threads
	maxBuffer   = 512 << 20 // however large the last-level cache is
	maxPasses   = 64
	beyondCache = 2 // the buffer is at least so many times the last-level cache
)

// Probe measures the machine itself for at most about half a second: the rate at
// which all cores together (at most 16) read memory that no cache holds, and the
// rate of their fused multiply-adds in single precision. when is "before" or
// "after". It stops early, with what it has, when ctx ends.
//
// The kinds are "cpu.read" and "cpu.fma" where C measures, and "cpu.read.go" and
// "cpu.fma.go" where Go does: figures of the two can't be compared.
func (s *Sampler) Probe(ctx context.Context, when string) []result.Probe {
	threads := min(s.cores(), maxThreads)
	reading := func(kind, unit string, v float64) result.Probe {
		return result.Probe{Kind: kind + kindSuffix, Unit: unit, Value: v, When: when, At: s.now()}
	}
	return []result.Probe{
		reading("cpu.read", "GB/s", readRate(ctx, threads, s.bufferBytes())),
		reading("cpu.fma", "GFLOP/s", fmaRate(ctx, threads)),
	}
}

// bufferBytes is well beyond the last-level cache, in bounds.
func (s *Sampler) bufferBytes() int {
	cache := int64(0)
	for _, index := range []string{"2", "3", "4"} {
		if n, ok := parseSize(s.line("sys/devices/system/cpu/cpu0/cache/index" + index + "/size")); ok {
			cache = max(cache, n)
		}
	}
	return int(min(max(beyondCache*cache, minBuffer), maxBuffer))
}

// readRate is in GB/s.
func readRate(ctx context.Context, threads, size int) float64 {
	size -= size % (threads * 4096)
	buf := make([]uint64, size/8)
	part := len(buf) / threads
	parts := make([][]uint64, threads)
	for i := range parts {
		parts[i] = buf[i*part : (i+1)*part]
	}
	// The pages must exist before they are read: an untouched page is one shared
	// page of zeros that never leaves the cache.
	together(threads, func(i int) {
		for j := range parts[i] {
			parts[i][j] = uint64(j)
		}
	})
	var rates []float64
	sums := make([]uint64, threads*8) // a cache line each
	for start := time.Now(); len(rates) < maxPasses; {
		took := together(threads, func(i int) { sums[i*8] += sum(parts[i]) })
		rates = append(rates, float64(threads*part*8)/took.Seconds()/1e9)
		if ctx.Err() != nil || time.Since(start)+took > readBudget {
			break
		}
	}
	runtime.KeepAlive(sums)
	return median(rates)
}

// fmaRate is in GFLOP/s: two operations each multiply-add.
func fmaRate(ctx context.Context, threads int) float64 {
	rounds := 1 << 12
	out := make([]float32, threads*16)
	pass := func() (flops float64, took time.Duration) {
		done := make([]float64, threads)
		took = together(threads, func(i int) {
			var f float64
			out[i*16], f = fma(rounds)
			done[i] = f
		})
		for _, f := range done {
			flops += f
		}
		return flops, took
	}
	// The first pass wakes the vector units and tells how long one must be.
	start := time.Now()
	for _, took := pass(); took < fmaPass && rounds < 1<<26; _, took = pass() {
		rounds = int(float64(rounds) * min(max(1.1*fmaPass.Seconds()/took.Seconds(), 1.5), 64))
	}
	var rates []float64
	for len(rates) < maxPasses {
		flops, took := pass()
		rates = append(rates, flops/took.Seconds()/1e9)
		if ctx.Err() != nil || time.Since(start)+took > fmaBudget {
			break
		}
	}
	runtime.KeepAlive(out)
	return median(rates)
}

// together runs f on every thread at once and gives the time from the common start
// to the last end.
func together(threads int, f func(i int)) time.Duration {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range threads {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	t0 := time.Now()
	close(start)
	done.Wait()
	return max(time.Since(t0), time.Nanosecond)
}

// median of a few rates; the middle two's mean for an even number.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
