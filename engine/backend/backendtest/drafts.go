package backendtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/engine/backend"
)

// drafting computes rows that end in guesses beside what each position gives by itself, and goes on
// after wrong guesses as if they had never been. A backend that takes no drafts must refuse them.
func drafting(b backend.Backend) error {
	most := b.Info().MaxDraft
	text := ids(b, 50, 80)
	s := backend.Sampling{Temperature: 1, TopP: 0.95, Seed: 11}
	for _, draft := range []int{1, 3, most} {
		draft = min(draft, most, len(text)-2)
		if draft == 0 {
			return nil
		}
		if err := draws(b, text, draft, s); err != nil {
			return fmt.Errorf("%d drafts: %w", draft, err)
		}
	}
	greedy := backend.Sampling{}
	for _, c := range []struct {
		name string
		row  backend.Row
	}{
		{"as many drafts as tokens", backend.Row{Tokens: text[:2], Draft: 2, Sample: &greedy}},
		{"fewer drafts than none", backend.Row{Tokens: text[:2], Draft: -1, Sample: &greedy}},
		{"drafts and nothing to draw", backend.Row{Tokens: text[:2], Draft: 1}},
		{"too many drafts", backend.Row{Tokens: text[:min(len(text), most+2)], Draft: most + 1, Sample: &greedy}},
	} {
		c.row.Pages = table(0, 2)
		if c.row.Draft >= len(c.row.Tokens) && c.name == "too many drafts" {
			continue // the suite's text is too short for so many
		}
		if _, err := step(b, c.row); err == nil {
			return fmt.Errorf("%s: no error", c.name)
		} else if errors.Is(err, backend.ErrFault) {
			return fmt.Errorf("%s: the caller's mistake counts as a fault of the backend: %w", c.name, err)
		}
	}
	return nil
}

// draws holds one row of drafts, beside rows of other kinds, against rows without.
func draws(b backend.Backend, text []int32, draft int, s backend.Sampling) error {
	sure := len(text) - draft
	if _, err := feed(b, table(0, 2), text, 0, MinTokens); err != nil {
		return err
	}
	var want []int32
	for n := sure; n <= len(text); n++ {
		p := s
		p.Position = uint64(n)
		out, err := step(b, backend.Row{Tokens: text[n-1 : n], Start: n - 1, Pages: table(0, 2), Sample: &p})
		if err != nil {
			return err
		}
		if len(out[0].Drawn) > 0 {
			return errors.New("a row without drafts has drawn some")
		}
		want = append(want, out[0].Token)
	}
	if _, err := feed(b, table(4, 2), text[:sure-1], 0, MinTokens); err != nil {
		return err
	}
	p := s
	p.Position = uint64(sure)
	out, err := step(b,
		backend.Row{Tokens: text[:5], Pages: table(2, 1), Sample: &s},
		backend.Row{Tokens: text[sure-1:], Draft: draft, Start: sure - 1, Pages: table(4, 2), Sample: &p},
		backend.Row{Tokens: text[:9], Pages: table(3, 1), WantLogits: true})
	if err != nil {
		return err
	}
	if got := out[1]; !slices.Equal(got.Drawn, want) || got.Token != want[draft] {
		return fmt.Errorf("drew %v and %d, each position by itself gives %v", got.Drawn, got.Token, want)
	}
	if len(out[0].Drawn)+len(out[2].Drawn) > 0 {
		return errors.New("a row beside it has drawn drafts")
	}
	other := append(slices.Clone(text[:sure]), (text[sure]+1)%int32(b.Info().VocabSize))
	fresh, err := feed(b, table(6, 2), other, 0, MinTokens)
	if err != nil {
		return err
	}
	after, err := feed(b, table(4, 2), other[sure:], sure, 1)
	return errors.Join(err, same("after a wrong draft", after, fresh))
}
