//go:build native

package cuda

import (
	"sync/atomic"
	"unsafe"

	"github.com/paceline/paceline/engine/cuda/kernels"
)

// capacity is how much of each list a block has.
type capacity struct{ tokens, units, merges, heads, pages, edits int }

// place is where a block's lists begin, in bytes.
type place struct{ token, unit, merge, head, page, edit, size int64 }

func (r capacity) place() place {
	var p place
	at := int64(align) // the counts
	take := func(to *int64, n, size int) {
		*to = at
		at += aligned(int64(n) * int64(size))
	}
	take(&p.token, r.tokens, kernels.TokenBytes)
	take(&p.unit, r.units, kernels.UnitBytes)
	take(&p.merge, r.merges, kernels.MergeBytes)
	take(&p.head, r.heads, kernels.HeadBytes)
	take(&p.page, r.pages, 4)
	take(&p.edit, r.edits, kernels.EditBytes)
	p.size = at
	return p
}

// lists are the addresses of a block at base.
func (p place) lists(base kernels.Ptr) kernels.Lists {
	at := func(n int64) kernels.Ptr { return base + kernels.Ptr(n) }
	return kernels.Lists{
		Counts: base, Token: at(p.token), Unit: at(p.unit), Merge: at(p.merge),
		Head: at(p.head), Page: at(p.page), Edit: at(p.edit),
	}
}

// block is a step's parameters in memory that the device maps. Its lists are filled by append and never
// grow beyond their capacity.
type block struct {
	counts *kernels.Counts
	tokens []kernels.Token
	units  []kernels.Unit
	merges []kernels.Merge
	heads  []kernels.Head
	pages  []uint32
	edits  []kernels.Edit
}

// view gives the lists of a block in memory, empty.
func view[T any](memory []byte, at int64, n int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[at])), n)[:0]
}

func newBlock(memory []byte, r capacity) *block {
	p := r.place()
	return &block{
		counts: (*kernels.Counts)(unsafe.Pointer(&memory[0])),
		tokens: view[kernels.Token](memory, p.token, r.tokens), units: view[kernels.Unit](memory, p.unit, r.units),
		merges: view[kernels.Merge](memory, p.merge, r.merges), heads: view[kernels.Head](memory, p.head, r.heads),
		pages: view[uint32](memory, p.page, r.pages), edits: view[kernels.Edit](memory, p.edit, r.edits),
	}
}

func (b *block) reset() {
	b.tokens, b.units, b.merges, b.heads = b.tokens[:0], b.units[:0], b.merges[:0], b.heads[:0]
	b.pages, b.edits = b.pages[:0], b.edits[:0]
}

// seal writes the counts, the last thing before the launch.
func (b *block) seal(finish, number uint32) {
	n := func(l int) uint32 { return uint32(l) }
	*b.counts = kernels.Counts{
		Tokens: n(len(b.tokens)), Heads: n(len(b.heads)), Units: n(len(b.units)), Merges: n(len(b.merges)), Pages: n(len(b.pages)), Edits: n(len(b.edits)),
		Finish: finish, Number: number,
	}
}

// drawn is what the device hands back of a step.
type drawn struct {
	number *uint32
	tokens []int32
}

func newDrawn(memory []byte, heads int) drawn {
	return drawn{
		number: (*uint32)(unsafe.Pointer(&memory[0])),
		tokens: unsafe.Slice((*int32)(unsafe.Pointer(&memory[kernels.DrawnHeader])), heads),
	}
}

// has says that the step's tokens are there.
func (d drawn) has(number uint32) bool { return atomic.LoadUint32(d.number) == number }
