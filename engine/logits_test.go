package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// TestLogits: after each id, what Score gives for the ids so far.
func TestLogits(t *testing.T) {
	e := open(t, Options{ModelDir: tiny(t), Backend: "ref"})
	ids := []int32{5, 6, 7, 8, 9, 10}
	at := 0
	err := e.Logits(t.Context(), ids, func(i int, logits []float32) error {
		if i != at {
			t.Errorf("position %d, want %d", i, at)
		}
		at++
		return nil
	})
	if err != nil || at != len(ids) {
		t.Fatalf("%d positions: %v", at, err)
	}
	var rows [][]float32
	err = e.Logits(t.Context(), ids, func(_ int, logits []float32) error {
		rows = append(rows, slices.Clone(logits))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ids {
		s, err := e.Score(t.Context(), ids[:i+1])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rows[i], s.LastLogits) {
			t.Errorf("position %d: other logits than Score's", i)
		}
	}
	enough := errors.New("enough")
	if err := e.Logits(t.Context(), ids, func(i int, _ []float32) error {
		if i > 1 {
			t.Errorf("called for position %d after an error", i)
		}
		if i == 1 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Errorf("got %v, want the error of the callback", err)
	}
	if err := e.Logits(t.Context(), nil, nil); err == nil {
		t.Error("no ids: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Logits(ctx, ids, func(int, []float32) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestWeights: what is asked for at Open, and what says so.
func TestWeights(t *testing.T) {
	dir := tiny(t)
	logits := map[string][]float32{}
	for weights, says := range map[string]string{"": "f32", "bf16": "f32", "w8": "w8", "w4": "w4"} {
		e := open(t, Options{ModelDir: dir, Backend: "ref", Weights: weights})
		s, err := e.Score(t.Context(), []int32{5, 6, 7})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Stats().Backend.Weights; got != says {
			t.Errorf("weights %q: the backend says %q, want %q", weights, got, says)
		}
		logits[weights] = s.LastLogits
	}
	if !slices.Equal(logits[""], logits["bf16"]) || slices.Equal(logits[""], logits["w8"]) || slices.Equal(logits["w8"], logits["w4"]) {
		t.Error("formats that should differ give equal logits, or the other way round")
	}
	for _, back := range []string{"cpu", "ref"} {
		if e, err := Open(t.Context(), Options{ModelDir: dir, Backend: back, Weights: "int4"}); err == nil {
			t.Errorf("%s took weights int4", back)
			_ = e.Close()
		}
	}
}
