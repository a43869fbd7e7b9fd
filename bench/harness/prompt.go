package harness

import (
	"context"
	"fmt"
	"sync"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// prompts makes the requests of one cell, each from the cell's seed, its phase (0:
// warm-up) and its index, so that a round always sends the same ones and no phase
// sends another's.
type prompts struct {
	cell   spec.Cell
	tok    target.Tokenizer
	traits target.Traits
	nonce  string   // of the round: its markers differ from every other's
	texts  []string // of the data, used in turn
}

func newPrompts(c spec.Cell, tok target.Tokenizer, traits target.Traits, nonce string, dataset func(name, digest string) ([]string, error)) (*prompts, error) {
	p := &prompts{cell: c, tok: tok, traits: traits, nonce: nonce}
	switch c.Data.Type {
	case "prompt":
		p.texts = c.Data.Prompts
	case "dataset":
		if dataset == nil {
			return nil, fmt.Errorf("make the prompts of workload %q: data set %q: this machine has no data sets", c.Workload, c.Data.Dataset)
		}
		var err error
		if p.texts, err = dataset(c.Data.Dataset, c.Data.Digest); err != nil {
			return nil, fmt.Errorf("make the prompts of workload %q: %w", c.Workload, err)
		}
	case "synthetic":
		return p, nil
	default:
		return nil, fmt.Errorf("make the prompts of workload %q: data of type %q: known are prompt, synthetic, dataset", c.Workload, c.Data.Type)
	}
	if len(p.texts) == 0 {
		return nil, fmt.Errorf("make the prompts of workload %q: its data has no prompt", c.Workload)
	}
	return p, nil
}

// request is the index-th request of a phase.
func (p *prompts) request(phase, index int) (target.Request, error) {
	q := p.cell.Request
	bust := q.Cache != "shared"
	r := target.Request{
		ID:  fmt.Sprintf("%s.%d.%d", p.cell.Digest, phase, index),
		API: q.API, MaxTokens: q.MaxTokens, IgnoreEOS: q.IgnoreEOS, Stream: q.Stream,
		Temperature: q.Temperature, TopP: q.TopP, TopK: q.TopK,
		Seed: child(p.cell.Seed, "sampling", phase, index), NoCache: bust, NoKV: q.NoKV,
	}
	if p.cell.Data.Type == "synthetic" {
		return r, p.synthetic(&r, phase, index)
	}
	r.Text = p.texts[index%len(p.texts)]
	if bust && !p.traits.HonoursNoCache {
		var err error
		r.Text, err = p.mark(r.Text, phase, index)
		return r, err
	}
	return r, nil
}

// mark puts a marker that no other request has before the text. Every marked prompt
// of one text has the same number of tokens: that of the first marker ever tried.
func (p *prompts) mark(text string, phase, index int) (string, error) {
	want := 0
	if p.tok != nil {
		ids, err := p.tok.Encode(marker(child(p.cell.Seed, "marker")) + text)
		if err != nil {
			return "", fmt.Errorf("count the tokens of a prompt: %w", err)
		}
		want = len(ids)
	}
	const tries = 256
	for try := range tries {
		marked := marker(child(p.cell.Seed, "marker "+p.nonce, phase, index, try)) + text
		if p.tok == nil {
			return marked, nil
		}
		ids, err := p.tok.Encode(marked)
		if err != nil {
			return "", fmt.Errorf("count the tokens of a prompt: %w", err)
		}
		if len(ids) == want {
			return marked, nil
		}
	}
	return "", fmt.Errorf("mark a prompt of workload %q: none of %d markers gives %d tokens", p.cell.Workload, tries, want)
}

// marker is twelve letters in groups, as the first words of a text.
func marker(n uint64) string {
	b := make([]byte, 0, 16)
	b = append(b, '[')
	for i := range 12 {
		if i > 0 && i%4 == 0 {
			b = append(b, ' ')
		}
		b = append(b, 'a'+byte(n%26))
		n /= 26
	}
	return string(append(b, "] "...))
}

// feed makes a phase's requests ahead of time, so that making them costs the
// measured path nothing.
type feed struct {
	ready  chan made
	filled chan struct{} // closed once ready was full, or the phase's last was made
	stop   context.CancelFunc
	done   sync.WaitGroup
}

type made struct {
	request target.Request
	err     error
}

// How many requests lie ready before the load begins: a number that a short trial
// doesn't use up, less where prompts are long, at least twice the slots.
const (
	aheadRequests = 128
	aheadTokens   = 64 << 10
	openAhead     = 16
)

func ahead(c spec.Cell) int {
	most := min(aheadRequests, aheadTokens/max(c.Data.ISL, 1))
	if c.Load.Open() {
		return max(most, openAhead) // slots are a limit there, not how many are sent at once
	}
	return max(most, 2*c.Load.Slots())
}

// newFeed starts making the requests of a phase: limit of them, or as many as are
// taken where limit is 0.
func newFeed(ctx context.Context, p *prompts, phase, limit int) *feed {
	size := ahead(p.cell)
	if limit > 0 {
		size = min(size, limit)
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{ready: make(chan made, size), filled: make(chan struct{}), stop: cancel}
	f.done.Go(func() {
		for i := 0; limit == 0 || i < limit; i++ {
			r, err := p.request(phase, i)
			select {
			case f.ready <- made{r, err}:
			case <-ctx.Done():
				return
			}
			if i == size-1 || err != nil && i < size {
				close(f.filled)
			}
			if err != nil {
				return
			}
		}
	})
	return f
}

// fill waits until requests lie ready.
func (f *feed) fill(ctx context.Context) error {
	select {
	case <-f.filled:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// next is the phase's next request; requests come in order.
func (f *feed) next(ctx context.Context) (target.Request, error) {
	select {
	case m := <-f.ready:
		return m.request, m.err
	case <-ctx.Done():
		return target.Request{}, ctx.Err()
	}
}

func (f *feed) close() {
	f.stop()
	f.done.Wait()
}
