//go:build native

package cpu

/*
#include "step.h"
*/
import "C"

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
)

// pages is the store of KV pages; attention.c knows what lies in one.
type pages struct{ e *engine }

func (p pages) Count() int          { return p.e.options.Pages }
func (p pages) BytesPerPage() int64 { return PageBytes(p.e.config, p.e.options.KV) }

// Copy copies page src to page dst. All of dst is written, of which the first tokens
// positions count.
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
	C.pl_copy_page(p.e.model, C.int32_t(dst), C.int32_t(src), C.int32_t(tokens))
	return nil
}
