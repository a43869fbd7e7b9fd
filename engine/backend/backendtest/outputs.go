package backendtest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

func givesWhatIsAsked(b backend.Backend) error {
	text := ids(b, 40, 12)
	greedy := backend.Sampling{}
	for _, c := range []struct {
		name           string
		sample         *backend.Sampling
		logits, scores bool
	}{
		{"nothing", nil, false, false},
		{"a token", &greedy, false, false},
		{"logits", nil, true, false},
		{"log-probabilities", nil, false, true},
		{"everything", &greedy, true, true},
	} {
		out, err := step(b, backend.Row{
			Tokens: text, Pages: table(0, 1), Sample: c.sample, WantLogits: c.logits, WantAllLogProbs: c.scores,
		})
		if err != nil {
			return fmt.Errorf("asked for %s: %w", c.name, err)
		}
		wantLogits, wantScores := 0, 0
		if c.logits {
			wantLogits = b.Info().VocabSize
		}
		if c.scores {
			wantScores = len(text) - 1
		}
		if (out[0].Token >= 0) != (c.sample != nil) || len(out[0].Logits) != wantLogits || len(out[0].LogProbs) != wantScores {
			return fmt.Errorf("asked for %s, got token %d, %d logits and %d log-probabilities", c.name, out[0].Token, len(out[0].Logits), len(out[0].LogProbs))
		}
	}
	return nil
}

func drawsAsDefined(b backend.Backend) error {
	text := ids(b, 41, 20)
	for seed := range uint64(6) {
		for _, s := range []backend.Sampling{
			{},
			{Temperature: 1},
			{Temperature: 0.7, TopP: 0.9},
			{Temperature: 1.5, TopK: 5},
			{Temperature: 1, TopK: 20, TopP: 0.5},
		} {
			s.Seed, s.Position = seed<<33+7, seed<<34+uint64(len(text))
			row := backend.Row{Tokens: text, Pages: table(0, 1), Sample: &s, WantLogits: true}
			with, err := step(b, row)
			if err != nil {
				return err
			}
			if want := sample.Token(with[0].Logits, s); with[0].Token != want {
				return fmt.Errorf("%+v: drew %d, engine/sample draws %d from the same logits", s, with[0].Token, want)
			}
			row.WantLogits = false
			without, err := step(b, row)
			if err != nil {
				return err
			}
			if without[0].Token != with[0].Token {
				return fmt.Errorf("%+v: drew %d with logits and %d without", s, with[0].Token, without[0].Token)
			}
		}
	}
	return nil
}

// scoring holds the log-probabilities of a row against the logits after each of its tokens.
// Both come from the same float32 logits, so only the rounding of a log-sum-exp lies between.
func scoring(b backend.Backend) error {
	text := ids(b, 42, 60)
	const tolerance = 1e-4
	want := make([]float64, 0, len(text)-1)
	for i := range len(text) - 1 {
		logits, err := feed(b, table(0, 1), text[i:i+1], i, 1)
		if err != nil {
			return err
		}
		want = append(want, sample.LogProb(logits, text[i+1]))
	}
	for _, start := range []int{0, 23} {
		if _, err := feed(b, table(1, 1), text, 0, MinTokens); err != nil {
			return err
		}
		out, err := step(b, backend.Row{Tokens: text[start:], Start: start, Pages: table(1, 1), WantAllLogProbs: true})
		if err != nil {
			return err
		}
		for i, got := range out[0].LogProbs {
			if w := want[start+i]; !(math.Abs(float64(got)-w) <= tolerance) {
				return fmt.Errorf("from position %d: log-probability %d is %v, the logits say %v", start, i, got, w)
			}
		}
	}
	return nil
}

func inputsKept(b backend.Backend) error {
	s := backend.Sampling{Temperature: 1, Seed: 3, Position: 9, Edits: edits(b)}
	rows := []backend.Row{
		{Tokens: ids(b, 43, 9), Pages: table(0, 1), Sample: &s},
		{Tokens: ids(b, 44, 70)[:50], Pages: table(1, 2), WantLogits: true},
	}
	tokens := [][]int32{slices.Clone(rows[0].Tokens), slices.Clone(rows[1].Tokens)}
	pages := [][]backend.PageID{slices.Clone(rows[0].Pages), slices.Clone(rows[1].Pages)}
	was, list := s, slices.Clone(s.Edits.List)
	if _, err := step(b, rows...); err != nil {
		return err
	}
	for i := range rows {
		if !slices.Equal(rows[i].Tokens, tokens[i]) || !slices.Equal(rows[i].Pages, pages[i]) {
			return fmt.Errorf("row %d was changed", i)
		}
	}
	if s != was || !slices.Equal(s.Edits.List, list) {
		return fmt.Errorf("the sampling was changed from %+v to %+v", was, s)
	}
	return nil
}

// refusing gives rows that break backend.Row's rules; the error may come from Launch or Collect.
// The suite goes on with the same backend each time.
func refusing(b backend.Backend) error {
	info := b.Info()
	text := ids(b, 45, 10)
	want, err := feed(b, table(0, 1), text, 0, MinTokens)
	if err != nil {
		return err
	}
	good := backend.Row{Tokens: text, Pages: table(0, 1), WantLogits: true}
	with := func(change func(*backend.Row)) []backend.Row { r := good; change(&r); return []backend.Row{r} }
	tooMany := make([]backend.Row, info.MaxRows+1)
	for i := range tooMany {
		tooMany[i] = backend.Row{Tokens: text[:1], Pages: table(i%b.Pages().Count(), 1)}
	}
	for _, c := range []struct {
		name string
		rows []backend.Row
	}{
		{"no rows", nil},
		{"no tokens", with(func(r *backend.Row) { r.Tokens = nil })},
		{"a negative id", with(func(r *backend.Row) { r.Tokens = []int32{-1} })},
		{"an id beyond the vocabulary", with(func(r *backend.Row) { r.Tokens = []int32{int32(info.VocabSize)} })},
		{"a negative start", with(func(r *backend.Row) { r.Start = -1 })},
		{"too few pages", with(func(r *backend.Row) { r.Start = 60 })},
		{"no pages", with(func(r *backend.Row) { r.Pages = nil })},
		{"a negative page", with(func(r *backend.Row) { r.Pages = []backend.PageID{-1} })},
		{"a page that isn't there", with(func(r *backend.Row) { r.Pages = table(b.Pages().Count(), 1) })},
		{"positions beyond the context", with(func(r *backend.Row) {
			r.Start = info.MaxContext - 3
			r.Pages = make([]backend.PageID, info.MaxContext/backend.PageTokens+2)
		})},
		{"too many rows", tooMany},
		{"edits beyond the vocabulary", with(func(r *backend.Row) {
			r.Sample = &backend.Sampling{Edits: &backend.Edits{List: []backend.Edit{{ID: int32(info.VocabSize)}}}}
		})},
		{"edits out of order", with(func(r *backend.Row) {
			r.Sample = &backend.Sampling{Edits: &backend.Edits{List: []backend.Edit{{ID: 2}, {ID: 1}}}}
		})},
		{"too many likely ids", with(func(r *backend.Row) { r.Sample, r.TopLogProbs = &backend.Sampling{}, backend.MaxTopLogProbs+1 })},
		{"likely ids of no draw", with(func(r *backend.Row) { r.TopLogProbs = 1 })},
	} {
		if _, err := step(b, c.rows...); err == nil {
			return fmt.Errorf("%s: no error", c.name)
		} else if errors.Is(err, backend.ErrFault) {
			return fmt.Errorf("%s: the caller's mistake counts as a fault of the backend: %w", c.name, err)
		}
		out, err := step(b, good)
		if err != nil {
			return fmt.Errorf("a good batch after one with %s: %w", c.name, err)
		}
		if err := same("after a batch with "+c.name, out[0].Logits, want); err != nil {
			return err
		}
	}
	return nil
}

// inFlight launches as many batches as the backend takes, chaining each to the one before; a
// backend that takes one must refuse a second.
func inFlight(b backend.Backend) error {
	greedy := backend.Sampling{}
	text := ids(b, 46, 10)
	first := &backend.Batch{Rows: []backend.Row{{Tokens: text, Pages: table(0, 1), Sample: &greedy}}}
	if err := b.Launch(first); err != nil {
		return err
	}
	if b.Info().MaxInFlight == 1 {
		second := &backend.Batch{Rows: []backend.Row{{Tokens: text, Pages: table(1, 1), Sample: &greedy}}}
		if err := b.Launch(second); err == nil {
			return errors.New("a second batch in flight was taken, MaxInFlight is 1")
		}
		_, err := collect(b, first)
		return err
	}
	second := &backend.Batch{Rows: []backend.Row{{
		Chained: true, Start: len(text), Pages: table(0, 1), Sample: &greedy, WantLogits: true,
	}}}
	if err := b.Launch(second); err != nil {
		return fmt.Errorf("a chained batch: %w", err)
	}
	a, err := collect(b, first)
	if err != nil {
		return err
	}
	c, err := collect(b, second)
	if err != nil {
		return err
	}
	want, err := feed(b, table(1, 1), append(slices.Clone(text), a[0].Token), 0, MinTokens)
	return errors.Join(err, same("a chained token", c[0].Logits, want))
}
