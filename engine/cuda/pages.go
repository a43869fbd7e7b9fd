//go:build native

package cuda

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// pages is the store of KV pages; kernels/qkv.cu says what lies in one.
type pages struct{ e *engine }

func (p pages) Count() int { return p.e.options.Pages }

func (p pages) BytesPerPage() int64 { return 2 * pageElements(p.e.shape, len(p.e.weights.layers)) }

// Copy copies page src to page dst, whole, in the order of the launches.
func (p pages) Copy(dst, src backend.PageID, tokens int) error {
	e := p.e
	switch {
	case e.closed:
		return fmt.Errorf("copy page %d to %d: the backend is closed", src, dst)
	case e.fault != nil:
		return fmt.Errorf("copy page %d to %d: %w", src, dst, e.fault)
	case int(dst) < 0 || int(dst) >= p.Count() || int(src) < 0 || int(src) >= p.Count():
		return fmt.Errorf("copy page %d to %d: want pages 0 to %d", src, dst, p.Count()-1)
	case tokens < 1 || tokens > backend.PageTokens:
		return fmt.Errorf("copy %d positions of page %d to %d: want 1 to %d", tokens, src, dst, backend.PageTokens)
	case dst == src:
		return nil
	}
	doing := fmt.Sprintf("copy page %d to %d", src, dst)
	release, err := e.enter()
	if err != nil {
		return e.broken(doing, err)
	}
	defer release()
	at := func(page backend.PageID) driver.Ptr {
		return driver.Ptr(e.kv + kernels.Ptr(int64(page)*p.BytesPerPage()))
	}
	if err := e.ctx.DtoDAsync(at(dst), at(src), p.BytesPerPage(), e.stream); err != nil {
		return e.broken(doing, err)
	}
	return nil
}
