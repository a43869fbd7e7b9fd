package sched

import (
	"errors"
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

const fakeVocab = 97

// fake is a backend whose "model" is a hash: its logits after a position depend on every token up
// to it, read back from the pages. So a wrong page, position or token changes what follows.
type fake struct {
	info   backend.Info
	pages  [][backend.PageTokens]int32
	flying []*backend.Batch
	drew   []int32 // by the rows of the batch collected last
	steps  [][]int // tokens of each row of each step
	// before, if set, is called at the start of each Collect and may give its error.
	before func(step int) error
}

func newFake(pages int) *fake {
	return &fake{
		info: backend.Info{
			Name: "fake", MaxInFlight: 1, MaxRows: 8, MaxTokens: 64, MaxContext: pages * backend.PageTokens, VocabSize: fakeVocab,
			MaxDraft: 8,
		},
		pages: make([][backend.PageTokens]int32, pages),
	}
}

func (f *fake) Info() backend.Info     { return f.info }
func (f *fake) Pages() backend.Pages   { return f }
func (f *fake) Memory() backend.Memory { return backend.Memory{} }
func (f *fake) Close() error           { return nil }
func (f *fake) Count() int             { return len(f.pages) }
func (f *fake) BytesPerPage() int64    { return backend.PageTokens * 4 }

func (f *fake) Copy(dst, src backend.PageID, tokens int) error {
	copy(f.pages[dst][:tokens], f.pages[src][:tokens])
	return nil
}

func (f *fake) Launch(b *backend.Batch) error {
	if len(f.flying) == f.info.MaxInFlight {
		return fmt.Errorf("%d batches in flight", len(f.flying)+1)
	}
	total := 0
	for _, r := range b.Rows {
		total += len(r.Tokens)
	}
	if len(b.Rows) > f.info.MaxRows || total > f.info.MaxTokens {
		return fmt.Errorf("%d rows and %d tokens are too many", len(b.Rows), total)
	}
	f.flying = append(f.flying, b)
	return nil
}

func (f *fake) Collect(b *backend.Batch) error {
	if len(f.flying) == 0 || f.flying[0] != b {
		return errors.New("not the oldest in flight")
	}
	f.flying = f.flying[1:]
	if f.before != nil {
		if err := f.before(len(f.steps)); err != nil {
			return err
		}
	}
	var shape []int
	for i := range b.Rows { // the row's token is known by now
		if r := &b.Rows[i]; r.Chained {
			r.Tokens = []int32{f.drew[r.ChainRow]}
		}
	}
	for _, r := range b.Rows {
		shape = append(shape, len(r.Tokens))
		for i, id := range r.Tokens {
			p := r.Start + i
			f.pages[r.Pages[p/backend.PageTokens]][p%backend.PageTokens] = id
		}
	}
	f.steps = append(f.steps, shape)
	f.drew = f.drew[:0]
	defer func() {
		for _, o := range b.Out {
			f.drew = append(f.drew, o.Token)
		}
	}()
	for _, r := range b.Rows {
		out := backend.RowOut{Token: -1}
		end := r.Start + len(r.Tokens)
		if r.WantAllLogProbs {
			for i := 1; i < len(r.Tokens); i++ {
				out.LogProbs = append(out.LogProbs, float32(sample.LogProb(f.logits(r.Pages, r.Start+i), r.Tokens[i])))
			}
		}
		logits := f.logits(r.Pages, end)
		if r.Sample != nil {
			out.Token = sample.Token(logits, *r.Sample)
			if r.TopLogProbs > 0 {
				out.Top, out.TokenLogProb = sample.Top(nil, logits, out.Token, r.TopLogProbs)
			}
		}
		for i := 0; r.Draft > 0 && i <= r.Draft; i++ {
			s := *r.Sample
			s.Position += uint64(i)
			out.Drawn = append(out.Drawn, sample.Token(f.logits(r.Pages, end-r.Draft+i), s))
		}
		if r.WantLogits {
			out.Logits = logits
		}
		b.Out = append(b.Out, out)
	}
	return nil
}

// logits after the first n positions.
func (f *fake) logits(pages []backend.PageID, n int) []float32 {
	h := uint32(2166136261)
	for p := range n {
		h = (h ^ uint32(f.pages[pages[p/backend.PageTokens]][p%backend.PageTokens])) * 16777619
	}
	l := make([]float32, fakeVocab)
	for i := range l {
		l[i] = float32(sample.Bits(uint64(h), 0, int32(i))%1000) / 100
	}
	return l
}

// generate is what the fake's model gives for one request, without any scheduler.
func generate(j Job) []int32 {
	f := newFake(64)
	pages := make([]backend.PageID, 64)
	for i := range pages {
		pages[i] = backend.PageID(i)
	}
	ids := append([]int32(nil), j.Prompt...)
	for len(ids) < len(j.Prompt)+j.MaxTokens {
		for p, id := range ids {
			f.pages[p/backend.PageTokens][p%backend.PageTokens] = id
		}
		s := j.Sampling
		s.Position = uint64(len(ids))
		ids = append(ids, sample.Token(f.logits(pages, len(ids)), s))
	}
	return ids[len(j.Prompt):]
}
