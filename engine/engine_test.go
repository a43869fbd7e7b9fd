package engine

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/sample"
	"github.com/paceline/paceline/engine/token"
)

// tiny makes a synthetic model for one test, small enough for the ref backend under the race
// detector.
func tiny(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny")
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.HiddenSize, c.IntermediateSize, c.Heads, c.KVHeads, c.HeadDim = 64, 128, 2, 1, 32
	if err := model.SynthConfig(t.Context(), c, dir, model.SynthOptions{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, o Options) *Engine {
	t.Helper()
	e, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func submit(t *testing.T, e *Engine, r Request) []Event {
	t.Helper()
	s, err := e.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, s)
}

// read gives all events, and checks what holds for every stream.
func read(t *testing.T, s *Stream) []Event {
	t.Helper()
	var events []Event
	late := time.After(60 * time.Second)
	for {
		select {
		case ev, ok := <-s.Events():
			if ok {
				events = append(events, ev)
				continue
			}
		case <-late:
			t.Fatal("the stream didn't end")
		}
		break
	}
	for i, ev := range events {
		if last := i == len(events)-1; (ev.Finish != nil) != last {
			t.Fatalf("event %d of %d: Finish is %v", i, len(events), ev.Finish)
		}
		if i > 0 && ev.At.Before(events[i-1].At) {
			t.Errorf("event %d is before the one before it", i)
		}
	}
	f := events[len(events)-1].Finish
	if n := len(ids(events)); n != f.OutputTokens {
		t.Errorf("%d ids in the stream, %d counted", n, f.OutputTokens)
	}
	return events
}

func ids(events []Event) []int32 {
	var out []int32
	for _, ev := range events {
		if ev.Token >= 0 {
			out = append(out, ev.Token)
		}
	}
	return out
}

func finish(events []Event) *Finish { return events[len(events)-1].Finish }

func TestGenerateIDs(t *testing.T) {
	e := open(t, Options{ModelDir: tiny(t), Backend: "ref", MaxContext: 200})
	r := Request{Prompt: []int32{1, 2, 3}, MaxTokens: 20, IgnoreEOS: true, Sampling: backend.Sampling{Temperature: 0.7, TopP: 0.9, Seed: 5}}
	first := submit(t, e, r)
	f := finish(first)
	if f.Reason != FinishLength || f.OutputTokens != 20 || f.PromptTokens != 3 || f.Err != nil {
		t.Errorf("finish %+v, want 20 tokens and length", f)
	}
	order := []time.Time{f.Queued, f.PrefillStart, f.PrefillEnd, f.End}
	if !slices.IsSortedFunc(order, time.Time.Compare) || f.Queued.IsZero() {
		t.Errorf("instants out of order: %v", order)
	}
	if !first[0].At.Equal(f.PrefillEnd) || !first[19].At.Equal(f.End) {
		t.Error("the first token isn't the end of prefill, or the last one not the end")
	}
	if again := submit(t, e, r); !slices.Equal(ids(again), ids(first)) {
		t.Errorf("the same request gave %v, then %v", ids(first), ids(again))
	}
	r.Sampling.Seed = 6
	if other := submit(t, e, r); slices.Equal(ids(other), ids(first)) {
		t.Error("another seed gave the same 20 tokens")
	}
	s := e.Stats()
	if s.Requests != 3 || s.PromptTokens != 9 || s.OutputTokens != 60 || s.Steps != 60 || s.Cancelled != 0 {
		t.Errorf("stats %+v", s)
	}
	if s.PagesUsed != 0 || s.PagesPeak != 1 || s.PagesTotal != 64 || s.BytesPerPage == 0 || s.LoadTimeNanos <= 0 || s.HeapBytes <= 0 {
		t.Errorf("stats %+v", s)
	}
	if s.Memory.KV != int64(s.PagesTotal)*s.BytesPerPage {
		t.Errorf("%d bytes of KV cache, want %d pages of %d", s.Memory.KV, s.PagesTotal, s.BytesPerPage)
	}
}

// TestTogether: requests sent at once get what each gets alone.
func TestTogether(t *testing.T) {
	e := open(t, Options{ModelDir: tiny(t), Backend: "ref", MaxContext: 200})
	request := func(i int) Request {
		p := []int32{int32(i)}
		for len(p) < 1+17*i {
			p = append(p, (p[len(p)-1]*7+3)%500)
		}
		return Request{Prompt: p, MaxTokens: 8 + i, IgnoreEOS: true, Sampling: backend.Sampling{Temperature: 1, Seed: uint64(i)}}
	}
	const n = 6
	var alone [n][]int32
	for i := range n {
		alone[i] = ids(submit(t, e, request(i)))
	}
	var streams [n]*Stream
	for i := range n {
		s, err := e.Submit(t.Context(), request(i))
		if err != nil {
			t.Fatal(err)
		}
		streams[i] = s
	}
	for i, s := range streams {
		if got := ids(read(t, s)); !slices.Equal(got, alone[i]) {
			t.Errorf("request %d: %v together, %v alone", i, got, alone[i])
		}
	}
}

func TestEnds(t *testing.T) {
	dir := tiny(t)
	e := open(t, Options{ModelDir: dir, Backend: "ref", MaxContext: 100})
	greedy := Request{Prompt: []int32{1, 2, 3}, MaxTokens: 12, IgnoreEOS: true}
	all := ids(submit(t, e, greedy))

	stop := greedy
	stop.StopTokens = []int32{all[4]}
	at := slices.Index(all, all[4]) // a greedy continuation may repeat itself
	got := submit(t, e, stop)
	if f := finish(got); f.Reason != FinishStop || !slices.Equal(ids(got), all[:at+1]) {
		t.Errorf("stop token: %v and %+v, want %v", ids(got), f, all[:at+1])
	}

	// The model's own end token, forced by making it what greedy decoding gives first.
	e.eos = []int32{all[0]}
	eos := greedy
	eos.IgnoreEOS = false
	got = submit(t, e, eos)
	if f := finish(got); f.Reason != FinishStop || f.OutputTokens != 1 || got[0].Token != all[0] {
		t.Errorf("end token: %+v of %v", f, ids(got))
	}
	if got := ids(submit(t, e, greedy)); !slices.Equal(got, all) {
		t.Errorf("ignored end token: %v, want %v", got, all)
	}

	long := Request{Prompt: make([]int32, 95), MaxTokens: 1000, IgnoreEOS: true}
	got = submit(t, e, long)
	if f := finish(got); f.Reason != FinishLength || f.OutputTokens != 5 {
		t.Errorf("end of the context: %+v, want 5 tokens", f)
	}
}

func TestCancel(t *testing.T) {
	e := open(t, Options{ModelDir: tiny(t), Backend: "ref"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := e.Submit(ctx, Request{Prompt: []int32{1}, MaxTokens: 1000, IgnoreEOS: true})
	if err != nil {
		t.Fatal(err)
	}
	var cancelled time.Time
	n, after := 0, 0
	for ev := range s.Events() {
		if n++; n == 3 {
			cancelled = time.Now()
			cancel()
		}
		if !cancelled.IsZero() && ev.Token >= 0 && ev.At.After(cancelled) {
			after++
		}
		if f := ev.Finish; f != nil && (f.Reason != FinishCancel || !errors.Is(f.Err, context.Canceled)) {
			t.Errorf("finish %+v, want a cancel", f)
		}
	}
	if after > 1 {
		t.Errorf("%d tokens after the cancellation, want at most 1", after)
	}
	if s := e.Stats(); s.Cancelled != 1 || s.PagesUsed != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestSubmitRefuses(t *testing.T) {
	e := open(t, Options{ModelDir: tiny(t), Backend: "ref", MaxContext: 50})
	ok := Request{Prompt: []int32{1}, MaxTokens: 1}
	with := func(change func(*Request)) Request { r := ok; change(&r); return r }
	for _, c := range []struct {
		name string
		r    Request
		want string
	}{
		{"no prompt", with(func(r *Request) { r.Prompt = nil }), "no tokens"},
		{"full context", with(func(r *Request) { r.Prompt = make([]int32, 50) }), "longer context"},
		{"no tokens wanted", with(func(r *Request) { r.MaxTokens = 0 }), "at least one"},
		{"unknown id", with(func(r *Request) { r.Prompt = []int32{512} }), "prompt token 0 is 512"},
		{"temperature", with(func(r *Request) { r.Sampling.Temperature = -1 }), "temperature"},
		{"least below zero", with(func(r *Request) { r.MinTokens = -1 }), "at least -1 tokens"},
		{"least above most", with(func(r *Request) { r.MinTokens = 2 }), "want 0 to 1"},
		{"too many likely ids", with(func(r *Request) { r.LogProbs = 21 }), "0 to 20"},
		{"penalty", with(func(r *Request) { r.Penalties.Repetition = -1 }), "repetition penalty"},
		{"bias", with(func(r *Request) { r.Penalties.Bias = []sample.Bias{{ID: 512}} }), "id 512"},
		{"stop token", with(func(r *Request) { r.StopTokens = []int32{512} }), "stop token 0 is 512"},
		{"edits", with(func(r *Request) { r.Sampling.Edits = &backend.Edits{} }), "Penalties instead"},
		{"empty stop text", with(func(r *Request) { r.Stop = []string{""} }), ""},
		{"broken stop text", with(func(r *Request) { r.Stop = []string{"\xff"} }), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := e.Submit(t.Context(), c.r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if got := e.Stats().Requests; got != 0 {
		t.Errorf("%d requests counted, none was taken", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := tiny(t)
	for _, c := range []struct {
		name string
		o    Options
		is   error
		want string
	}{
		{"no model", Options{ModelDir: filepath.Join(dir, "none")}, model.ErrNotFound, "none"},
		{"no such backend", Options{ModelDir: dir, Backend: "tpu"}, nil, `"tpu"`},
		{"no cuda", Options{ModelDir: dir, Backend: "cuda"}, backend.ErrUnavailable, ""},
		{"long context", Options{ModelDir: dir, Backend: "ref", MaxContext: 5000}, nil, "want 1 to 1024"},
		{"little memory", Options{ModelDir: dir, Backend: "ref", KVBytes: 10}, nil, "one page of 64"},
		{"less memory than context", Options{ModelDir: dir, Backend: "ref", KVBytes: 1 << 18, MaxContext: 1024}, nil, "shorter context"},
		{"ref computes one way", Options{ModelDir: dir, Backend: "ref", Compute: "bf16"}, nil, "f64"},
		{"unknown fault", Options{ModelDir: dir, Backend: "ref", Faults: []Fault{{Kind: "lag"}}}, nil, "lag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := Open(t.Context(), c.o)
			if err == nil {
				e.Close()
				t.Fatal("no error")
			}
			if c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %v and %q", err, c.is, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{ModelDir: dir, Backend: "ref"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestKVBytesBoundTheContext(t *testing.T) {
	dir := tiny(t)
	e := open(t, Options{ModelDir: dir, Backend: "ref"})
	page := e.Stats().BytesPerPage
	small := open(t, Options{ModelDir: dir, Backend: "ref", KVBytes: 5*page + 1})
	if s := small.Stats(); s.PagesTotal != 5 || s.Backend.MaxContext != 320 || s.Memory.KV > 5*page+1 {
		t.Errorf("%d pages and a context of %d, want 5 and 320", s.PagesTotal, s.Backend.MaxContext)
	}
}

func TestScore(t *testing.T) {
	e := open(t, Options{ModelDir: tiny(t), Backend: "ref"})
	prompt := []int32{5, 6, 7}
	next := ids(submit(t, e, Request{Prompt: prompt, MaxTokens: 1, IgnoreEOS: true}))[0]
	sum := 0.0
	for n := 1; n <= len(prompt); n++ {
		s, err := e.Score(t.Context(), prompt[:n])
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.SumLogProb-sum) > 1e-5 {
			t.Errorf("%d ids: sum %v, want %v", n, s.SumLogProb, sum)
		}
		if s.LogSumExp != sample.LogSumExp(s.LastLogits) || len(s.LastLogits) != 512 {
			t.Errorf("%d ids: %d logits with log-sum-exp %v", n, len(s.LastLogits), s.LogSumExp)
		}
		if n < len(prompt) {
			sum += sample.LogProb(s.LastLogits, prompt[n])
		} else if s.Argmax != next {
			t.Errorf("likeliest next id %d, greedy decoding gave %d", s.Argmax, next)
		}
	}
	if _, err := e.Score(t.Context(), nil); err == nil {
		t.Error("no ids: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Score(ctx, prompt); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestModelInfo(t *testing.T) {
	dir := tiny(t)
	e := open(t, Options{ModelDir: dir, Backend: "ref"})
	m := e.Model()
	if !m.Synthetic || m.Dir != dir || m.Config.VocabSize != 512 || m.Parameters == 0 || m.Bytes == 0 {
		t.Errorf("model %+v", m)
	}
	c, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want, err := c.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := e.Digest(); err != nil || got != want {
			t.Errorf("digest %q, %v, want %q", got, err, want)
		}
	}
	if tok, err := e.Tokenizer(); (tok == nil) == (err == nil) {
		t.Errorf("tokenizer %v with error %v", tok, err)
	} else if err != nil {
		if !errors.Is(err, token.ErrNoEngine) {
			t.Errorf("no tokenizer, because %v", err)
		}
		_, err := e.Submit(t.Context(), Request{Prompt: []int32{1}, MaxTokens: 1, Stop: []string{"x"}})
		if err == nil || !strings.Contains(err.Error(), "need a tokenizer") {
			t.Errorf("a stop text without a tokenizer: error %v", err)
		}
	}
}

func TestFaultsShow(t *testing.T) {
	dir := tiny(t)
	r := Request{Prompt: []int32{1}, MaxTokens: 10, IgnoreEOS: true}
	right := ids(submit(t, open(t, Options{ModelDir: dir, Backend: "ref"}), r))
	list := []Fault{{Kind: FaultWrongToken, Factor: 1}, {Kind: FaultLeak, Factor: 100}, {Kind: FaultSlow, Factor: 1.5}}
	e := open(t, Options{ModelDir: dir, Backend: "ref", Faults: list})
	if got := ids(submit(t, e, r)); got[0] != (right[0]+1)%512 {
		t.Errorf("first token %d, want the one after %d", got[0], right[0])
	}
	if s := e.Stats(); !slices.Equal(s.Faults, list) || s.LeakedBytes != 100 {
		t.Errorf("stats %+v", s)
	}
}

// TestStallsHappen: the fault's wait lies between the engine's own instants. A timer never
// fires early, so the bound is safe on any machine.
func TestStallsHappen(t *testing.T) {
	e := open(t, Options{ModelDir: tiny(t), Backend: "ref", Faults: []Fault{{Kind: FaultStall, Factor: 0.01, Every: 2}}})
	f := finish(submit(t, e, Request{Prompt: []int32{1}, MaxTokens: 8, IgnoreEOS: true}))
	if got := f.End.Sub(f.PrefillStart); got < 40*time.Millisecond {
		t.Errorf("8 steps with 4 stalls of 10 ms took %v", got)
	}
}

func TestCloseEndsStreams(t *testing.T) {
	before := runtime.NumGoroutine()
	slow := []Fault{{Kind: FaultStall, Factor: 0.05, Every: 1}} // nothing ends by itself within 50 s
	e, err := Open(t.Context(), Options{ModelDir: tiny(t), Backend: "ref", Faults: slow})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	reasons := make([]string, 3)
	for i := range reasons {
		s, err := e.Submit(context.Background(), Request{Prompt: []int32{1}, MaxTokens: 1000, IgnoreEOS: true})
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			for ev := range s.Events() {
				if ev.Finish != nil {
					reasons[i] = ev.Finish.Reason
				}
			}
		})
	}
	// One that nobody reads must hold nothing up.
	if _, err := e.Submit(context.Background(), Request{Prompt: []int32{1}, MaxTokens: 1000}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	if want := []string{FinishCancel, FinishCancel, FinishCancel}; !slices.Equal(reasons, want) {
		t.Errorf("streams ended by %v, want %v", reasons, want)
	}
	if err := e.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if s := e.Stats(); s.Requests != 4 || s.Cancelled != 4 || s.PagesUsed != 0 || s.Memory.KV == 0 {
		t.Errorf("stats after Close: %+v", s)
	}
	if _, err := e.Submit(context.Background(), Request{Prompt: []int32{1}, MaxTokens: 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("Submit after Close: error %v, want ErrClosed", err)
	}
	if _, err := e.Score(context.Background(), []int32{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("Score after Close: error %v, want ErrClosed", err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
