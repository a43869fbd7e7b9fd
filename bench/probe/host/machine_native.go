//go:build native

package host

// #cgo CFLAGS: -O3 -std=gnu11 -Wall -Wextra -Werror
// #include "machine.h"
import "C"

import "unsafe"

// kindSuffix is empty: this is the flavour that C measures.
const kindSuffix = ""

// sum reads every word of b.
func sum(b []uint64) uint64 {
	if len(b) == 0 {
		return 0
	}
	return uint64(C.paceline_sum((*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(b))), C.size_t(len(b))))
}

// fma makes rounds of independent single-precision multiply-adds with the widest
// vectors of this CPU. It gives a value that depends on all of them and their
// operations.
func fma(rounds int) (value float32, flops float64) {
	var f C.double
	v := C.paceline_fma(C.size_t(rounds), &f)
	return float32(v), float64(f)
}
