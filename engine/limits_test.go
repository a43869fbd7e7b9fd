package engine

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sched"
)

// TestFinishAndStats: a repeated prompt is taken from the prefix cache, unless a request or an option
// says no, and every account says so.
func TestFinishAndStats(t *testing.T) {
	dir := tiny(t)
	prompt := make([]int32, 150)
	for i := range prompt {
		prompt[i] = int32(i)
	}
	r := Request{Prompt: prompt, MaxTokens: 5, IgnoreEOS: true}
	for _, c := range []struct {
		name   string
		o      Options
		no     bool
		cached int
		pages  int
	}{
		{"cached", Options{}, false, 128, 2},
		{"not by this request", Options{}, true, 0, 2},
		{"not by this engine", Options{NoPrefixCache: true}, false, 0, 0},
		{"with memory for less than a page", Options{PrefixCacheBytes: 1}, false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.ModelDir, c.o.Backend, c.o.MaxContext = dir, "ref", 200
			e := open(t, c.o)
			first := submit(t, e, r)
			again := r
			again.NoCache = c.no
			second := submit(t, e, again)
			if !slices.Equal(ids(first), ids(second)) {
				t.Errorf("%v, then %v", ids(first), ids(second))
			}
			f := finish(second)
			if f.CachedTokens != c.cached || f.PrefillChunks != 1 || f.Preemptions != 0 || f.Waited < 0 || f.Waited > f.PrefillStart.Sub(f.Queued) {
				t.Errorf("finish %+v, want %d cached in one chunk", f, c.cached)
			}
			s := e.Stats()
			if s.CachedTokens != uint64(c.cached) || s.PromptTokens != uint64(300-c.cached) || s.PagesCached != c.pages || s.PagesUsed != 0 {
				t.Errorf("stats %+v, want %d cached and %d pages kept", s, c.cached, c.pages)
			}
			if s.PrefixCache.Hits != uint64(c.cached) || c.cached > 0 && s.PrefixCache.Misses != 2*149-128 {
				t.Errorf("prefix cache %+v", s.PrefixCache)
			}
			if p := s.Phases; p.Plan <= 0 || p.Launch <= 0 || p.Collect <= 0 || p.Idle <= 0 {
				t.Errorf("phases %+v", p)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{MaxRows: -1}, {Speculate: -1}, {PrefixCacheBytes: -1}, {NoPrefixCache: true, PrefixCacheBytes: 1}} {
		o.ModelDir = "none"
		if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "none/") {
			t.Errorf("%+v: error %v, want one about the options", o, err)
		}
	}
}

// TestWithoutBatchingAndWithoutKV: both are slower and neither changes a token.
func TestWithoutBatchingAndWithoutKV(t *testing.T) {
	dir := tiny(t)
	e := open(t, Options{ModelDir: dir, Backend: "ref", MaxContext: 200})
	single := open(t, Options{ModelDir: dir, Backend: "ref", MaxContext: 200, MaxRows: 1})
	r := Request{Prompt: []int32{1, 2, 3}, MaxTokens: 12, IgnoreEOS: true, Sampling: backend.Sampling{Temperature: 1, Seed: 3}}
	want := ids(submit(t, e, r))
	anew := r
	anew.NoKV = true
	if got := ids(submit(t, e, anew)); !slices.Equal(got, want) {
		t.Errorf("without KV %v, with %v", got, want)
	}
	if s := e.Stats(); s.RecomputedTokens != 11*3+10*11/2 {
		t.Errorf("%d tokens computed again, want each once for every later one", s.RecomputedTokens)
	}
	var streams []*Stream
	for range 3 {
		s, err := single.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for _, s := range streams {
		if got := ids(read(t, s)); !slices.Equal(got, want) {
			t.Errorf("without batching %v, with %v", got, want)
		}
	}
	if s := single.Stats(); s.Steps != 36 {
		t.Errorf("%d steps for 3 times 12 tokens one after the other", s.Steps)
	}
}

// TestSpeculation: guesses change how many steps a text takes, and none of its tokens.
func TestSpeculation(t *testing.T) {
	dir := tiny(t)
	plain := open(t, Options{ModelDir: dir, Backend: "ref", MaxContext: 300})
	guessing := open(t, Options{ModelDir: dir, Backend: "ref", MaxContext: 300, Speculate: 4})
	for _, s := range []backend.Sampling{{}, {Temperature: 0.1, Seed: 1}, {Temperature: 1, TopP: 0.9, Seed: 2}} {
		r := Request{Prompt: []int32{1, 2, 3, 1, 2, 3, 1, 2}, MaxTokens: 120, IgnoreEOS: true, Sampling: s}
		want, events := ids(submit(t, plain, r)), submit(t, guessing, r)
		if got := ids(events); !slices.Equal(got, want) {
			t.Errorf("%+v: with guesses %v, without %v", s, got, want)
		}
		if f := finish(events); f.AcceptedTokens > f.DraftTokens || s.Temperature == 0 && f.DraftTokens == 0 {
			t.Errorf("%+v: %d of %d guesses right", s, f.AcceptedTokens, f.DraftTokens)
		}
	}
	p, g := plain.Stats(), guessing.Stats()
	if p.DraftTokens != 0 || g.AcceptedTokens == 0 || g.Steps+g.AcceptedTokens != p.Steps {
		t.Errorf("%d steps without guesses, %d with %d right ones", p.Steps, g.Steps, g.AcceptedTokens)
	}
	if _, err := Open(t.Context(), Options{ModelDir: dir, Backend: "ref", Speculate: 33}); err == nil || !strings.Contains(err.Error(), "32 at most") || strings.Contains(err.Error(), "close") {
		t.Errorf("more guesses than the backend checks: error %v", err)
	}
}

// TestAThousandRequestsAtOnce: on a cache of five pages all end, among them some that nobody reads, some
// that are cancelled at once and some while they are read; the rest is whole and nothing is left behind.
func TestAThousandRequestsAtOnce(t *testing.T) {
	before := runtime.NumGoroutine()
	dir := tiny(t)
	page := open(t, Options{ModelDir: dir, Backend: "ref", MaxContext: 64}).Stats().BytesPerPage
	e, err := Open(t.Context(), Options{ModelDir: dir, Backend: "ref", KVBytes: 5 * page})
	if err != nil {
		t.Fatal(err)
	}
	request := func(i int) Request {
		return Request{Prompt: []int32{int32(i % 500), int32(i % 7)}, MaxTokens: 1 + i%3, IgnoreEOS: true}
	}
	streams := make([]*Stream, 1000)
	for i := range streams {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r := request(i)
		if i%10 == 4 {
			r.MaxTokens = 60
		}
		if streams[i], err = e.Submit(ctx, r); err != nil {
			t.Fatal(err)
		}
		switch {
		case i%10 == 3:
			cancel()
		case i%10 == 4: // by who reads it
			stream := streams[i].Events()
			go func() {
				<-stream
				cancel()
			}()
		}
	}
	for i, s := range streams {
		if i%10 == 3 || i%10 == 4 || i%10 == 5 {
			continue // cancelled, or never read
		}
		events := read(t, s)
		if f := finish(events); f.Reason != FinishLength || len(ids(events)) != 1+i%3 {
			t.Errorf("request %d: %+v", i, f)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s := e.Stats()
		if s.Running+s.Waiting == 0 && s.PagesUsed == 0 {
			if s.Requests != 1000 || s.PagesPeak > 5 {
				t.Errorf("stats %+v", s)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not at rest: %+v", s)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+1; runtime.Gosched() { // +1: the first engine's loop
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestNothingIsAllocatedPerToken: events of an engine without tokenizer cost no memory of their own.
func TestNothingIsAllocatedPerToken(t *testing.T) {
	const tokens = 1000
	s := newSink(&Engine{}, Request{Prompt: []int32{1}, StopTokens: []int32{5}}, tokens)
	var sink sched.Sink = s
	at := time.Now()
	if n := testing.AllocsPerRun(tokens-10, func() { sink.Token(7, at, false) }); n != 0 {
		t.Errorf("%v allocations a token, want none", n)
	}
}
