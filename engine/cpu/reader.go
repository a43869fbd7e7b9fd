//go:build native

package cpu

/*
#include "probe.h"
*/
import "C"

import (
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"
)

// Reader reads memory as weights are read: by all cores at once, from pages as large as the
// system gives. Its rate is the yardstick for decoding, which does little else. Close it.
type Reader struct {
	memory  region
	data    *byte
	bytes   int
	threads int
}

// NewReader maps so many bytes and writes them once. To measure memory and not a cache, take more
// than the caches hold.
func NewReader(bytes, threads int) (*Reader, error) {
	r := &Reader{bytes: bytes / threads / 4096 * 4096 * threads, threads: threads}
	reserve(&r.memory, &r.data, r.bytes)
	if err := r.memory.open("a read probe"); err != nil {
		return nil, err
	}
	data := unsafe.Slice(r.data, r.bytes)
	for i := 0; i < len(data); i += 4096 {
		data[i] = byte(i >> 12)
	}
	return r, nil
}

// Rate is GB/s, the median of some passes over all bytes.
func (r *Reader) Rate() float64 {
	var rates []float64
	for range 5 {
		var wait sync.WaitGroup
		from := time.Now()
		part := r.bytes / r.threads
		for i := range r.threads {
			wait.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				C.pl_probe_read(unsafe.Add(unsafe.Pointer(r.data), i*part), C.size_t(part))
			})
		}
		wait.Wait()
		rates = append(rates, float64(r.bytes)/time.Since(from).Seconds()/1e9)
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}

// Close frees the memory.
func (r *Reader) Close() { r.memory.close() }
