package kv

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
)

// Table is the pages of one sequence, in the order of their positions.
type Table struct {
	pool     *Pool
	pages    []backend.PageID
	reserved int // pages promised and not yet in pages
}

// NewTable starts a sequence that will have at most positions positions, of which the
// first len(shared)·PageTokens lie in pages that somebody else filled: they get one more
// reference and must not be written. The rest is promised now and taken by Grow. The error
// wraps ErrNoPages when it can't be promised; nothing is then held.
func (p *Pool) NewTable(positions int, shared ...backend.PageID) (*Table, error) {
	need := PagesFor(positions) - len(shared)
	if need < 0 {
		return nil, fmt.Errorf("start a sequence of %d positions: %d shared pages are more than it has", positions, len(shared))
	}
	if need > p.Available() {
		return nil, fmt.Errorf("start a sequence of %d positions: %d pages wanted, %d available of %d: %w",
			positions, need, p.Available(), len(p.refs), ErrNoPages)
	}
	t := &Table{pool: p, pages: make([]backend.PageID, 0, need+len(shared)), reserved: need}
	for _, id := range shared {
		p.Retain(id)
		t.pages = append(t.pages, id)
	}
	p.reserved += need
	return t, nil
}

// Grow takes pages so that the table covers positions positions. It fails, and takes nothing,
// only when more are asked for than were promised.
func (t *Table) Grow(positions int) error {
	need := PagesFor(positions) - len(t.pages)
	if need > t.reserved {
		return fmt.Errorf("grow a sequence to %d positions: %d pages more than it was promised: %w", positions, need-t.reserved, ErrNoPages)
	}
	for range need {
		t.pages = append(t.pages, t.pool.take())
		t.reserved--
		t.pool.reserved--
	}
	return nil
}

// Pages is the table, which belongs to t: position p lies in Pages()[p/PageTokens].
func (t *Table) Pages() []backend.PageID { return t.pages }

// Free gives everything back, promises too. A freed table is empty; freeing it again does
// nothing.
func (t *Table) Free() {
	for i := len(t.pages) - 1; i >= 0; i-- {
		t.pool.Release(t.pages[i])
	}
	t.pool.reserved -= t.reserved
	t.pages, t.reserved = nil, 0
}
