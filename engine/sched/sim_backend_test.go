package sched

import (
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

const simVocab = 16

// simModel is a model that can be computed in one's head: it knows a text by its hash, and what
// follows is a function of that.
type simModel struct{}

// after is the hash of a text of hash h and one token more.
func (simModel) after(h uint64, id int32) uint64 {
	h = (h ^ uint64(id+1)) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// next is the token that follows a text. Seed 0 repeats itself, so that guesses are right.
func (simModel) next(h uint64, s backend.Sampling) int32 {
	if s.Seed == 0 {
		return int32(s.Position * 7 % 5)
	}
	return int32((h ^ s.Seed*0xff51afd7ed558ccd ^ s.Position<<40) * 0xc4ceb9fe1a85ec53 >> 60 % simVocab)
}

func (simModel) logits(h uint64) []float32 {
	l := make([]float32, simVocab)
	for i := range l {
		l[i] = float32(h>>(4*i)&15) / 4
	}
	return l
}

// of is the hash of a whole text.
func (m simModel) of(ids []int32) uint64 {
	h := uint64(0)
	for _, id := range ids {
		h = m.after(h, id)
	}
	return h
}

// simPage is what a page holds: for each position the hash of the text up to it.
type simPage struct {
	before uint64 // of the text before the page
	hashes [backend.PageTokens]uint64
	filled int // positions written since the first was
}

// simBackend computes simModel. It objects to every position read that isn't written with the
// text of the row's own sequence, and to every page written that somebody else can see.
type simBackend struct {
	simModel
	info    backend.Info
	pages   []simPage
	owners  func(backend.PageID) int // how many running sequences have the page
	during  func(tokens int) error   // called while a step computes
	decodes func() (rows, mixed int) // of the step: rows that wait for a token, and Limits.MixedTokens
	late    bool                     // a step is computed when it is collected, not when it is launched
	drew    []int32                  // by the rows of the step computed last
	used    []int
	copied  uint64 // positions
	spoiled bool   // the step computed last went wrong
}

func (b *simBackend) Info() backend.Info     { return b.info }
func (b *simBackend) Pages() backend.Pages   { return b }
func (b *simBackend) Memory() backend.Memory { return backend.Memory{} }
func (b *simBackend) Close() error           { return nil }
func (b *simBackend) Count() int             { return len(b.pages) }
func (b *simBackend) BytesPerPage() int64    { return 1 }

func (b *simBackend) Copy(dst, src backend.PageID, n int) error {
	if b.pages[src].filled < n || b.owners(dst) != 1 {
		panic(fmt.Sprintf("%d positions of page %d, which has %d, are copied to page %d, which %d sequences have", n, src, b.pages[src].filled, dst, b.owners(dst)))
	}
	b.pages[dst] = b.pages[src]
	b.pages[dst].filled = n
	b.copied += uint64(n)
	return nil
}

func (b *simBackend) Launch(batch *backend.Batch) error {
	if b.late {
		return nil
	}
	return b.compute(batch)
}

func (b *simBackend) Collect(batch *backend.Batch) error {
	if b.late {
		return b.compute(batch)
	}
	return nil
}

func (b *simBackend) compute(batch *backend.Batch) error {
	tokens, ahead := 0, false
	clear(b.used)
	for i := range batch.Rows {
		if r := &batch.Rows[i]; r.Chained {
			ahead = true
			r.Tokens, r.Chained = []int32{b.drew[r.ChainRow]}, false
		}
	}
	if b.spoiled = b.spoiled && ahead; b.spoiled {
		return errors.New("the step before this one went wrong")
	}
	for _, r := range batch.Rows {
		tokens += len(r.Tokens)
		for _, id := range r.Pages[:(r.Start+len(r.Tokens)+backend.PageTokens-1)/backend.PageTokens] {
			b.used[id]++
		}
	}
	if n, mixed := b.decodes(); !ahead && (len(batch.Rows) > b.info.MaxRows || tokens > b.info.MaxTokens || n > 0 && tokens > max(mixed, n+1)) {
		panic(fmt.Sprintf("%d rows and %d tokens, %d of them decode rows, are too many", len(batch.Rows), tokens, n))
	}
	batch.Out, b.drew = batch.Out[:0], b.drew[:0]
	for i := range batch.Rows {
		out := b.row(&batch.Rows[i])
		batch.Out, b.drew = append(batch.Out, out), append(b.drew, out.Token)
	}
	if err := b.during(tokens); err != nil {
		for _, r := range batch.Rows { // what was written is worth nothing
			for p := r.Start; p < r.Start+len(r.Tokens); p++ {
				b.pages[r.Pages[p/backend.PageTokens]].hashes[p%backend.PageTokens] ^= 0xbad
			}
		}
		b.spoiled = true
		return err
	}
	return nil
}

// row reads what precedes the row's tokens, writes these, and draws.
func (b *simBackend) row(r *backend.Row) backend.RowOut {
	h := uint64(0)
	for at := 0; at < r.Start; at += backend.PageTokens {
		p, n := &b.pages[r.Pages[at/backend.PageTokens]], min(r.Start-at, backend.PageTokens)
		if p.filled < n || p.before != h {
			panic(fmt.Sprintf("positions %d to %d are read from page %d, which holds %d of another text or none", at, at+n-1, r.Pages[at/backend.PageTokens], p.filled))
		}
		h = p.hashes[n-1]
	}
	out := backend.RowOut{Token: -1}
	var drawn []int32
	for i, id := range r.Tokens {
		if r.WantAllLogProbs && i > 0 {
			out.LogProbs = append(out.LogProbs, float32(sample.LogProb(b.logits(h), id)))
		}
		at := r.Start + i
		page := r.Pages[at/backend.PageTokens]
		if b.used[page] > 1 || b.owners(page) > 1 {
			panic(fmt.Sprintf("page %d is written, and %d rows and %d sequences have it", page, b.used[page], b.owners(page)))
		}
		p := &b.pages[page]
		if at%backend.PageTokens == 0 {
			p.before = h
		}
		h = b.after(h, id)
		if n := i - (len(r.Tokens) - 1 - r.Draft); r.Draft > 0 && n >= 0 {
			s := *r.Sample
			s.Position += uint64(n)
			drawn = append(drawn, b.next(h, s))
		}
		p.hashes[at%backend.PageTokens], p.filled = h, at%backend.PageTokens+1
	}
	if r.Sample != nil {
		out.Token = b.next(h, *r.Sample)
	}
	if r.Draft > 0 {
		out.Token, out.Drawn = -1, drawn
	}
	if r.WantLogits {
		out.Logits = b.logits(h)
	}
	return out
}

// simClock is time that passes only when told.
type simClock struct{ now time.Time }

func (c *simClock) pass(d time.Duration) { c.now = c.now.Add(d) }
