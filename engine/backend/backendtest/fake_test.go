package backendtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// fake is a backend whose model is a hash of all tokens so far, with at most one defect, by name.
type fake struct {
	info   backend.Info
	defect string
	pages  [][backend.PageTokens]int32
	flying []*backend.Batch
	steps  int
	last   []int32 // tokens of the batch collected last

	drafted map[*int32]bool // positions that hold drafts
}

func newFake(inFlight int, defect string) *fake {
	f := &fake{
		info: backend.Info{
			Name: "fake", Compute: "hash", Weights: "none", MaxInFlight: inFlight,
			MaxRows: 8, MaxTokens: 100, MaxContext: 300, VocabSize: 50, MaxDraft: 6,
		},
		defect: defect, pages: make([][backend.PageTokens]int32, 24), drafted: map[*int32]bool{},
	}
	if defect == "no name" {
		f.info.Name = ""
	}
	return f
}

// guard runs a check and counts a panic as its objection, as a test would.
func guard(c check, b backend.Backend) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return c.run(b)
}

func (f *fake) has(defect string) bool { return f.defect == defect }

func (f *fake) Info() backend.Info   { return f.info }
func (f *fake) Pages() backend.Pages { return f }
func (f *fake) Close() error         { return nil }
func (f *fake) Count() int           { return len(f.pages) }
func (f *fake) BytesPerPage() int64  { return 4 * backend.PageTokens }

func (f *fake) Memory() backend.Memory {
	m := backend.Memory{Weights: 1, KV: int64(f.Count()) * f.BytesPerPage()}
	if f.has("less memory than pages") {
		m.KV--
	}
	return m
}

func (f *fake) Copy(dst, src backend.PageID, tokens int) error {
	if dst < 0 || src < 0 || int(max(dst, src)) >= f.Count() || tokens < 1 || tokens > backend.PageTokens {
		return errors.New("no such copy")
	}
	if f.has("copies whole pages to the wrong place") {
		dst, src = src, dst
	}
	if f.has("copies one position too few") {
		tokens--
	}
	copy(f.pages[dst][:tokens], f.pages[src][:tokens])
	return nil
}

func (f *fake) Launch(b *backend.Batch) error {
	err := f.check(b)
	switch {
	case f.has("accepts anything"):
		err = nil
	case f.has("mistakes are faults") && err != nil:
		err = fmt.Errorf("%w: %w", backend.ErrFault, err)
	}
	if err != nil {
		return err
	}
	if len(f.flying) == f.info.MaxInFlight && !f.has("a second batch in flight") {
		return errors.New("too many batches in flight")
	}
	f.flying = append(f.flying, b)
	return nil
}

func (f *fake) check(b *backend.Batch) error {
	if len(b.Rows) == 0 || len(b.Rows) > f.info.MaxRows {
		return fmt.Errorf("%d rows", len(b.Rows))
	}
	if f.has("one row too few in full batches") && len(b.Rows) == f.info.MaxRows {
		return errors.New("full")
	}
	for _, r := range b.Rows {
		n := len(r.Tokens)
		if r.Chained {
			n = 1
		}
		if n == 0 || r.Start < 0 || r.Start+n > f.info.MaxContext || len(r.Pages)*backend.PageTokens < r.Start+n {
			return errors.New("bad row")
		}
		if r.Draft < 0 || r.Draft > 0 && (r.Draft >= n || r.Sample == nil) || r.Draft > f.info.MaxDraft && !f.has("too many drafts") {
			return errors.New("bad drafts")
		}
		for _, id := range r.Tokens {
			if id < 0 || int(id) >= f.info.VocabSize {
				return errors.New("bad id")
			}
		}
		if err := sample.ValidateRow(&r, f.info.VocabSize); err != nil {
			return err
		}
		for _, p := range r.Pages {
			if p < 0 || int(p) >= f.Count() {
				return errors.New("bad page")
			}
		}
	}
	return nil
}

func (f *fake) Collect(b *backend.Batch) error {
	if len(f.flying) == 0 || f.flying[0] != b {
		return errors.New("not the oldest batch in flight")
	}
	f.flying = f.flying[1:]
	f.steps++
	b.Out = nil
	var drawn []int32
	for i := range b.Rows {
		r := &b.Rows[i]
		text := slices.Clone(r.Tokens)
		if r.Chained {
			text = []int32{f.last[r.ChainRow]}
			if f.has("chained to the wrong row") {
				text[0] = 0
			}
		}
		b.Out = append(b.Out, f.row(i, r, text, len(b.Rows)))
		drawn = append(drawn, b.Out[i].Token)
		if f.has("inputs written") {
			r.Tokens[0]++
		}
	}
	f.last = drawn
	return nil
}

// slot is where a position lies.
func (f *fake) slot(r *backend.Row, p int) *int32 {
	return &f.pages[r.Pages[p/backend.PageTokens]][p%backend.PageTokens]
}

func (f *fake) row(index int, r *backend.Row, text []int32, rows int) backend.RowOut {
	for i, id := range text {
		if s := f.slot(r, r.Start+i); f.has("pages added up") {
			*s += id
		} else if f.has("wrong drafts stay") && f.drafted[s] {
			delete(f.drafted, s)
		} else {
			f.drafted[s] = i >= len(text)-r.Draft
			*s = id
		}
	}
	if f.has("shared pages written") && r.Start > 0 {
		*f.slot(r, 0) += 1
	}
	end := r.Start + len(text)
	noise := uint32(0)
	switch f.defect {
	case "a counter in the logits":
		noise = uint32(f.steps)
	case "chunk length in the logits":
		noise = uint32(len(text))
	case "single tokens rounded otherwise":
		noise = uint32(1 / len(text))
	case "row count in the logits":
		noise = uint32(rows)
	case "row index in the logits":
		noise = uint32(index)
	case "page ids in the logits":
		noise = uint32(r.Pages[0])
	}
	logits := f.logits(r, end, noise)
	out := backend.RowOut{Token: -1}
	if f.has("token zero instead of none") {
		out.Token = 0
	}
	if r.Sample != nil {
		s := *r.Sample
		if f.has("position ignored in sampling") {
			s.Position = 0
		}
		if f.has("edits ignored") {
			s.Edits = nil
		}
		out.Token = sample.Token(logits, s)
		if f.has("edits left in the logits") && s.Edits != nil {
			for _, e := range s.Edits.List {
				logits[e.ID] += e.Add
			}
		}
		if r.TopLogProbs > 0 {
			out.Top, out.TokenLogProb = sample.Top(nil, logits, out.Token, r.TopLogProbs)
			if f.has("the token's log-probability is the likeliest's") {
				out.TokenLogProb = out.Top[0].LogProb
			}
		}
	}
	for i := 0; r.Draft > 0 && i <= r.Draft; i++ {
		s, at := *r.Sample, end-r.Draft+i
		if s.Position += uint64(i); f.has("drafts are all drawn at one position") {
			s.Position = r.Sample.Position
		}
		if f.has("drafts are drawn from the last logits") {
			at = end
		}
		out.Token = sample.Token(f.logits(r, at, noise), s)
		out.Drawn = append(out.Drawn, out.Token)
	}
	if r.WantLogits || f.has("logits always") {
		out.Logits = logits
	}
	if r.WantAllLogProbs {
		for i := 1; i < len(text); i++ {
			at := r.Start + i
			if f.has("log-probabilities one off") {
				at++
			}
			out.LogProbs = append(out.LogProbs, float32(sample.LogProb(f.logits(r, at, noise), text[i])))
		}
	}
	return out
}

// logits after the first n positions.
func (f *fake) logits(r *backend.Row, n int, noise uint32) []float32 {
	h := 2166136261 ^ noise
	from := 0
	if f.has("history ignored") {
		from = n - 1
	}
	for p := from; p < n; p++ {
		h = (h ^ uint32(*f.slot(r, p))) * 16777619
	}
	l := make([]float32, f.info.VocabSize)
	for i := range l {
		l[i] = float32(sample.Bits(uint64(h), 0, int32(i))%1000) / 100
	}
	return l
}
