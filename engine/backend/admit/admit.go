// Package admit is the door of a backend: it says what is wrong with a batch before any of it is
// computed, in the same words for every backend. Kernels check nothing, so nothing else stands
// between a wrong number and a wrong address.
//
// Its neighbour engine/sample says what is wrong with how a token is to be drawn.
package admit

import (
	"errors"
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// Door knows the limits of one backend. One goroutine uses it.
type Door struct {
	info backend.Info
	uses []int32 // a page's uses by a batch under check, else 0
}

// New gives the door of a backend with so many pages.
func New(info backend.Info, pages int) *Door {
	return &Door{info: info, uses: make([]int32, pages)}
}

// Check says what of b can't be computed, or nil. before is the batch launched just before it and
// not collected yet, nil for none: rows chain to its rows. It allocates nothing for a good batch.
func (d *Door) Check(b, before *backend.Batch) error {
	switch {
	case b == nil:
		return errors.New("there is no batch")
	case len(b.Rows) < 1 || len(b.Rows) > d.info.MaxRows:
		return fmt.Errorf("a batch of %d rows: want 1 to %d", len(b.Rows), d.info.MaxRows)
	}
	tokens := 0
	for i := range b.Rows {
		if err := d.row(&b.Rows[i], before); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		tokens += Tokens(&b.Rows[i])
	}
	if tokens > d.info.MaxTokens {
		return fmt.Errorf("a batch of %d tokens: want at most %d", tokens, d.info.MaxTokens)
	}
	return d.sharing(b.Rows)
}

// Tokens is how many positions a row feeds.
func Tokens(r *backend.Row) int {
	if r.Chained {
		return 1
	}
	return len(r.Tokens)
}

// Draws is after how many positions of a row logits are computed.
func Draws(r *backend.Row) int {
	if r.Sample == nil && !r.WantLogits {
		return 0
	}
	return 1 + r.Draft
}

// PagesFor is how many pages hold n positions.
func PagesFor(n int) int { return (n + backend.PageTokens - 1) / backend.PageTokens }

func (d *Door) row(r *backend.Row, before *backend.Batch) error {
	n := Tokens(r)
	switch {
	case r.Chained && d.info.MaxInFlight < 2:
		return errors.New("chained to a batch in flight: this backend has one in flight at most")
	case r.Chained && len(r.Tokens) > 0:
		return fmt.Errorf("%d tokens in a chained row: want none, its token is drawn by the batch before", len(r.Tokens))
	case r.Chained && before == nil:
		return errors.New("chained, and no batch is in flight")
	case r.Chained && (r.ChainRow < 0 || r.ChainRow >= len(before.Rows) || before.Rows[r.ChainRow].Sample == nil):
		return fmt.Errorf("chained to row %d of the batch before, which has %d rows, and draws no token there", r.ChainRow, len(before.Rows))
	case n < 1 || n > d.info.MaxTokens:
		return fmt.Errorf("%d tokens: want 1 to %d", n, d.info.MaxTokens)
	case r.Start < 0 || r.Start > d.info.MaxContext-n:
		return fmt.Errorf("%d tokens from position %d: the context has %d positions", n, r.Start, d.info.MaxContext)
	case r.Draft < 0 || r.Draft >= n || r.Draft > d.info.MaxDraft:
		return fmt.Errorf("%d of %d tokens are drafts: want 0 to %d and at least one that isn't", r.Draft, n, d.info.MaxDraft)
	case r.Draft > 0 && r.Sample == nil:
		return fmt.Errorf("%d drafts, and no token is to be drawn after them", r.Draft)
	case len(r.Pages) < PagesFor(r.Start+n):
		return fmt.Errorf("%d pages for positions 0 to %d: want %d", len(r.Pages), r.Start+n-1, PagesFor(r.Start+n))
	}
	for i, id := range r.Tokens {
		if id < 0 || int(id) >= d.info.VocabSize {
			return fmt.Errorf("token %d has id %d: want 0 to %d", i, id, d.info.VocabSize-1)
		}
	}
	for i, p := range r.Pages[:PagesFor(r.Start+n)] {
		if p < 0 || int(p) >= len(d.uses) {
			return fmt.Errorf("page %d of the row is %d: want 0 to %d", i, p, len(d.uses)-1)
		}
	}
	return sample.ValidateRow(r, d.info.VocabSize)
}

// sharing refuses a page that one row writes while another row, or another place of the same row,
// uses it: threads would race for it.
func (d *Door) sharing(rows []backend.Row) error {
	count := func(by int32) {
		for i := range rows {
			for _, p := range rows[i].Pages[:PagesFor(rows[i].Start+Tokens(&rows[i]))] {
				d.uses[p] += by
			}
		}
	}
	count(1)
	defer count(-1)
	for i := range rows {
		r := &rows[i]
		for _, p := range r.Pages[r.Start/backend.PageTokens : PagesFor(r.Start+Tokens(r))] {
			if d.uses[p] > 1 {
				return fmt.Errorf("row %d writes page %d, which is used %d times in this batch", i, p, d.uses[p])
			}
		}
	}
	return nil
}
