package harness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
)

// exchange is one request and everything that came back, as it happens. Its event
// method is the measured path: it allocates nothing for outputs up to the length
// asked for.
type exchange struct {
	phase, index int
	ticket       load.Ticket
	request      target.Request
	rec          *load.Recorder
	joined       []byte
	broken       string // of the pieces, as they came

	cancelAfter int // tokens; 0: never
	cancel      context.CancelFunc
	cancelAt    time.Time

	clock load.Clock
	reply target.Reply
	err   error
	end   time.Time // when Do returned

	// Of what came, once it is over: the text itself is only kept where its tokens are counted again.
	whole string // why the stream was not whole; empty if it was
	hash  string // of the text; empty without one
}

// Room made before a request: for the text of one token, and for at most so many
// tokens; longer outputs grow as they come.
const (
	bytesPerToken = 8
	roomTokens    = 1 << 16
)

func newExchange(clock load.Clock, base time.Time, r target.Request, t load.Ticket, meter *load.Meter) *exchange {
	room := min(r.MaxTokens, roomTokens)
	return &exchange{
		ticket: t, request: r, clock: clock,
		rec:    load.NewRecorder(base, room+1, meter),
		joined: make([]byte, 0, room*bytesPerToken),
	}
}

// do sends the request and waits for its end.
func (x *exchange) do(ctx context.Context, t target.Target) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x.cancel = cancel
	x.reply, x.err = t.Do(ctx, x.request, x.event)
	x.end = x.clock.Now()
	if x.reply.End.IsZero() {
		x.reply.End = x.end
	}
	x.whole = x.integrity()
	if x.reply.Text != "" {
		sum := sha256.Sum256([]byte(x.reply.Text))
		x.hash = hex.EncodeToString(sum[:])
	}
	x.joined, x.cancel = nil, nil
}

func (x *exchange) event(e target.Event) {
	x.rec.Event(e.At, e.Tokens)
	if x.broken == "" && !utf8.ValidString(e.Text) {
		events, _ := x.rec.Count()
		x.broken = fmt.Sprintf("event %d is not whole UTF-8", events)
	}
	x.joined = append(x.joined, e.Text...)
	if x.cancelAfter > 0 && x.cancelAt.IsZero() {
		events, tokens := x.rec.Count()
		if max(events, tokens) >= x.cancelAfter {
			x.cancelAt = x.clock.Now()
			x.cancel()
		}
	}
}

// failed says that the request went wrong; one that was cancelled on purpose did
// not.
func (x *exchange) failed() bool {
	return x.err != nil && (x.cancelAt.IsZero() || !errors.Is(x.err, context.Canceled))
}

// integrity says why the stream was not whole, or nothing.
func (x *exchange) integrity() string {
	switch {
	case x.reply.Broken != "":
		return x.reply.Broken
	case x.broken != "":
		return x.broken
	case string(x.joined) != x.reply.Text:
		return "the joined pieces differ from the whole text"
	case !x.cancelAt.IsZero() || x.err != nil:
		return "" // cut on purpose, or counted as an error
	case x.request.Stream && !x.reply.DoneSeen:
		return brokenEnd
	case x.reply.Tokens.Usage == nil:
		return "no usage was reported"
	}
	return ""
}

// sample is the exchange with its instants in ns since base.
func (x *exchange) sample(base time.Time) result.Sample {
	rel := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.Sub(base).Nanoseconds()
	}
	s := result.Sample{
		Trial: x.phase, Index: x.index,
		Scheduled: rel(x.ticket.Scheduled), Admitted: rel(x.ticket.Admitted),
		Written: rel(x.reply.Written), FirstByte: rel(x.reply.FirstByte), End: rel(x.reply.End),
		EngineQueued: rel(x.reply.EngineQueued), EnginePrefillStart: rel(x.reply.EnginePrefillStart),
		EnginePrefillEnd: rel(x.reply.EnginePrefillEnd), EngineEnd: rel(x.reply.EngineEnd),
		PromptTokens: x.reply.Prompt, CachedTokens: x.reply.Cached, CachedKnown: x.reply.CachedKnown, WantTokens: x.request.MaxTokens,
		Tokens: x.reply.Tokens, Finish: x.reply.Finish, CancelAt: rel(x.cancelAt), AfterCancel: x.reply.AfterCancel,
		Broken: x.whole, TextHash: x.hash,
	}
	// The recorder counted from another base.
	events := x.rec.Events()
	s.Events = make([]int64, len(events))
	shift := rel(x.rec.Base())
	for i, e := range events {
		s.Events[i] = e + shift
	}
	if x.failed() {
		s.Error = x.err.Error()
	}
	return s
}
