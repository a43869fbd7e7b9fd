// Package null is a target that answers at once: whatever is measured of it is the
// measuring program's own time on this machine, the noise floor under every result.
package null

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
)

// piece is the text of every event.
const piece = "x "

// Target answers every request with MaxTokens events, one after another without
// waiting.
type Target struct {
	closed atomic.Bool
}

// New starts it.
func New() *Target { return &Target{} }

// Traits says that it runs here and caches nothing.
func (*Target) Traits() target.Traits {
	return target.Traits{InProcess: true, HonoursNoCache: true, TakesIDs: true, TurnsKVOff: true}
}

// Identity is that of this program; no model is behind it.
func (t *Target) Identity(context.Context) (result.Identity, error) {
	build := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		build = info.Main.Version
	}
	return result.Identity{Build: build, Engine: "paceline/null", DType: "none"}, nil
}

// Do answers with r.MaxTokens events, or until ctx has ended.
func (t *Target) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	if t.closed.Load() {
		return target.Reply{}, errors.New("ask the null target: it is closed")
	}
	if err := ctx.Err(); err != nil {
		return target.Reply{}, err
	}
	now := time.Now()
	reply := target.Reply{Written: now, FirstByte: now, Finish: "length", DoneSeen: true, Prompt: len(r.IDs)}
	text := make([]byte, 0, r.MaxTokens*len(piece))
	n := 0
	for ; n < r.MaxTokens; n++ {
		if ctx.Err() != nil {
			reply.Finish = "cancel"
			break
		}
		sink(target.Event{At: time.Now(), Text: piece, Tokens: 1})
		text = append(text, piece...)
	}
	reply.Text = string(text)
	engine, usage := n, n
	reply.Tokens = result.Counts{Engine: &engine, Usage: &usage}
	reply.End = time.Now()
	return reply, ctx.Err()
}

// Usage knows nothing.
func (*Target) Usage(context.Context) (target.Usage, error) { return target.Usage{}, nil }

// Close makes later requests fail.
func (t *Target) Close() error {
	t.closed.Store(true)
	return nil
}
