package kv

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/paceline/paceline/engine/backend"
)

// ErrNoPages is wrapped by errors of asking for pages that aren't there: the caller waits
// until others give some back, or makes them.
var ErrNoPages = errors.New("out of KV pages")

// PagesFor is how many pages hold so many positions; none for less than one.
func PagesFor(positions int) int {
	return max(positions+backend.PageTokens-1, 0) / backend.PageTokens
}

// Pool owns all pages of one backend. Its methods and those of its tables are called
// by one goroutine, except Usage.
type Pool struct {
	refs  []int32          // references of each page; 0: free or cached
	free  []backend.PageID // a stack, so that a page just freed, warm in caches, comes next
	cache cache

	used, cached, peak    atomic.Int64
	queried, hit, evicted atomic.Uint64 // tokens
}

// Usage is a count of pages, and what the prefix cache did so far.
type Usage struct {
	Total  int // pages of the backend
	Used   int // held by at least one table
	Cached int // held by none, and found by their tokens
	Peak   int // greatest Used so far

	QueriedTokens uint64 // looked for in the prefix cache
	HitTokens     uint64 // found there
	EvictedTokens uint64 // of cached pages that were taken for something else
}

// NewPool owns pages 0..count-1, all free. The lowest is given first. At most cached pages
// that nobody holds are kept for their tokens; 0 turns the prefix cache off.
func NewPool(count, cached int) *Pool {
	p := &Pool{refs: make([]int32, count), free: make([]backend.PageID, count)}
	for i := range p.free {
		p.free[i] = backend.PageID(count - 1 - i)
	}
	p.cache = newCache(count, min(cached, count))
	return p
}

// Usage counts pages. It may be called by any goroutine.
func (p *Pool) Usage() Usage {
	return Usage{
		Total: len(p.refs), Used: int(p.used.Load()), Cached: int(p.cached.Load()), Peak: int(p.peak.Load()),
		QueriedTokens: p.queried.Load(), HitTokens: p.hit.Load(), EvictedTokens: p.evicted.Load(),
	}
}

// Available is how many pages can be had: those that are free and those that are only cached.
func (p *Pool) Available() int { return len(p.free) + p.cache.idle }

// take gives an available page its first reference. The caller has checked that there is one.
func (p *Pool) take() backend.PageID {
	if len(p.free) == 0 {
		p.evict()
	}
	id := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.refs[id] = 1
	p.count(1)
	return id
}

// evict frees the cached page that was used longest ago.
func (p *Pool) evict() {
	p.free = append(p.free, p.cache.evict())
	p.cached.Store(int64(p.cache.idle))
	p.evicted.Add(backend.PageTokens)
}

func (p *Pool) count(by int64) {
	used := p.used.Add(by)
	p.peak.Store(max(p.peak.Load(), used))
	p.cached.Store(int64(p.cache.idle))
}

// retain adds a reference to a page that is used or cached. It panics on a free one, which
// may hold anything.
func (p *Pool) retain(id backend.PageID) {
	if p.refs[id] == 0 {
		if !p.cache.entered(id) {
			panic(fmt.Sprintf("kv: page %d retained without an owner", id))
		}
		p.cache.hold(id)
		p.count(1)
	}
	p.refs[id]++
}

// release takes a reference away. With the last one the page is cached if it can be found by its
// tokens, else free. It panics if there is none.
func (p *Pool) release(id backend.PageID) {
	if p.refs[id] == 0 {
		panic(fmt.Sprintf("kv: page %d released twice", id))
	}
	if p.refs[id]--; p.refs[id] > 0 {
		return
	}
	if p.cache.entered(id) {
		p.cache.letGo(id)
		if p.cache.idle > p.cache.limit {
			p.evict()
		}
	} else {
		p.free = append(p.free, id)
	}
	p.count(-1)
}
