package ref

import (
	"errors"
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// check holds a batch against the rules of backend.Row. An oracle is strict: what
// it lets pass by luck, a faster backend might not.
func (r *ref) check(b *backend.Batch) error {
	if b == nil || len(b.Rows) == 0 {
		return errors.New("the batch has no rows")
	}
	if len(b.Rows) > maxRows {
		return fmt.Errorf("%d rows, the limit is %d", len(b.Rows), maxRows)
	}
	tokens := 0
	for i := range b.Rows {
		if err := r.checkRow(&b.Rows[i]); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		tokens += len(b.Rows[i].Tokens)
	}
	if tokens > maxTokens {
		return fmt.Errorf("%d tokens, the limit is %d", tokens, maxTokens)
	}
	return checkSharing(b.Rows)
}

func (r *ref) checkRow(row *backend.Row) error {
	if row.Chained {
		return errors.New("it is chained, and this backend has one batch in flight only")
	}
	if len(row.Tokens) == 0 {
		return errors.New("it has no tokens")
	}
	for i, id := range row.Tokens {
		if id < 0 || int(id) >= r.config.VocabSize {
			return fmt.Errorf("token %d is %d, want an id from 0 to %d", i, id, r.config.VocabSize-1)
		}
	}
	if row.Start < 0 || row.Start > r.context-len(row.Tokens) {
		return fmt.Errorf("%d tokens from position %d on leave the context of %d positions", len(row.Tokens), row.Start, r.context)
	}
	switch {
	case row.Draft < 0 || row.Draft >= len(row.Tokens) || row.Draft > maxDraft:
		return fmt.Errorf("%d of its %d tokens are drafts, want 0 to %d and at least one that isn't", row.Draft, len(row.Tokens), maxDraft)
	case row.Draft > 0 && row.Sample == nil:
		return fmt.Errorf("%d drafts, and no token is to be drawn after them", row.Draft)
	}
	need := pagesFor(row.Start + len(row.Tokens))
	if len(row.Pages) < need {
		return fmt.Errorf("%d pages for %d positions, want %d", len(row.Pages), row.Start+len(row.Tokens), need)
	}
	for i, id := range row.Pages[:need] {
		if id < 0 || int(id) >= r.cache.Count() {
			return fmt.Errorf("page %d of the table is %d, want 0 to %d", i, id, r.cache.Count()-1)
		}
	}
	return sample.ValidateRow(row, r.config.VocabSize)
}

// checkSharing refuses a page that one row writes and another row, or another
// place of the same row, uses too.
func checkSharing(rows []backend.Row) error {
	uses := map[backend.PageID]int{}
	for i := range rows {
		for _, id := range rows[i].Pages[:pagesFor(rows[i].Start+len(rows[i].Tokens))] {
			uses[id]++
		}
	}
	for i := range rows {
		row := &rows[i]
		for _, id := range row.Pages[row.Start/backend.PageTokens : pagesFor(row.Start+len(row.Tokens))] {
			if uses[id] > 1 {
				return fmt.Errorf("row %d writes page %d, which is used %d times in this batch", i, id, uses[id])
			}
		}
	}
	return nil
}

// pagesFor is how many pages hold so many positions.
func pagesFor(positions int) int { return (positions + backend.PageTokens - 1) / backend.PageTokens }
