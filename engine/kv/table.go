package kv

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
)

// Table is the pages of one sequence, in the order of their positions.
type Table struct {
	pool    *Pool
	pages   []backend.PageID
	share   bool // may use the prefix cache
	entered int  // leading pages that are in the prefix cache: full, computed, maybe shared
}

// NewTable starts a sequence that begins with tokens and will have at most positions positions.
// share lets it use the prefix cache: it holds the pages that the cache has of tokens, and its own
// full pages enter the cache. found is how many positions that are.
func (p *Pool) NewTable(tokens []int32, positions int, share bool) (t *Table, found int) {
	t = &Table{pool: p, pages: make([]backend.PageID, 0, PagesFor(positions)), share: share && p.cache.limit > 0}
	if t.share {
		p.queried.Add(uint64(len(tokens)))
	}
	return t, t.Adopt(tokens)
}

// Cached says how many pages a sequence that begins with tokens would find in the prefix cache,
// and how many of these somebody holds, which therefore cost nothing of what is available.
func (p *Pool) Cached(tokens []int32) (found, held int) {
	if p.cache.limit == 0 {
		return 0, 0
	}
	parent := none
	for len(tokens) >= backend.PageTokens {
		id, _ := p.cache.find(parent, tokens[:backend.PageTokens])
		if id == none {
			break
		}
		found++
		if p.refs[id] > 0 {
			held++
		}
		parent, tokens = id, tokens[backend.PageTokens:]
	}
	return found, held
}

// Adopt takes what the prefix cache has by now of a sequence that begins with tokens, from the
// table's entered pages on, and gives the number of positions found. Nothing behind the entered
// pages may be computed yet; pages that the table has there are given back.
func (t *Table) Adopt(tokens []int32) int {
	before := t.entered
	for t.share {
		page, ok := page(tokens, t.entered)
		if !ok {
			break
		}
		id, _ := t.pool.cache.find(t.parent(), page)
		if id == none {
			break
		}
		t.put(id)
	}
	found := (t.entered - before) * backend.PageTokens
	t.pool.hit.Add(uint64(found))
	return found
}

// leastCopied is how many positions are worth a copy of their page. Fewer are had by chance, by
// prompts that have nothing to do with each other.
const leastCopied = 16

// Begin copies, into the table's first page that isn't entered, as much of the next of tokens as
// some page of the prefix cache begins with, and gives the number of positions; few aren't
// worth it. It comes after Adopt and Grow; nothing of that page may be computed yet. copied does
// the copying.
func (t *Table) Begin(tokens []int32, copied func(dst, src backend.PageID, tokens int) error) int {
	if !t.share || t.entered == len(t.pages) {
		return 0
	}
	src, n := t.pool.cache.nearest(t.parent(), tokens[t.entered*backend.PageTokens:])
	if n < leastCopied || copied(t.pages[t.entered], src, n) != nil { // a device that breaks says so in the next step
		return 0
	}
	t.pool.hit.Add(uint64(n))
	return n
}

// Enter puts the table's full pages in the prefix cache. All of tokens, from the sequence's
// first on, are computed. Where the cache has an equal page already, the table takes that one and
// gives its own back.
func (t *Table) Enter(tokens []int32) {
	for t.share {
		page, ok := page(tokens, t.entered)
		if !ok {
			return
		}
		id, hash := t.pool.cache.find(t.parent(), page)
		if id == none {
			t.pool.cache.enter(t.pages[t.entered], t.parent(), page, hash)
			t.entered++
			continue
		}
		t.put(id)
	}
}

// page is the tokens of page i, if it is full.
func page(tokens []int32, i int) ([]int32, bool) {
	if len(tokens) < (i+1)*backend.PageTokens {
		return nil, false
	}
	return tokens[i*backend.PageTokens:][:backend.PageTokens], true
}

// parent is the last entered page.
func (t *Table) parent() backend.PageID {
	if t.entered == 0 {
		return none
	}
	return t.pages[t.entered-1]
}

// put makes an entered page the next of the table.
func (t *Table) put(id backend.PageID) {
	t.pool.retain(id)
	if t.entered < len(t.pages) {
		t.pool.release(t.pages[t.entered])
		t.pages[t.entered] = id
	} else {
		t.pages = append(t.pages, id)
	}
	t.entered++
}

// Grow takes pages so that the table covers positions positions. The error wraps ErrNoPages if
// that many aren't available; nothing is then taken.
func (t *Table) Grow(positions int) error {
	need := PagesFor(positions) - len(t.pages)
	if need > t.pool.Available() {
		return fmt.Errorf("grow a sequence to %d positions: %d pages wanted, %d available of %d: %w",
			positions, need, t.pool.Available(), len(t.pool.refs), ErrNoPages)
	}
	for range need {
		t.pages = append(t.pages, t.pool.take())
	}
	return nil
}

// Pages is the table, which belongs to t: position p lies in Pages()[p/PageTokens].
func (t *Table) Pages() []backend.PageID { return t.pages }

// Gives is how many pages would become available if the table were freed: those that it alone
// holds.
func (t *Table) Gives() int {
	n := 0
	for _, id := range t.pages {
		if t.pool.refs[id] == 1 {
			n++
		}
	}
	return n
}

// Free gives everything back, the last page first. A freed table is empty; freeing it again does
// nothing.
func (t *Table) Free() {
	for i := len(t.pages) - 1; i >= 0; i-- {
		t.pool.release(t.pages[i])
	}
	t.pages, t.entered = t.pages[:0], 0
}
