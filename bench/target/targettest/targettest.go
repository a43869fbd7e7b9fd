// Package targettest is the suite that every target must pass: what the harness
// relies on when it turns a stream of events into figures.
package targettest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/paceline/paceline/bench/target"
)

// Config says how the suite starts a target and what it may ask.
type Config struct {
	Open func(t *testing.T) target.Target // fresh; the suite closes it
	Text string                           // a prompt that gets an answer of at least 16 tokens
	API  string                           // "completion" if empty
}

func (c Config) request(id string, tokens int) target.Request {
	api := c.API
	if api == "" {
		api = "completion"
	}
	return target.Request{ID: id, API: api, Text: c.Text, MaxTokens: tokens, IgnoreEOS: true, TopP: 1, Seed: 7, Stream: true}
}

// Run holds a target to the suite.
func Run(t *testing.T, c Config) {
	t.Run("identity", func(t *testing.T) { identity(t, c) })
	t.Run("stream is whole and in order", func(t *testing.T) { stream(t, c) })
	t.Run("exact output length", func(t *testing.T) { exactLength(t, c) })
	t.Run("concurrent requests", func(t *testing.T) { concurrent(t, c) })
	t.Run("cancel ends the request", func(t *testing.T) { cancelled(t, c) })
	t.Run("a cancelled context is not asked", func(t *testing.T) { cancelledBefore(t, c) })
	t.Run("usage is not negative", func(t *testing.T) { usage(t, c) })
	t.Run("traits hold", func(t *testing.T) { traits(t, c) })
	t.Run("its tokens can be computed again", func(t *testing.T) { verified(t, c) })
	t.Run("closed", func(t *testing.T) { closed(t, c) })
}

func open(t *testing.T, c Config) target.Target {
	tg := c.Open(t)
	t.Cleanup(func() {
		if err := tg.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return tg
}

func identity(t *testing.T, c Config) {
	id, err := open(t, c).Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id.Engine == "" || id.Build == "" || id.DType == "" {
		t.Errorf("identity %+v lacks engine, build or dtype", id)
	}
}

// ask makes one request and checks what holds of every stream.
func ask(t *testing.T, tg target.Target, r target.Request) ([]target.Event, target.Reply) {
	t.Helper()
	var events []target.Event
	before := time.Now()
	reply, err := tg.Do(t.Context(), r, func(e target.Event) { events = append(events, e) })
	after := time.Now()
	if err != nil {
		t.Errorf("request %s: %v", r.ID, err)
		return nil, reply
	}
	checkStream(t, r, events, reply, before, after)
	return events, reply
}

func checkStream(t *testing.T, r target.Request, events []target.Event, reply target.Reply, before, after time.Time) {
	t.Helper()
	var text strings.Builder
	last, known := before, 0
	for i, e := range events {
		if e.Text == "" {
			t.Errorf("request %s: event %d has no content", r.ID, i)
		}
		if !utf8.ValidString(e.Text) {
			t.Errorf("request %s: event %d is not UTF-8: %q", r.ID, i, e.Text)
		}
		if e.At.Before(last) || e.At.After(after) {
			t.Errorf("request %s: event %d is out of order", r.ID, i)
		}
		last = e.At
		known += e.Tokens
		text.WriteString(e.Text)
	}
	if text.String() != reply.Text {
		t.Errorf("request %s: joined pieces %q differ from the text %q", r.ID, text.String(), reply.Text)
	}
	if reply.End.Before(last) || reply.End.After(after) {
		t.Errorf("request %s: the end lies outside the request", r.ID)
	}
	if !reply.DoneSeen || reply.Broken != "" {
		t.Errorf("request %s: end marker seen: %v, broken: %q", r.ID, reply.DoneSeen, reply.Broken)
	}
	if e := reply.Tokens.Engine; e != nil && known > *e {
		t.Errorf("request %s: events brought %d ids, the reply says %d", r.ID, known, *e)
	}
	if reply.IDs != nil && reply.Tokens.Engine != nil && len(reply.IDs) != *reply.Tokens.Engine {
		t.Errorf("request %s: %d ids, but a count of %d", r.ID, len(reply.IDs), *reply.Tokens.Engine)
	}
}

func stream(t *testing.T, c Config) {
	tg := open(t, c)
	first, a := ask(t, tg, c.request("a", 16))
	_, b := ask(t, tg, c.request("b", 16))
	if len(first) == 0 {
		t.Error("no event came")
	}
	if a.Text != b.Text || !slices.Equal(a.IDs, b.IDs) {
		t.Errorf("one seed gave two answers: %q and %q", a.Text, b.Text)
	}
	if a.Finish != "length" {
		t.Errorf("finish %q, want length", a.Finish)
	}
}

func exactLength(t *testing.T, c Config) {
	tg := open(t, c)
	for _, n := range []int{1, 2, 16} {
		_, reply := ask(t, tg, c.request("n", n))
		for name, got := range map[string]*int{"engine": reply.Tokens.Engine, "usage": reply.Tokens.Usage} {
			if got != nil && *got != n {
				t.Errorf("asked for %d tokens, %s counts %d", n, name, *got)
			}
		}
		if reply.Tokens.Engine == nil && reply.Tokens.Usage == nil {
			t.Error("no count of output tokens at all")
		}
	}
}

func concurrent(t *testing.T, c Config) {
	tg := open(t, c)
	_, want := ask(t, tg, c.request("alone", 16))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, got := ask(t, tg, c.request("together", 16)); got.Text != want.Text {
				t.Errorf("together with others %q, alone %q", got.Text, want.Text)
			}
		})
	}
	wg.Wait()
}

func cancelled(t *testing.T, c Config) {
	tg := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// So long that no subject is done before its client has read the third event.
	n := 0
	reply, err := tg.Do(ctx, c.request("cancelled", 512), func(target.Event) {
		if n++; n == 3 {
			cancel()
		}
	})
	if err == nil {
		t.Error("a cancelled request ended without an error")
	}
	if n > 3 {
		t.Errorf("%d events came after the cancellation", n-3)
	}
	if after := reply.AfterCancel; after != nil && *after > 1 {
		t.Errorf("%d tokens were made after the cancellation, want at most the one under way", *after)
	}
	if _, after := ask(t, tg, c.request("after", 4)); after.Finish != "length" {
		t.Errorf("the request after a cancelled one ended with %q", after.Finish)
	}
}

func cancelledBefore(t *testing.T, c Config) {
	tg := open(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tg.Do(ctx, c.request("never", 4), func(target.Event) { t.Error("an event came") }); err == nil {
		t.Error("a request under an ended context had no error")
	}
}

// traits tries what the target promises.
func traits(t *testing.T, c Config) {
	tg := open(t, c)
	if target.TraitsOf(tg).TakesIDs {
		r := c.request("ids", 4)
		r.Text, r.IDs = "", []int32{1, 2, 3, 4, 5}
		if _, reply := ask(t, tg, r); reply.Prompt != 0 && reply.Prompt != len(r.IDs) {
			t.Errorf("a prompt of %d ids has %d tokens", len(r.IDs), reply.Prompt)
		}
	}
	if target.TraitsOf(tg).TurnsKVOff {
		r := c.request("no KV cache", 4)
		_, with := ask(t, tg, r)
		r.NoKV = true
		if _, without := ask(t, tg, r); without.Text != with.Text || without.Cached != 0 {
			t.Errorf("without a KV cache the answer is %q with %d tokens from a cache, with one %q", without.Text, without.Cached, with.Text)
		}
	}
	if target.TraitsOf(tg).HonoursNoCache {
		for range 2 {
			r := c.request("no cache", 4)
			r.NoCache = true
			if _, reply := ask(t, tg, r); reply.Cached != 0 {
				t.Errorf("%d tokens came from the cache of a request that wanted none", reply.Cached)
			}
		}
	}
}

// verified holds a Verifier to its own answers.
func verified(t *testing.T, c Config) {
	tg := open(t, c)
	v, ok := tg.(target.Verifier)
	if !ok {
		return // nothing is promised
	}
	r := c.request("verify", 8)
	_, reply := ask(t, tg, r)
	for n := range reply.IDs {
		if same, err := v.Verify(t.Context(), r, reply.IDs, n); err != nil || !same {
			t.Errorf("token %d: same %v, error %v", n, same, err)
		}
	}
	for _, n := range []int{-1, len(reply.IDs)} {
		if _, err := v.Verify(t.Context(), r, reply.IDs, n); err == nil {
			t.Errorf("token %d of %d was verified", n, len(reply.IDs))
		}
	}
}

func usage(t *testing.T, c Config) {
	u, err := open(t, c).Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*int64{"weights": u.Weights, "peak": u.PeakAlloc, "rss": u.ProcessRSSPeak, "in use": u.InUse} {
		if v != nil && *v < 0 {
			t.Errorf("%s: %d bytes", name, *v)
		}
	}
}

func closed(t *testing.T, c Config) {
	tg := c.Open(t)
	if err := tg.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tg.Do(t.Context(), c.request("closed", 1), func(target.Event) {}); err == nil {
		t.Error("a closed target answered")
	}
}
