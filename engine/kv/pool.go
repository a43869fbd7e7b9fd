package kv

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/paceline/paceline/engine/backend"
)

// ErrNoPages is wrapped by errors of asking for pages that aren't there: the caller waits
// until others are released.
var ErrNoPages = errors.New("out of KV pages")

// PagesFor is how many pages hold so many positions.
func PagesFor(positions int) int {
	return (positions + backend.PageTokens - 1) / backend.PageTokens
}

// Pool owns all pages of one backend. Its methods and those of its tables are called
// by one goroutine, except Usage.
type Pool struct {
	refs     []int32          // references of each page; 0: free
	free     []backend.PageID // a stack, so that a page just freed, warm in caches, comes next
	reserved int              // promised to tables and not yet taken

	used, peak atomic.Int64
}

// Usage is a count of pages.
type Usage struct {
	Total int // pages of the backend
	Used  int // with at least one reference
	Peak  int // greatest Used so far
}

// NewPool owns pages 0..count-1, all free. The lowest is given first.
func NewPool(count int) *Pool {
	p := &Pool{refs: make([]int32, count), free: make([]backend.PageID, count)}
	for i := range p.free {
		p.free[i] = backend.PageID(count - 1 - i)
	}
	return p
}

// Usage counts pages. It may be called by any goroutine.
func (p *Pool) Usage() Usage {
	return Usage{Total: len(p.refs), Used: int(p.used.Load()), Peak: int(p.peak.Load())}
}

// Available is how many pages are neither used nor promised.
func (p *Pool) Available() int { return len(p.free) - p.reserved }

// take gives a free page its first reference.
func (p *Pool) take() backend.PageID {
	id := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.refs[id] = 1
	used := p.used.Add(1)
	p.peak.Store(max(p.peak.Load(), used))
	return id
}

// Retain adds a reference to a page that has one. It panics if it has none: a page
// without an owner may hold anything.
func (p *Pool) Retain(id backend.PageID) {
	if p.refs[id] == 0 {
		panic(fmt.Sprintf("kv: page %d retained without an owner", id))
	}
	p.refs[id]++
}

// Release takes a reference away; the last one frees the page. It panics if there is none.
func (p *Pool) Release(id backend.PageID) {
	if p.refs[id] == 0 {
		panic(fmt.Sprintf("kv: page %d released twice", id))
	}
	p.refs[id]--
	if p.refs[id] == 0 {
		p.free = append(p.free, id)
		p.used.Add(-1)
	}
}

// References is how many tables and other owners hold a page; 0 for a free one.
func (p *Pool) References(id backend.PageID) int { return int(p.refs[id]) }
