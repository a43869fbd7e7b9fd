package kv

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/paceline/paceline/engine/backend"
)

// none stands for no page.
const none backend.PageID = -1

// cache finds full pages by their tokens. It has a hash table of its own, with one node a page,
// so that looking up, entering and evicting allocate nothing.
type cache struct {
	limit   int // most idle pages; 0: the cache is off, and no page enters it
	idle    int
	oldest  backend.PageID // of the idle pages, a list by next
	newest  backend.PageID
	nodes   []node           // by page; nil while the cache is off
	buckets []backend.PageID // first page of each chain of equal hash bits; a power of two of them
	first   backend.PageID   // of the pages that begin a text, a list by older
	hash    func(parent uint64, tokens []int32) uint64
}

// node is what the cache knows of one page.
type node struct {
	entered    bool // the page is full, computed, and found by what follows
	hash       uint64
	parent     backend.PageID // the page before it, which is entered too; none for a first page
	tokens     [backend.PageTokens]int32
	chain      backend.PageID // next page in the same bucket
	prev, next backend.PageID // while idle: those let go just before and after it

	child        backend.PageID // the page that was entered last of those behind this one; none if there is none
	older, newer backend.PageID // pages behind the same parent that were entered just before and after it
}

func newCache(pages, limit int) cache {
	c := cache{limit: limit, oldest: none, newest: none, first: none}
	if limit <= 0 {
		return c
	}
	c.nodes = make([]node, pages)
	size := 1
	for size < pages {
		size *= 2
	}
	c.buckets = make([]backend.PageID, size)
	for i := range c.buckets {
		c.buckets[i] = none
	}
	seed := maphash.MakeSeed()
	var bytes [8 + 4*backend.PageTokens]byte
	c.hash = func(parent uint64, tokens []int32) uint64 {
		binary.LittleEndian.PutUint64(bytes[:], parent)
		for i, id := range tokens {
			binary.LittleEndian.PutUint32(bytes[8+4*i:], uint32(id))
		}
		return maphash.Bytes(seed, bytes[:])
	}
	return c
}

func (c *cache) entered(id backend.PageID) bool { return c.nodes != nil && c.nodes[id].entered }

// key is the hash of a page with these tokens behind parent.
func (c *cache) key(parent backend.PageID, tokens []int32) uint64 {
	if parent == none {
		return c.hash(0, tokens)
	}
	return c.hash(c.nodes[parent].hash, tokens)
}

func (c *cache) bucket(hash uint64) *backend.PageID { return &c.buckets[hash&uint64(len(c.buckets)-1)] }

// find gives the page with these PageTokens tokens behind parent, an entered page or none.
func (c *cache) find(parent backend.PageID, tokens []int32) (id backend.PageID, hash uint64) {
	hash = c.key(parent, tokens)
	for id = *c.bucket(hash); id != none; id = c.nodes[id].chain {
		n := &c.nodes[id]
		if n.hash == hash && n.parent == parent && slices.Equal(n.tokens[:], tokens) {
			break
		}
	}
	return id, hash
}

// enter makes a page that somebody holds findable; find gave none for its tokens, and hash.
func (c *cache) enter(id, parent backend.PageID, tokens []int32, hash uint64) {
	n, first := &c.nodes[id], c.bucket(hash)
	n.entered, n.hash, n.parent, n.chain = true, hash, parent, *first
	copy(n.tokens[:], tokens)
	*first = id
	youngest := c.children(parent)
	n.child, n.older, n.newer = none, *youngest, none
	if n.older != none {
		c.nodes[n.older].newer = id
	}
	*youngest = id
}

// children is where the list of the pages behind parent begins.
func (c *cache) children(parent backend.PageID) *backend.PageID {
	if parent == none {
		return &c.first
	}
	return &c.nodes[parent].child
}

// nearest gives the page behind parent that begins with the most of tokens, and how many these are.
// Of many pages it looks at the newest.
func (c *cache) nearest(parent backend.PageID, tokens []int32) (best backend.PageID, common int) {
	const most = 64
	best = none
	id := *c.children(parent)
	for n := 0; id != none && n < most && common < len(tokens); n++ {
		if k := alike(c.nodes[id].tokens[:], tokens); k > common {
			best, common = id, k
		}
		id = c.nodes[id].older
	}
	return best, common
}

// alike is how many tokens two texts have in common from the first on.
func alike(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// letGo is called when nobody holds an entered page any more: it becomes the newest idle one.
func (c *cache) letGo(id backend.PageID) {
	n := &c.nodes[id]
	n.prev, n.next = c.newest, none
	if c.newest == none {
		c.oldest = id
	} else {
		c.nodes[c.newest].next = id
	}
	c.newest = id
	c.idle++
}

// hold is called when somebody holds an idle page again.
func (c *cache) hold(id backend.PageID) {
	n := &c.nodes[id]
	if n.prev == none {
		c.oldest = n.next
	} else {
		c.nodes[n.prev].next = n.next
	}
	if n.next == none {
		c.newest = n.prev
	} else {
		c.nodes[n.next].prev = n.prev
	}
	c.idle--
}

// evict forgets the oldest idle page, which no other page follows, and gives it back.
func (c *cache) evict() backend.PageID {
	id := c.oldest
	c.hold(id)
	n := &c.nodes[id]
	at := c.bucket(n.hash)
	for *at != id {
		at = &c.nodes[*at].chain
	}
	*at = n.chain
	if n.older != none {
		c.nodes[n.older].newer = n.newer
	}
	if n.newer != none {
		c.nodes[n.newer].older = n.older
	} else {
		*c.children(n.parent) = n.older
	}
	n.entered = false
	return id
}
