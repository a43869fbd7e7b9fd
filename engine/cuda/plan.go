//go:build native

package cuda

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// arena is how one allocation is divided.
type arena struct{ size int64 }

// take reserves n bytes and gives their place.
func (a *arena) take(n int64) int64 {
	at := a.size
	a.size += aligned(n)
	return at
}

// activations are the places of everything that a step writes but the KV pages.
type activations struct {
	arena
	block, x, normed, q, attention, inner, parts, splits int64
	logits, best                                         int64
	drawn                                                [2]int64
	arrived, number                                      int64
	zeroed, zeroedBytes                                  int64 // what has to begin as zero

	headBlocks int // of a group of heads
}

// doneAt is where in the head's counters its groups count themselves; none of a step's groups of heads has
// so high a number.
const doneAt = 255

// counters is the number of each kind of counters: of the head, of the second pass and of the MLP's product.
const counters = 256

func capacityOf(s kernels.Shape, o Options) capacity {
	return capacity{
		tokens: maxTokens, units: maxParts + (maxTokens+maxRows)*s.KVHeads, merges: maxTokens,
		heads: 2 * maxTokens, pages: o.tablePages(), edits: max(maxEdits, s.Vocab),
	}
}

// planActivations divides the memory for a device of so many multiprocessors.
func planActivations(s kernels.Shape, r capacity, sms int) activations {
	var a activations
	tokens := int64(maxTokens)
	a.headBlocks = max(1, min((s.VocabTiles()+s.Warps-1)/s.Warps, 2*sms))
	a.block = a.take(r.place().size)
	a.x = a.take(tokens * int64(s.HiddenWidth()) * 4)
	a.normed = a.take(tokens * int64(s.HiddenWidth()) * 2)
	a.q = a.take(tokens * int64(s.QueryWidth()) * 2)
	a.attention = a.take(tokens * int64(s.QueryWidth()) * 2)
	a.inner = a.take(tokens * int64(s.Inner()) * 2)
	a.parts = a.take(maxParts * int64(s.PartFloats()) * 4)
	a.splits = a.take(int64(s.DownSplits()) * tokens * int64(s.HiddenWidth()) * 4)
	a.logits = a.take(keptRows * int64(s.Vocab) * 4)
	a.best = a.take(int64(r.heads) * int64(a.headBlocks) * kernels.BestBytes)
	a.zeroed = a.size
	for i := range a.drawn {
		a.drawn[i] = a.take(int64(r.heads) * 4)
	}
	a.arrived = a.take((2*counters + (tokens/8)*int64(s.HiddenTiles())) * 4)
	a.number = a.take(4)
	a.zeroedBytes = a.size - a.zeroed
	return a
}

// memoryNeed is what the backend allocates on the device, in bytes.
type memoryNeed struct{ weights, activations, page int64 }

// reserve stays free for the driver: modules, stacks, graphs.
const reserve = 256 << 20

// pagesWithin is how many KV pages to make on a device with so many bytes free. wanted is what was asked for, or 0.
func pagesWithin(n memoryNeed, free int64, wanted, context int) (int, error) {
	left := free - n.weights - n.activations - reserve
	need := admit.PagesFor(context)
	fits := int(max(left, 0) / n.page)
	taken := fmt.Sprintf("weights take %s, activations %s, the driver %s, and %s are free on the device", size(n.weights), size(n.activations), size(reserve), size(free))
	switch {
	case wanted > 0 && wanted > fits:
		return 0, fmt.Errorf("%w: a KV cache of %s: %s: at most %d pages of %d positions fit; ask for a shorter context or a smaller cache, or free the device's memory (nvidia-smi shows who uses it)",
			ErrMemory, size(int64(wanted)*n.page), taken, fits, backend.PageTokens)
	case wanted > 0:
		return wanted, nil
	case fits < min(need, minPages):
		return 0, fmt.Errorf("%w: %s, which leaves no room for a KV cache: free the device's memory (nvidia-smi shows who uses it), take a smaller model or another device", ErrMemory, taken)
	}
	return min(fits, maxRows*need), nil
}

// size is for people: whole MB, GB with a digit.
func size(bytes int64) string {
	if bytes < 10e9 {
		return fmt.Sprintf("%d MB", (bytes+5e5)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}
