package sched

import (
	"context"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// TestLogits: a scoring job that asks for them gets the logits after each id, once, while
// others run beside it.
func TestLogits(t *testing.T) {
	f := newFake(16)
	l := New(f, Options{})
	defer l.Close()
	prompt := make([]int32, 150)
	ref := newFake(16)
	for p := range prompt {
		prompt[p] = int32(sample.Bits(1, 2, int32(p)) % fakeVocab)
		ref.pages[p/backend.PageTokens][p%backend.PageTokens] = prompt[p]
	}
	other, r := newRecord(), newRecord()
	if err := l.Submit(t.Context(), Job{Prompt: prompt[:100], MaxTokens: 20, Sink: other}); err != nil {
		t.Fatal(err)
	}
	at := 0
	err := l.Submit(t.Context(), Job{Prompt: prompt, Sink: r, Logits: func(i int, logits []float32) {
		if i != at {
			t.Errorf("position %d, want %d", i, at)
		}
		at++
		if !slices.Equal(logits, ref.logits([]backend.PageID{0, 1, 2}, i+1)) {
			t.Errorf("position %d: other logits", i)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	plain := newRecord()
	if err := l.Submit(t.Context(), Job{Prompt: prompt, Sink: plain}); err != nil {
		t.Fatal(err)
	}
	got, want := r.wait(t), plain.wait(t)
	if at != len(prompt) || got.Reason != ReasonScored || !slices.Equal(got.Logits, want.Logits) {
		t.Errorf("%d positions, %v, sum %v; without logits %v", at, got.Reason, got.SumLogProb, want.SumLogProb)
	}
	if d := got.SumLogProb - want.SumLogProb; d > 1e-4 || d < -1e-4 {
		t.Errorf("sum %v, want %v", got.SumLogProb, want.SumLogProb)
	}
	if res := other.wait(t); res.Reason != ReasonLength {
		t.Errorf("the job beside it ended with %v", res.Reason)
	}
}

func TestLogitsCancelled(t *testing.T) {
	f := newFake(16)
	l := New(f, Options{})
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, calls := newRecord(), 0
	err := l.Submit(ctx, Job{Prompt: make([]int32, 150), Sink: r, Logits: func(int, []float32) {
		if calls++; calls == 3 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if res := r.wait(t); res.Reason != ReasonCancel || calls != 3 {
		t.Errorf("%v after %d calls, want a cancelled job after 3", res.Reason, calls)
	}
	if err := l.Submit(t.Context(), Job{Prompt: []int32{1}, MaxTokens: 1, Sink: newRecord(), Logits: func(int, []float32) {}}); err == nil {
		t.Error("a job that generates asked for logits")
	}
}
