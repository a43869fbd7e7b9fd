//go:build native

package cpu

/*
#include "memory.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// align is the alignment of everything laid out in a region, in bytes.
const align = 64

// region is memory outside Go's heap, mapped once and cut into pieces. Sizes are
// planned first: every piece is reserved, then the region is mapped, then pieces
// get their addresses.
type region struct {
	size  int64 // of all pieces
	red   int64 // bytes between them that nobody may touch (memory.h)
	base  unsafe.Pointer
	fixes []func()
}

// reserve plans count elements of type T and sets *to when the region is mapped.
func reserve[T any](r *region, to **T, count int) {
	var zero T
	at, bytes := r.size+r.red, int64(count)*int64(unsafe.Sizeof(zero))
	whole := (bytes + align - 1) / align * align
	r.size += whole
	r.red += C.PL_RED_ZONE
	r.fixes = append(r.fixes, func() {
		*to = (*T)(unsafe.Add(r.base, at))
		C.pl_forbid(unsafe.Add(r.base, at+bytes), C.size_t(whole-bytes+C.PL_RED_ZONE))
	})
}

// open maps the region, zeroed, and sets the addresses of its pieces.
func (r *region) open(what string) error {
	r.base = C.pl_map(r.mapped())
	if r.base == nil {
		return fmt.Errorf("map %d bytes for %s: the system has no more memory to give", r.size, what)
	}
	for _, fix := range r.fixes {
		fix()
	}
	r.fixes = nil
	return nil
}

// close frees the region; it may be called twice and on one never opened.
func (r *region) close() {
	if r.base != nil {
		C.pl_unmap(r.base, r.mapped())
		r.base = nil
	}
}

func (r *region) mapped() C.size_t { return C.size_t(max(r.size+r.red, 1)) }
