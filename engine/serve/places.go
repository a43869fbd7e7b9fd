package serve

import "sync/atomic"

// places bounds how many choices are under way or waiting in the engine's queue.
type places struct {
	limit int64
	used  atomic.Int64
}

// take takes n places, or none where they aren't all there.
func (p *places) take(n int) bool {
	for {
		used := p.used.Load()
		if used+int64(n) > p.limit {
			return false
		}
		if p.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

func (p *places) give(n int) { p.used.Add(-int64(n)) }
