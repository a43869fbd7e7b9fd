package quality

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// table gives fixed logits at each position.
func table(rows ...[]float32) Logits {
	return func(_ context.Context, ids []int32, each func(int, []float32) error) error {
		for i := range ids {
			if err := each(i, slices.Clone(rows[i%len(rows)])); err != nil {
				return err
			}
		}
		return nil
	}
}

// odds are logits of these probabilities, up to a constant, which must not matter.
func odds(shift float64, p ...float64) (logits []float32) {
	for _, v := range p {
		logits = append(logits, float32(math.Log(v)+shift))
	}
	return logits
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(1, math.Abs(b)) }

// TestCompareByHand: two positions whose figures are known.
func TestCompareByHand(t *testing.T) {
	p := table(odds(3, 0.5, 0.25, 0.25), odds(-1, 0.125, 0.5, 0.375))
	q := table(odds(0, 0.25, 0.5, 0.25), odds(7, 0.25, 0.5, 0.25))
	r, err := Record(t.Context(), p, []int32{2, 0})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Compare(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	first := 0.25 * math.Ln2                        // 0.5·ln 2 − 0.25·ln 2
	second := -0.125*math.Ln2 + 0.375*math.Log(1.5) // the middle one is equal
	if want := math.Max(first, second); !near(got.KLMax, want) || !near(got.KLP99, want) || !near(got.KLMean, (first+second)/2) {
		t.Errorf("divergence mean %v, p99 %v, max %v; want %v and %v twice", got.KLMean, got.KLP99, got.KLMax, (first+second)/2, want)
	}
	// The text is id 0 after id 2: 0.5 by the reference, 0.25 by the model.
	if got.Positions != 2 || got.TopOne != 0.5 || !near(got.DeltaLogLik, -math.Ln2) || !near(got.PerplexityRatio, 2) ||
		!near(got.Perplexity, 4) || !near(got.ReferencePerplexity, 2) {
		t.Errorf("compared as %+v", got)
	}
	if same, err := r.Compare(t.Context(), p); err != nil || same.KLMax != 0 || same.TopOne != 1 || same.DeltaLogLik != 0 || same.PerplexityRatio != 1 {
		t.Errorf("the same model: %+v, %v", same, err)
	}
}

func TestPercentile(t *testing.T) {
	for n, want := range map[int]float64{1: 1, 2: 2, 99: 99, 100: 99, 101: 100, 200: 198} {
		d := make([]float64, n)
		for i := range d {
			d[i] = float64(n - i) // 1..n, backwards
		}
		if got := summarise(d, 0, 0, 0); got.KLP99 != want || got.KLMax != float64(n) {
			t.Errorf("of 1..%d: p99 %v, max %v; want %v", n, got.KLP99, got.KLMax, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	ids, good := []int32{0, 1, 0}, table([]float32{1, 2})
	bad := func(v float64) Logits { return table([]float32{1, 2}, []float32{1, float32(v)}) }
	short := func(context.Context, []int32, func(int, []float32) error) error { return nil }
	twice := func(_ context.Context, _ []int32, each func(int, []float32) error) error {
		return errors.Join(each(0, []float32{1, 2}), each(0, []float32{1, 2}))
	}
	r, err := Record(t.Context(), good, ids)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		l    Logits
		says string
	}{
		"not a number": {bad(math.NaN()), "position 1: the logit of id 1 is NaN"},
		"infinite":     {bad(math.Inf(-1)), "-Inf"},
		"too few":      {short, "0 positions for 3 ids"},
		"out of order": {twice, "position 0 came when 1 was due"},
		"no logits":    {table(nil), "no logits"},
	} {
		if _, err := Record(t.Context(), c.l, ids); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: recorded with %v, want %q", name, err, c.says)
		}
		if _, err := r.Compare(t.Context(), c.l); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: compared with %v, want %q", name, err, c.says)
		}
	}
	if _, err := r.Compare(t.Context(), table([]float32{1, 2, 3})); err == nil || !strings.Contains(err.Error(), "can't be compared") {
		t.Errorf("another vocabulary: %v", err)
	}
	for _, n := range []int{0, 1, MaxIDs + 1} {
		if _, err := Record(t.Context(), good, make([]int32, n)); err == nil {
			t.Errorf("%d ids were recorded", n)
		}
	}
}

const textDigest = "ac1b3a9ef5a0f554f3a421f89b82775ecc3f808fb1b1fc2adc04f8ce24e08cce"

var firstIDs = []int32{365, 463, 119, 326, 397, 154}

// TestFixedInputs: figures stay comparable only as long as nobody changes these.
func TestFixedInputs(t *testing.T) {
	sum := sha256.Sum256([]byte(Text()))
	if got := hex.EncodeToString(sum[:]); got != textDigest {
		t.Errorf("the text changed: digest %s", got)
	}
	if words := len(strings.Fields(Text())); words < 400 {
		t.Errorf("the text has %d words", words)
	}
	ids := IDs(600, 512)
	if got := ids[:6]; !slices.Equal(got, firstIDs) {
		t.Errorf("the ids changed: %v", got)
	}
	if slices.Max(ids) > 511 || slices.Min(ids) < 0 || !slices.Equal(ids, IDs(600, 512)) {
		t.Error("ids beyond the vocabulary, or other ones the second time")
	}
}
