package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/goldentest"
)

// TestLongContextEnds: a request that reaches the end of a context of 8,192 positions, or of
// 32,768 with PACELINE_DEEP=1, gets the tokens that have room, the right ones, and one whose
// prompt fills it is refused.
func TestLongContextEnds(t *testing.T) {
	s := goldentest.Long()
	c := goldentest.Make(t, s)
	n := 8192
	if os.Getenv("PACELINE_DEEP") != "" {
		n = s.Config.MaxPositions
	}
	e, err := Open(t.Context(), Options{ModelDir: c.Dir, Backend: "cpu", MaxContext: n})
	if errors.Is(err, backend.ErrUnavailable) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ids := goldentest.Prompt(n, s.Config.VocabSize)
	oracle, err := goldentest.NewOneLayer(c)
	if err != nil {
		t.Fatal(err)
	}
	best := func(ids []int32) int32 {
		logits := oracle.Logits(ids, []int{len(ids) - 1})[0]
		return int32(slices.Index(logits, slices.Max(logits)))
	}
	prompt := ids[:n-2]
	first := best(prompt)
	want := []int32{first, best(append(slices.Clone(prompt), first))}
	events := submit(t, e, Request{Prompt: prompt, MaxTokens: 10, IgnoreEOS: true})
	var got []int32
	for _, ev := range events {
		if ev.Token >= 0 {
			got = append(got, ev.Token)
		}
	}
	if f := events[len(events)-1].Finish; f.Reason != FinishLength || f.PromptTokens != n-2 || !slices.Equal(got, want) {
		t.Errorf("got %d, %+v, want %d and the context's end", got, f, want)
	}
	for _, length := range []int{n, n + 1} {
		_, err := e.Submit(t.Context(), Request{Prompt: make([]int32, length), MaxTokens: 1})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the context %d positions", n)) {
			t.Errorf("a prompt of %d: got error %v", length, err)
		}
	}
}
