package backendtest

import (
	"errors"
	"fmt"

	"github.com/paceline/paceline/engine/backend"
)

func placement(b backend.Backend) error {
	text := ids(b, 20, longText)
	want, err := feed(b, table(0, 3), text, 0, MinTokens)
	if err != nil {
		return err
	}
	last := backend.PageID(b.Pages().Count() - 1)
	for _, pages := range [][]backend.PageID{{5, 4, 3}, {last, 0, last - 1}, {7, 2, 9, 11, 1}} {
		got, err := feed(b, pages, text, 0, MinTokens)
		if err := errors.Join(err, same(fmt.Sprintf("in pages %v", pages), got, want)); err != nil {
			return err
		}
	}
	return nil
}

// dirtyPages computes a text in pages that another, longer text filled before.
func dirtyPages(b backend.Backend) error {
	text := ids(b, 21, 70)
	want, err := feed(b, table(0, 2), text, 0, MinTokens)
	if err != nil {
		return err
	}
	if _, err := feed(b, table(2, 2), ids(b, 22, 128), 0, MinTokens); err != nil {
		return err
	}
	for _, size := range []int{1, MinTokens} {
		got, err := feed(b, table(2, 2), text, 0, size)
		if err := errors.Join(err, same("in pages that held another text", got, want)); err != nil {
			return err
		}
	}
	return nil
}

// sharing lets three rows of one batch read one page and go on each in its own.
func sharing(b backend.Backend) error {
	prefix := ids(b, 23, backend.PageTokens)
	if _, err := feed(b, table(0, 1), prefix, 0, backend.PageTokens); err != nil {
		return err
	}
	var rows []backend.Row
	var want [][]float32
	for i, n := range []int{1, 9, 20} {
		rest := ids(b, uint64(30+i), n)
		own := table(10, 2)
		logits, err := feed(b, own, append(append([]int32(nil), prefix...), rest...), 0, MinTokens)
		if err != nil {
			return err
		}
		want = append(want, logits)
		rows = append(rows, backend.Row{
			Tokens: rest, Start: len(prefix), Pages: []backend.PageID{0, backend.PageID(1 + i)}, WantLogits: true,
		})
	}
	for range 2 { // the second time shows that the page wasn't written
		out, err := step(b, rows...)
		if err != nil {
			return err
		}
		for i := range out {
			if err := same(fmt.Sprintf("row %d of 3 that share a page", i), out[i].Logits, want[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// copying continues a text of one and a half pages on copies of its pages, and then on the originals.
func copying(b backend.Backend) error {
	text := ids(b, 24, 100)
	rest := ids(b, 25, 10)
	prepare := func() error {
		_, err := feed(b, table(0, 2), text, 0, MinTokens)
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	want, err := feed(b, table(0, 2), rest, len(text), MinTokens)
	if err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	// The copies lie in pages that held something else.
	if _, err := feed(b, table(4, 2), ids(b, 26, 128), 0, MinTokens); err != nil {
		return err
	}
	if err := b.Pages().Copy(4, 0, backend.PageTokens); err != nil {
		return fmt.Errorf("copy a page: %w", err)
	}
	if err := b.Pages().Copy(5, 1, len(text)-backend.PageTokens); err != nil {
		return fmt.Errorf("copy a part of a page: %w", err)
	}
	got, err := feed(b, table(4, 2), rest, len(text), MinTokens)
	if err := errors.Join(err, same("on copied pages", got, want)); err != nil {
		return err
	}
	if _, err := feed(b, table(4, 2), ids(b, 27, 128), 0, MinTokens); err != nil {
		return err
	}
	got, err = feed(b, table(0, 2), rest, len(text), MinTokens)
	if err := errors.Join(err, same("on the originals, after the copies changed", got, want)); err != nil {
		return err
	}
	count := backend.PageID(b.Pages().Count())
	for _, c := range []struct {
		dst, src backend.PageID
		tokens   int
	}{{-1, 0, 1}, {0, count, 1}, {count, 0, 1}, {1, 0, 0}, {1, 0, backend.PageTokens + 1}} {
		if err := b.Pages().Copy(c.dst, c.src, c.tokens); err == nil {
			return fmt.Errorf("copying %d positions of page %d to page %d of %d pages: no error", c.tokens, c.src, c.dst, count)
		}
	}
	return nil
}
