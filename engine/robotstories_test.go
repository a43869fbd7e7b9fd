//go:build native

package engine

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model/robotstories"
	"github.com/paceline/paceline/engine/token"
)

// robots opens the shipped model on the CPU.
func robots(t *testing.T, o Options) *Engine {
	t.Helper()
	o.ModelDir = filepath.Join(t.TempDir(), "robot-stories")
	if err := robotstories.Extract(o.ModelDir); err != nil {
		t.Fatal(err)
	}
	return open(t, o)
}

// question is the origin's prompt as the model's chat template writes it.
func question(t *testing.T, e *Engine) []int32 {
	t.Helper()
	tok, err := e.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := tok.Chat(token.Conversation{
		Messages:            []token.Message{{Role: "user", Content: "Write a short story about a robot."}},
		AddGenerationPrompt: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode(prompt, false)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// goldens reads what transformers computed with the shipped model.
func goldens[T any](t *testing.T, name string) []T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("model", "testdata", "goldens", name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []T `json:"cases"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatalf("%s has no cases", name)
	}
	return file.Cases
}

func TestATrueStory(t *testing.T) {
	e := robots(t, Options{MaxContext: 1024})
	prompt := question(t, e)
	for _, s := range []backend.Sampling{{}, {Temperature: 0.7, TopP: 0.9, Seed: 1}} {
		events := submit(t, e, Request{Prompt: prompt, MaxTokens: 600, Sampling: s})
		f, story := finish(events), text(events)
		if f.Reason != FinishStop || f.OutputTokens < 20 || f.OutputTokens >= 600 {
			t.Errorf("%+v: %d tokens, ended by %s; want a story that ends by itself", s, f.OutputTokens, f.Reason)
		}
		if !strings.Contains(strings.ToLower(story), "robot") {
			t.Errorf("%+v: no robot in %q", s, story)
		}
		if want := decode(t, e, ids(events)); story != want {
			t.Errorf("%+v: stream %q, whole %q", s, story, want)
		}
		if !slices.Contains(e.EOS(), events[len(events)-1].Token) {
			t.Errorf("%+v: the last token %d is no end token of %v", s, events[len(events)-1].Token, e.EOS())
		}
	}
	// The same, going on over its end for exactly so many tokens.
	events := submit(t, e, Request{Prompt: prompt, MaxTokens: 512, IgnoreEOS: true, Sampling: backend.Sampling{Temperature: 0.7, TopP: 0.9, Seed: 1}})
	if f := finish(events); f.Reason != FinishLength || f.OutputTokens != 512 {
		t.Errorf("without ends: %d tokens, ended by %s; want 512 by length", f.OutputTokens, f.Reason)
	}
	if want := decode(t, e, ids(events)); text(events) != want {
		t.Errorf("without ends: stream %q, whole %q", text(events), want)
	}
}

// TestGreedyGoldens runs all cases at once: what transformers gives alone must come out of a batch.
func TestGreedyGoldens(t *testing.T) {
	e := robots(t, Options{KVBytes: 64 << 20})
	cases := goldens[struct {
		Name         string  `json:"name"`
		IDs          []int32 `json:"ids"`
		Continuation []int32 `json:"continuation"`
	}](t, "greedy.json")
	streams := make([]*Stream, len(cases))
	for i, c := range cases {
		s, err := e.Submit(t.Context(), Request{Prompt: c.IDs, MaxTokens: len(c.Continuation), IgnoreEOS: true})
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		streams[i] = s
	}
	for i, c := range cases {
		if got := ids(read(t, streams[i])); !slices.Equal(got, c.Continuation) {
			t.Errorf("%s: got %v, want %v", c.Name, got, c.Continuation)
		}
	}
}

func TestScoreGoldens(t *testing.T) {
	e := robots(t, Options{})
	for _, c := range goldens[struct {
		Name   string  `json:"name"`
		IDs    []int32 `json:"ids"`
		Tokens int     `json:"tokens"`
		Sum    float64 `json:"sum"`
	}](t, "loglik.json") {
		s, err := e.Score(t.Context(), c.IDs)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if bound := 2e-4 * float64(c.Tokens); math.Abs(s.SumLogProb-c.Sum) > bound {
			t.Errorf("%s: sum of log-probabilities %v, want %v within %v", c.Name, s.SumLogProb, c.Sum, bound)
		}
	}
	for _, c := range goldens[struct {
		Name      string    `json:"name"`
		IDs       []int32   `json:"ids"`
		Argmax    int32     `json:"argmax"`
		LogSumExp float64   `json:"logsumexp"`
		Logits    []float64 `json:"logits"`
	}](t, "logits.json") {
		s, err := e.Score(t.Context(), c.IDs)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if s.Argmax != c.Argmax || math.Abs(s.LogSumExp-c.LogSumExp) > 2e-4 || len(s.LastLogits) != len(c.Logits) {
			t.Errorf("%s: argmax %d, log-sum-exp %v, want %d and %v", c.Name, s.Argmax, s.LogSumExp, c.Argmax, c.LogSumExp)
			continue
		}
		for i, want := range c.Logits {
			if math.Abs(float64(s.LastLogits[i])-want) > 2e-4 {
				t.Errorf("%s: logit %d is %v, want %v", c.Name, i, s.LastLogits[i], want)
				break
			}
		}
	}
}

// TestManyAtOnce sends more sampled requests than one step takes pages for, cancels some, and
// compares the rest with what each gives alone.
func TestManyAtOnce(t *testing.T) {
	e := robots(t, Options{MaxContext: 256, KVBytes: 10 << 20})
	if pages := e.Stats().PagesTotal; pages > 60 {
		t.Fatalf("%d pages: nobody would have to wait", pages)
	}
	prompt := question(t, e)
	request := func(i int) Request {
		return Request{
			Prompt: append(slices.Clone(prompt), int32(i)), MaxTokens: 40 + 10*i%90, IgnoreEOS: true,
			Sampling: backend.Sampling{Temperature: 1, TopP: 0.95, Seed: uint64(i)},
		}
	}
	const n = 40
	streams := make([]*Stream, n)
	for i := range n {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := e.Submit(ctx, request(i))
		if err != nil {
			t.Fatal(err)
		}
		streams[i] = s
		if i%5 == 4 {
			cancel()
		}
	}
	var together [n][]int32
	for i, s := range streams {
		events := read(t, s)
		together[i] = ids(events)
		if f := finish(events); i%5 == 4 && f.Reason != FinishCancel {
			t.Errorf("request %d: ended by %s, want cancel", i, f.Reason)
		}
	}
	if s := e.Stats(); s.PagesUsed != 0 || s.Cancelled != n/5 || s.Requests != n {
		t.Errorf("stats %+v", s)
	}
	for i := range n {
		if i%5 != 4 && i%4 == 0 {
			if alone := ids(submit(t, e, request(i))); !slices.Equal(alone, together[i]) {
				t.Errorf("request %d: %v together, %v alone", i, together[i], alone)
			}
		}
	}
}

// TestCancelledStreamsEnd: a cancellation while tokens flow ends within one token, on a real model
// with text held back.
func TestCancelledStreamsEnd(t *testing.T) {
	e := robots(t, Options{MaxContext: 2048})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := e.Submit(ctx, Request{Prompt: question(t, e), MaxTokens: 1500, IgnoreEOS: true, Stop: []string{"never in the text"}})
	if err != nil {
		t.Fatal(err)
	}
	var events []Event
	var cancelled time.Time
	after := 0
	for ev := range s.Events() {
		events = append(events, ev)
		if len(events) == 10 {
			cancelled = time.Now()
			cancel()
		}
		if !cancelled.IsZero() && ev.Token >= 0 && ev.At.After(cancelled) {
			after++
		}
	}
	if f := finish(events); f.Reason != FinishCancel || after > 1 {
		t.Errorf("ended by %s with %d tokens after the cancellation, want cancel and at most 1", f.Reason, after)
	}
	if got, want := text(events), decode(t, e, ids(events)); got != want {
		t.Errorf("stream %q, whole %q", got, want)
	}
}
