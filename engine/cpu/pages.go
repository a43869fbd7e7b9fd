//go:build native

package cpu

/*
#include "step.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/paceline/paceline/engine/backend"
)

// pages is the store of KV pages: page-major, and in a page layer by layer and KV
// head by KV head first K as [dim][64], then V as [64][dim], all f32.
type pages struct{ e *engine }

// pageFloats is the floats of one page.
func (e *engine) pageFloats() int {
	return e.config.Layers * e.config.KVHeads * 2 * backend.PageTokens * dimsOf(e.config).dim
}

func (p pages) Count() int          { return p.e.options.Pages }
func (p pages) BytesPerPage() int64 { return int64(p.e.pageFloats()) * 4 }

// Copy copies the first tokens positions of page src to page dst.
func (p pages) Copy(dst, src backend.PageID, tokens int) error {
	switch {
	case p.e.closed:
		return fmt.Errorf("copy page %d to %d: the backend is closed", src, dst)
	case int(dst) < 0 || int(dst) >= p.Count() || int(src) < 0 || int(src) >= p.Count():
		return fmt.Errorf("copy page %d to %d: want pages 0 to %d", src, dst, p.Count()-1)
	case tokens < 1 || tokens > backend.PageTokens:
		return fmt.Errorf("copy %d positions of page %d to %d: want 1 to %d", tokens, src, dst, backend.PageTokens)
	case dst == src:
		return nil
	}
	n, dim := p.e.pageFloats(), dimsOf(p.e.config).dim
	all := unsafe.Slice((*float32)(unsafe.Pointer(p.e.model.pages)), n*p.Count())
	to, from := all[int(dst)*n:][:n], all[int(src)*n:][:n]
	for at := 0; at < n; at += 2 * dim * backend.PageTokens {
		for d := range dim {
			row := at + d*backend.PageTokens
			copy(to[row:row+tokens], from[row:row+tokens])
		}
		v := at + dim*backend.PageTokens
		copy(to[v:v+tokens*dim], from[v:v+tokens*dim])
	}
	return nil
}
