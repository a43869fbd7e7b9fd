// Package engine drives Paceline's own engine inside the measuring process: no
// socket, no encoding, and the engine's own instants beside the client's.
//
// It translates between the words of bench/target and those of the engine's facade
// and measures nothing itself.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
	"github.com/paceline/paceline/engine/token"
)

// Target is an open engine. Close it.
type Target struct {
	eng *engine.Engine
	tok Tokenizer

	closing sync.RWMutex // held for reading by requests
	closed  bool         // guarded by closing

	fault atomic.Pointer[error] // after which the engine can't be used
}

// Open opens the model that o names and returns when it can answer. It needs the
// model's tokenizer, and so the native build.
func Open(ctx context.Context, o engine.Options) (*Target, error) {
	eng, err := engine.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if b := eng.Stats().Backend; b.Emulated {
		return nil, errors.Join(fmt.Errorf("measure the model %s on %q: an emulator computes what a device would, and has no speed: take a real device, or the cpu backend", o.ModelDir, b.Device), eng.Close())
	}
	tok, err := eng.Tokenizer()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("measure the model %s: %w", o.ModelDir, err), eng.Close())
	}
	return &Target{eng: eng, tok: Tokenizer{tok}}, nil
}

// Tokenizer is the model's own; it lives as long as the target.
func (t *Target) Tokenizer() target.Tokenizer { return t.tok }

// Context is how many positions a request may take, prompt and answer together.
func (t *Target) Context() int { return t.eng.Stats().Backend.MaxContext }

// Traits says that the engine computes in this process and takes what it is told.
func (*Target) Traits() target.Traits {
	return target.Traits{InProcess: true, HonoursNoCache: true, TakesIDs: true, TurnsKVOff: true}
}

// Do submits the request and passes its events on until its last. Rendering and
// tokenising the prompt is part of it, as it is of a server's answer: it shows in
// ttft and transport_overhead, not in engine_ttft.
func (t *Target) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	t.closing.RLock()
	defer t.closing.RUnlock()
	if t.closed {
		return target.Reply{}, fmt.Errorf("ask the engine: %w", engine.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return target.Reply{}, err
	}
	q, err := t.request(r)
	if err != nil {
		return target.Reply{}, err
	}
	stream, err := t.eng.Submit(ctx, q)
	if err != nil {
		return target.Reply{}, t.noted(err)
	}
	a := answer{sink: sink, ids: make([]int32, 0, q.MaxTokens), text: make([]byte, 0, 8*q.MaxTokens)}
	a.written = time.Now()
	for ev := range stream.Events() {
		a.event(ctx, ev)
	}
	reply, err := a.reply(ctx)
	return reply, t.noted(err)
}

// noted keeps the first error that says that the engine can't be used any more.
func (t *Target) noted(err error) error {
	if errors.Is(err, backend.ErrFault) {
		t.fault.CompareAndSwap(nil, &err)
	}
	return err
}

// Fault is why the engine couldn't be used any more, nil where it could: a device that was lost in the middle, say.
// What was measured since is worth nothing, and says nothing of the engine's speed.
func (t *Target) Fault() error {
	if err := t.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// request renders the prompt.
func (t *Target) request(r target.Request) (engine.Request, error) {
	ids, err := t.prompt(r)
	if err != nil {
		return engine.Request{}, err
	}
	return engine.Request{
		Prompt: ids, MaxTokens: r.MaxTokens, IgnoreEOS: r.IgnoreEOS, NoCache: r.NoCache, NoKV: r.NoKV, Sampling: sampling(r),
	}, nil
}

func sampling(r target.Request) backend.Sampling {
	return backend.Sampling{Temperature: float32(r.Temperature), TopK: r.TopK, TopP: float32(r.TopP), Seed: r.Seed}
}

func (t *Target) prompt(r target.Request) ([]int32, error) {
	if len(r.IDs) > 0 {
		return r.IDs, nil
	}
	text := r.Text
	if r.API == "chat" {
		var err error
		if text, err = t.tok.Prompt("", r.Text); err != nil {
			return nil, err
		}
	}
	return t.tok.Encode(text)
}

// answer gathers the events of one request.
type answer struct {
	sink    func(target.Event)
	ids     []int32
	text    []byte
	pending int // ids since the last event with content
	written time.Time
	first   time.Time
	end     time.Time

	ended  time.Time // when this goroutine saw that the request's context had ended
	after  int       // ids made after that
	cut    bool      // there was text after that, which nobody was told
	finish *engine.Finish
}

func (a *answer) event(ctx context.Context, ev engine.Event) {
	now := time.Now()
	if a.first.IsZero() {
		a.first = now
	}
	if ev.Token >= 0 {
		a.ids = append(a.ids, ev.Token)
		a.pending++
		if !a.ended.IsZero() && ev.At.After(a.ended) {
			a.after++
		}
	}
	switch {
	case ev.Text == "":
	case !a.ended.IsZero():
		a.cut = true
	default:
		a.text = append(a.text, ev.Text...)
		a.sink(target.Event{At: now, Text: ev.Text, Tokens: a.pending})
		a.pending = 0
	}
	if a.ended.IsZero() && ctx.Err() != nil {
		a.ended = time.Now()
	}
	if ev.Finish != nil {
		a.finish, a.end = ev.Finish, time.Now()
	}
}

func (a *answer) reply(ctx context.Context) (target.Reply, error) {
	n := len(a.ids)
	reply := target.Reply{
		Written: a.written, FirstByte: a.first, End: a.end, Text: string(a.text), IDs: a.ids,
		Tokens: result.Counts{Engine: &n},
	}
	f := a.finish
	if f == nil {
		reply.Broken = "the stream ended without its last event"
		return reply, errors.New("ask the engine: the stream ended without its last event")
	}
	reply.DoneSeen = true
	reply.Finish, reply.Prompt, reply.Cached = f.Reason, f.PromptTokens, f.CachedTokens
	reply.CachedKnown = true
	reply.Tokens.Usage = &f.OutputTokens
	reply.EngineQueued, reply.EnginePrefillStart, reply.EnginePrefillEnd, reply.EngineEnd = f.Queued, f.PrefillStart, f.PrefillEnd, f.End
	if !a.ended.IsZero() {
		reply.AfterCancel = &a.after
	}
	switch f.Reason {
	case engine.FinishError:
		return reply, fmt.Errorf("ask the engine: %w", f.Err)
	case engine.FinishCancel:
		if err := ctx.Err(); err != nil {
			return reply, err
		}
		return reply, fmt.Errorf("ask the engine: cancelled: %w", f.Err)
	}
	if a.cut {
		return reply, ctx.Err() // whole for the engine, and not for the client
	}
	return reply, nil
}

// closeCall is the logit by which a token may lose against the one that was
// generated: more than rounding can move it, less than tells tokens apart.
const closeCall = 0.02

// Verify computes the whole prompt and the first n tokens anew and draws again.
func (t *Target) Verify(ctx context.Context, r target.Request, ids []int32, n int) (bool, error) {
	t.closing.RLock()
	defer t.closing.RUnlock()
	if t.closed {
		return false, fmt.Errorf("verify a token: %w", engine.ErrClosed)
	}
	if n < 0 || n >= len(ids) {
		return false, fmt.Errorf("verify token %d of an answer of %d", n, len(ids))
	}
	prompt, err := t.prompt(r)
	if err != nil {
		return false, fmt.Errorf("verify a token: %w", err)
	}
	all := append(append(make([]int32, 0, len(prompt)+n), prompt...), ids[:n]...)
	score, err := t.eng.Score(ctx, all)
	if err != nil {
		return false, fmt.Errorf("verify a token: %w", err)
	}
	p := sampling(r)
	p.Position = uint64(len(all))
	if sample.Token(score.LastLogits, p) == ids[n] {
		return true, nil
	}
	score.LastLogits[ids[n]] += closeCall
	return sample.Token(score.LastLogits, p) == ids[n], nil
}

// Tokenizer is the model's own.
type Tokenizer struct {
	tok *token.Tokenizer
}

// OpenTokenizer reads the tokenizer of a model's folder, for a server that serves
// this model. It lives as long as the process.
func OpenTokenizer(dir string) (Tokenizer, error) {
	tok, err := token.Open(dir)
	if err != nil {
		return Tokenizer{}, fmt.Errorf("read the tokenizer in %s: %w", dir, err)
	}
	return Tokenizer{tok}, nil
}

// Digest names the tokenizer.
func (t Tokenizer) Digest() string { return t.tok.Digest() }

// Encode gives text's ids and adds none of its own.
func (t Tokenizer) Encode(text string) ([]int32, error) { return t.tok.Encode(text, false) }

// Decode gives the text of ids, special tokens left out.
func (t Tokenizer) Decode(ids []int32) (string, error) { return t.tok.Decode(ids, true) }

// Prompt renders the model's chat template up to the assistant's turn; system may
// be empty.
func (t Tokenizer) Prompt(system, user string) (string, error) {
	var c token.Conversation
	if system != "" {
		c.Messages = append(c.Messages, token.Message{Role: "system", Content: system})
	}
	c.Messages = append(c.Messages, token.Message{Role: "user", Content: user})
	c.AddGenerationPrompt = true
	return t.tok.Chat(c)
}

// VocabSize is the number of ids, added ones included.
func (t Tokenizer) VocabSize() int { return t.tok.VocabSize() }
