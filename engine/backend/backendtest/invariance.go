package backendtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/engine/backend"
)

const longText = 150 // tokens: three pages, the last of them not full

func repeats(b backend.Backend) error {
	text := ids(b, 1, longText)
	want, err := feed(b, table(0, 3), text, 0, MinTokens)
	if err != nil {
		return err
	}
	for range 3 {
		got, err := feed(b, table(0, 3), text, 0, MinTokens)
		if err := errors.Join(err, same("the same text again", got, want)); err != nil {
			return err
		}
	}
	other, err := feed(b, table(0, 3), ids(b, 2, longText), 0, MinTokens)
	if err != nil {
		return err
	}
	if slices.Equal(other, want) {
		return errors.New("another text gave the same logits")
	}
	text[0] = (text[0] + 1) % int32(b.Info().VocabSize)
	changed, err := feed(b, table(0, 3), text, 0, MinTokens)
	if err == nil && slices.Equal(changed, want) {
		err = fmt.Errorf("changing the first of %d tokens changed nothing: the cache isn't read", longText)
	}
	return err
}

func chunking(b backend.Backend) error {
	text := ids(b, 3, longText)
	want, err := feed(b, table(0, 3), text, 0, 64)
	if err != nil {
		return err
	}
	for i, size := range []int{1, 7, 16, 63, b.Info().MaxTokens} {
		got, err := feed(b, table(3*(i+1), 3), text, 0, size)
		if err := errors.Join(err, same(fmt.Sprintf("chunks of %d instead of 64", size), got, want)); err != nil {
			return err
		}
	}
	return nil
}

// decoding generates greedily across a page boundary, and then computes the result in one go.
func decoding(b backend.Backend) error {
	greedy := backend.Sampling{}
	text := ids(b, 4, 50)
	row := backend.Row{Tokens: text, Pages: table(0, 2), Sample: &greedy, WantLogits: true}
	var last []float32
	for range 40 {
		out, err := step(b, row)
		if err != nil {
			return err
		}
		last = out[0].Logits
		text = append(text, out[0].Token)
		row.Tokens, row.Start = text[len(text)-1:], len(text)-1
	}
	got, err := feed(b, table(2, 2), text[:len(text)-1], 0, MinTokens)
	return errors.Join(err, same("the generated text computed as a prompt", got, last))
}

// mixed are rows of different kinds and the logits that each gives alone.
func mixed(b backend.Backend) (rows []backend.Row, alone [][]float32, err error) {
	for i, shape := range []struct{ before, tokens int }{{0, 1}, {70, 1}, {0, 20}, {130, 9}, {64, 1}, {5, 30}} {
		text := ids(b, uint64(10+i), shape.before+shape.tokens)
		pages := table(3*i, 3)
		want, err := feed(b, pages, text, 0, MinTokens)
		if err != nil {
			return nil, nil, err
		}
		alone = append(alone, want)
		rows = append(rows, backend.Row{Tokens: text[shape.before:], Start: shape.before, Pages: pages, WantLogits: true})
	}
	return rows, alone, nil
}

// batching computes the rows of mixed together, in all pairs, and with other rows that
// ask for other things. Each row was computed before, so its pages hold what precedes it.
func batching(b backend.Backend) error {
	rows, alone, err := mixed(b)
	if err != nil {
		return err
	}
	hold := func(which []int) error {
		var batch []backend.Row
		for _, i := range which {
			batch = append(batch, rows[i])
		}
		out, err := step(b, batch...)
		if err != nil {
			return fmt.Errorf("rows %v: %w", which, err)
		}
		for k, i := range which {
			if err := same(fmt.Sprintf("row %d among rows %v", i, which), out[k].Logits, alone[i]); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range rows {
		for j := range rows {
			if i != j {
				if err := hold([]int{i, j}); err != nil {
					return err
				}
			}
		}
	}
	if err := hold([]int{0, 1, 2, 3, 4, 5}); err != nil {
		return err
	}
	others := slices.Clone(rows[:2])
	others[0].WantLogits, others[0].Sample = false, nil
	others[1].Sample = &backend.Sampling{Temperature: 1, TopP: 0.9, Seed: 1, Position: 71}
	out, err := step(b, others[0], rows[2], others[1])
	if err != nil {
		return err
	}
	return same("a row among rows that ask for other things", out[1].Logits, alone[2])
}

func rowOrder(b backend.Backend) error {
	rows, alone, err := mixed(b)
	if err != nil {
		return err
	}
	for _, order := range [][]int{{5, 4, 3, 2, 1, 0}, {2, 0, 5, 1, 3, 4}, {3, 5, 0, 4, 2, 1}} {
		var batch []backend.Row
		for _, i := range order {
			batch = append(batch, rows[i])
		}
		out, err := step(b, batch...)
		if err != nil {
			return err
		}
		for k, i := range order {
			if err := same(fmt.Sprintf("row %d in the order %v", i, order), out[k].Logits, alone[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func fullBatches(b backend.Backend) error {
	info := b.Info()
	n := min(info.MaxRows, b.Pages().Count(), info.MaxTokens)
	rows := make([]backend.Row, n)
	want := make([][]float32, n)
	for i := range rows {
		text := ids(b, uint64(100+i), 1)
		rows[i] = backend.Row{Tokens: text, Pages: table(i, 1), WantLogits: true}
		var err error
		if want[i], err = feed(b, rows[i].Pages, text, 0, 1); err != nil {
			return err
		}
	}
	out, err := step(b, rows...)
	if err != nil {
		return fmt.Errorf("%d rows of one token: %w", n, err)
	}
	for i := range out {
		if err := same(fmt.Sprintf("row %d of %d", i, n), out[i].Logits, want[i]); err != nil {
			return err
		}
	}
	tokens := min(info.MaxTokens, info.MaxContext, b.Pages().Count()*backend.PageTokens)
	pages := table(0, (tokens+backend.PageTokens-1)/backend.PageTokens)
	text := ids(b, 99, tokens)
	whole, err := feed(b, pages, text, 0, tokens)
	if err != nil {
		return fmt.Errorf("a row of %d tokens: %w", tokens, err)
	}
	parts, err := feed(b, pages, text, 0, MinTokens)
	return errors.Join(err, same(fmt.Sprintf("%d tokens in one row", tokens), whole, parts))
}
