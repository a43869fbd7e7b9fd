package harness

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/target"
)

// synthetic fills in a text of exactly ISL tokens. Under "shared" every request of
// the cell has the same one, but for its last Tail tokens.
func (p *prompts) synthetic(r *target.Request, phase, index int) error {
	nonce := p.nonce
	if p.traits.HonoursNoCache {
		nonce = "" // every round does the same work
	}
	own := child(p.cell.Seed, "synthetic "+nonce, phase, index)
	seed, n, tail := own, p.cell.Data.ISL, 0
	if p.cell.Request.Cache == "shared" {
		seed, tail = child(p.cell.Seed, "synthetic shared"), p.cell.Data.Tail
	}
	if p.tok == nil {
		r.Text = wordsOnly(seed, n-tail)
		if tail > 0 {
			r.Text += " " + wordsOnly(own, tail)
		}
		return nil
	}
	ids, text, err := p.tokens(seed, "words", nil, n-tail)
	if err == nil && tail > 0 {
		ids, text, err = p.tokens(own, "tail", ids, tail)
	}
	if err != nil {
		return fmt.Errorf("make a prompt of %d tokens for workload %q: %w", n, p.cell.Workload, err)
	}
	if p.traits.TakesIDs {
		r.IDs = ids
	} else {
		r.Text = text
	}
	return nil
}

// tokens gives head and then n tokens of random words, and the text of all of them. A
// target that takes text only must count as many, and begin with the same ones: texts
// that don't are passed over.
func (p *prompts) tokens(seed uint64, component string, head []int32, n int) (ids []int32, text string, err error) {
	const tries = 64
	for try := range tries {
		fresh, err := p.words(child(seed, component, try), n)
		if err != nil {
			return nil, "", err
		}
		ids = slices.Concat(head, fresh)
		if p.traits.TakesIDs {
			return ids, "", nil
		}
		if text, err = p.tok.Decode(ids); err != nil {
			return nil, "", err
		}
		again, err := p.tok.Encode(text)
		if err != nil {
			return nil, "", err
		}
		if len(again) == len(ids) && slices.Equal(again[:len(head)], head) {
			return ids, text, nil
		}
	}
	return nil, "", fmt.Errorf("none of %d texts keeps its length when it is tokenised again", tries)
}

// wordsOnly is a text of n random words: as near to n tokens as it gets where nobody
// can count them. cell.go warns of it.
func wordsOnly(seed uint64, n int) string {
	rng := rand.New(rand.NewPCG(seed, 0))
	list := strings.Fields(vocabulary)
	words := make([]string, n)
	for i := range words {
		words[i] = list[rng.IntN(len(list))]
	}
	return strings.Join(words, " ")
}

// words gives the first n tokens of a text of random words.
func (p *prompts) words(seed uint64, n int) ([]int32, error) {
	rng := rand.New(rand.NewPCG(seed, 0))
	list := strings.Fields(vocabulary)
	var text strings.Builder
	for {
		// At least one token a word: this many are enough, unless a tokenizer has
		// tokens of several words, and then the next turn has twice the text.
		for range n {
			text.WriteString(list[rng.IntN(len(list))])
			text.WriteByte(' ')
		}
		ids, err := p.tok.Encode(text.String())
		if err != nil {
			return nil, fmt.Errorf("make a prompt of %d tokens: %w", n, err)
		}
		if len(ids) >= n {
			return ids[:n], nil
		}
		if len(ids) == 0 {
			return nil, errors.New("make a synthetic prompt: the tokenizer gives no token for English words")
		}
	}
}

// vocabulary is what synthetic prompts are made of.
const vocabulary = `the a one some every old new small large bright quiet red blue green metal
wooden robot engine river garden city mountain letter window door street light morning evening
winter summer child teacher builder captain doctor friend stranger machine signal answer question
story number picture music paper stone bridge table corner market field forest island harbour
walks finds builds carries opens follows watches remembers forgets repairs paints counts draws
sings listens waits travels returns begins ends before after under over near with without slowly
quickly gently never always often perhaps because while until and or but then there here today`
