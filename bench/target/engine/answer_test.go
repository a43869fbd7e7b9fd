package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/engine"
)

// TestCancelledAtItsEnd: a request whose context ends while its last tokens are under
// way may be whole for the engine and is cut for the client, who heard no more of it:
// its text and its ids must not be compared.
func TestCancelledAtItsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var heard string
	a := answer{sink: func(e target.Event) { heard += e.Text }}
	at := time.Now()
	a.event(ctx, engine.Event{Token: 1, Text: "one", At: at})
	cancel()
	a.event(ctx, engine.Event{Token: 2, Text: " two", At: at})
	a.event(ctx, engine.Event{Token: 3, Text: " three", At: at, Finish: &engine.Finish{Reason: engine.FinishLength, OutputTokens: 3}})
	reply, err := a.reply(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was cut: %v, text %q of %d ids; want the context's error", err, reply.Text, len(reply.IDs))
	}
	if heard != "one two" || reply.Text != heard {
		t.Errorf("heard %q, the reply's text is %q", heard, reply.Text)
	}

	// One that lost nothing by it was not cut.
	ctx, cancel = context.WithCancel(t.Context())
	a = answer{sink: func(target.Event) {}}
	a.event(ctx, engine.Event{Token: 1, Text: "one", At: at})
	cancel()
	a.event(ctx, engine.Event{Token: 2, Text: " two", At: at})
	a.event(ctx, engine.Event{Token: 3, At: at, Finish: &engine.Finish{Reason: engine.FinishStop, OutputTokens: 3}})
	if _, err := a.reply(ctx); err != nil {
		t.Errorf("a request that is whole: %v", err)
	}
}
