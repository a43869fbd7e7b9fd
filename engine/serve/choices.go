package serve

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/engine"
)

// told is what one choice came to.
type told struct {
	text    strings.Builder // of a whole answer
	drawn   []drawn         // of a whole answer with log-probabilities
	speller speller
	tokens  int            // so far
	end     *engine.Finish // nil while it is under way
}

// piece is an event of one choice.
type piece struct {
	engine.Event

	choice int
}

// submit asks the engine for all choices: the same but for their seeds, which count up, so that
// each is another and all can be had again. The events must be read to their end.
func (x *exchange) submit(ctx context.Context, r engine.Request) (pieces, *failure) {
	streams := make([]*engine.Stream, x.q.n)
	for i := range streams {
		var err error
		if streams[i], err = x.s.engine.Submit(ctx, r); err != nil {
			x.cancel() // those before; nobody reads their events
			return pieces{}, x.s.submitted(err)
		}
		r.Sampling.Seed++
		x.choices = append(x.choices, &told{speller: speller{
			piece: x.s.tok.Piece, silent: func(id int32) bool { return x.s.tok.Silent(id, true) }, api: x.q.api, top: x.q.top,
		}})
	}
	return together(streams), nil
}

// pieces are the events of all choices as they come. Those of a single one need no goroutine between
// the engine and the connection.
type pieces struct {
	one  <-chan engine.Event
	many <-chan piece
}

// all gives them to the last.
func (p pieces) all() iter.Seq[piece] {
	return func(yield func(piece) bool) {
		if p.one == nil {
			for q := range p.many {
				if !yield(q) {
					return
				}
			}
			return
		}
		for ev := range p.one {
			if !yield(piece{Event: ev}) {
				return
			}
		}
	}
}

// waiting is how many could be read at once.
func (p pieces) waiting() int { return len(p.one) + len(p.many) }

func together(streams []*engine.Stream) pieces {
	if len(streams) == 1 {
		return pieces{one: streams[0].Events()}
	}
	out := make(chan piece, 64)
	var wg sync.WaitGroup
	for i, s := range streams {
		wg.Go(func() {
			for ev := range s.Events() {
				out <- piece{Event: ev, choice: i}
			}
		})
	}
	go func() {
		wg.Wait()
		close(out)
	}()
	return pieces{many: out}
}

// note counts an event. A choice that broke ends the others: an answer is whole or none.
func (x *exchange) note(p piece) {
	t := x.choices[p.choice]
	if p.Token >= 0 {
		t.tokens++
	}
	t.end = p.Finish
	if p.Finish != nil && p.Finish.Reason == engine.FinishError {
		x.cancel()
	}
}

// drawn gives a token's log-probabilities, if they were asked for and the token isn't one that
// ended the answer: that has no place in it.
func (x *exchange) drawn(ev engine.Event) (drawn, bool) {
	if ev.LogProbs == nil || slices.Contains(x.q.stopTokens, ev.Token) ||
		!x.q.ignoreEOS && slices.Contains(x.s.engine.EOS(), ev.Token) {
		return drawn{}, false
	}
	return drawn{id: ev.Token, probs: ev.LogProbs}, true
}

// open counts the choices under way.
func (x *exchange) open() (n int) {
	for _, t := range x.choices {
		if t.end == nil {
			n++
		}
	}
	return n
}

// sum is the account of all choices, once they ended: what went wrong, if anything did; the
// prompt's tokens once; and the times from the first that began to the last that ended.
func (x *exchange) sum() *engine.Finish {
	worst := func(reason string) int {
		return slices.Index([]string{engine.FinishStop, engine.FinishLength, engine.FinishCancel, engine.FinishError}, reason)
	}
	sooner := func(a, b time.Time) time.Time {
		if a.IsZero() || !b.IsZero() && b.Before(a) {
			return b
		}
		return a
	}
	sum := *x.choices[0].end
	for _, t := range x.choices[1:] {
		if worst(t.end.Reason) > worst(sum.Reason) {
			sum.Reason, sum.Err = t.end.Reason, t.end.Err
		}
		sum.OutputTokens += t.end.OutputTokens
		sum.PrefillStart = sooner(sum.PrefillStart, t.end.PrefillStart)
		sum.PrefillEnd = sooner(sum.PrefillEnd, t.end.PrefillEnd)
		if t.end.End.After(sum.End) {
			sum.End = t.end.End
		}
	}
	return &sum
}

// soFar is the usage while choices are under way. Nothing is known yet of the cache.
func (x *exchange) soFar() *usage {
	u := &usage{Prompt: x.promptTokens}
	for _, t := range x.choices {
		u.Completion += t.tokens
	}
	u.Total = u.Prompt + u.Completion
	return u
}
