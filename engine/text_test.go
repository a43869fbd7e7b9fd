//go:build native

package engine

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// speaking makes a synthetic model with a byte-level tokenizer: its text is noise, with broken
// characters all over, which is what these tests want.
func speaking(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := model.Synth(t.Context(), "tiny", dir, model.SynthOptions{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func text(events []Event) string {
	var b strings.Builder
	for _, ev := range events {
		b.WriteString(ev.Text)
	}
	return b.String()
}

// decode is the whole text of all ids at once.
func decode(t *testing.T, e *Engine, ids []int32) string {
	t.Helper()
	tok, err := e.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	s, err := tok.Decode(ids, true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJoinedTextIsTheWholeDecode(t *testing.T) {
	dir := speaking(t)
	for name, seeds := range map[string]uint64{"ref": 1, "cpu": 8} {
		t.Run(name, func(t *testing.T) {
			e := open(t, Options{ModelDir: dir, Backend: name, MaxContext: 256})
			for seed := range seeds {
				events := submit(t, e, Request{
					Prompt: []int32{72, 101, 108}, MaxTokens: 60, IgnoreEOS: true,
					Sampling: backend.Sampling{Temperature: 3, Seed: seed},
				})
				for i, ev := range events {
					if !utf8.ValidString(ev.Text) {
						t.Errorf("seed %d, event %d: %q is no valid UTF-8", seed, i, ev.Text)
					}
				}
				if got, want := text(events), decode(t, e, ids(events)); got != want || want == "" {
					t.Errorf("seed %d: stream %q, whole %q", seed, got, want)
				}
			}
		})
	}
}

// TestStopTexts cuts a known text at each of its pieces and across them.
func TestStopTexts(t *testing.T) {
	e := open(t, Options{ModelDir: speaking(t), Backend: "cpu", MaxContext: 256})
	r := Request{Prompt: []int32{72, 101, 108}, MaxTokens: 40, IgnoreEOS: true, Sampling: backend.Sampling{Temperature: 3, Seed: 4}}
	all := submit(t, e, r)
	whole := text(all)
	bounds := []int{0}
	for i := range whole {
		if i > 0 {
			bounds = append(bounds, i)
		}
	}
	bounds = append(bounds, len(whole))
	cut := 0
	for from := 0; from+1 < len(bounds); from += 3 {
		for _, n := range []int{1, 2, 5} {
			if from+n >= len(bounds) {
				continue
			}
			stop := whole[bounds[from]:bounds[from+n]]
			r.Stop = []string{"never in the text", stop}
			got := submit(t, e, r)
			want, _, _ := strings.Cut(whole, stop)
			f := finish(got)
			if text(got) != want || f.Reason != FinishStop || f.Err != nil {
				t.Fatalf("stop at %q: %q by %s, want %q by stop", stop, text(got), f.Reason, want)
			}
			if g := ids(got); !slices.Equal(g, ids(all)[:len(g)]) {
				t.Errorf("stop at %q: other ids", stop)
			}
			cut++
		}
	}
	if cut < 10 {
		t.Errorf("only %d stop texts tried", cut)
	}
	r.Stop = []string{"never in the text"}
	if got := submit(t, e, r); text(got) != whole || finish(got).Reason != FinishLength {
		t.Errorf("a stop text that doesn't come: %q by %s, want %q by length", text(got), finish(got).Reason, whole)
	}
}

// TestBackendsDrawTheSame: the oracle and the CPU kernels differ in the last bits of their
// logits only, so a request's tokens are almost always the same.
func TestBackendsDrawTheSame(t *testing.T) {
	dir := speaking(t)
	r := Request{Prompt: []int32{1, 2, 3, 4}, MaxTokens: 30, IgnoreEOS: true, Sampling: backend.Sampling{Temperature: 1, TopP: 0.9, Seed: 9}}
	a := ids(submit(t, open(t, Options{ModelDir: dir, Backend: "ref", MaxContext: 64}), r))
	b := ids(submit(t, open(t, Options{ModelDir: dir, Backend: "cpu", MaxContext: 64}), r))
	if !slices.Equal(a, b) {
		t.Errorf("ref drew %v, cpu %v", a, b)
	}
}

func TestTokenizerOfAnotherModel(t *testing.T) {
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.VocabSize, c.BOS, c.EOS = 300, 1, []int32{1}
	dir := filepath.Join(t.TempDir(), "narrow")
	if err := model.SynthConfig(t.Context(), c, dir, model.SynthOptions{TokenizerDir: speaking(t)}); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), Options{ModelDir: dir, Backend: "ref"})
	if err == nil {
		e.Close()
		t.Fatal("a tokenizer with more ids than the model: no error")
	}
	if !strings.Contains(err.Error(), "another model") {
		t.Errorf("error %v, want one that says whose tokenizer it is", err)
	}
}
