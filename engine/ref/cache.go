package ref

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// cache is the store of KV pages: for each page and layer the keys of PageTokens
// positions and then their values, width numbers a position.
type cache struct {
	pages, layers, width int
	data                 []float64
}

func newCache(c model.Config, pages int) *cache {
	k := &cache{pages: pages, layers: c.Layers, width: c.KVWidth()}
	k.data = make([]float64, pages*k.pageLen())
	return k
}

func (k *cache) layerLen() int { return 2 * backend.PageTokens * k.width }
func (k *cache) pageLen() int  { return k.layers * k.layerLen() }

func (k *cache) Count() int          { return k.pages }
func (k *cache) BytesPerPage() int64 { return 8 * int64(k.pageLen()) }
func (k *cache) bytes() int64        { return int64(k.pages) * k.BytesPerPage() }

// key is where the keys of one position lie, in one layer of a sequence with
// this page table.
func (k *cache) key(table []backend.PageID, layer, position int) []float64 {
	at := int(table[position/backend.PageTokens])*k.pageLen() + layer*k.layerLen() + position%backend.PageTokens*k.width
	return k.data[at : at+k.width]
}

// value is where its values lie.
func (k *cache) value(table []backend.PageID, layer, position int) []float64 {
	at := int(table[position/backend.PageTokens])*k.pageLen() + layer*k.layerLen() +
		(backend.PageTokens+position%backend.PageTokens)*k.width
	return k.data[at : at+k.width]
}

func (k *cache) Copy(dst, src backend.PageID, tokens int) error {
	if dst < 0 || int(dst) >= k.pages || src < 0 || int(src) >= k.pages || dst == src {
		return fmt.Errorf("copy page %d to page %d: want two different pages from 0 to %d", src, dst, k.pages-1)
	}
	if tokens < 1 || tokens > backend.PageTokens {
		return fmt.Errorf("copy %d positions of page %d: want 1 to %d", tokens, src, backend.PageTokens)
	}
	from, to := []backend.PageID{src}, []backend.PageID{dst}
	for layer := range k.layers {
		for t := range tokens {
			copy(k.key(to, layer, t), k.key(from, layer, t))
			copy(k.value(to, layer, t), k.value(from, layer, t))
		}
	}
	return nil
}
