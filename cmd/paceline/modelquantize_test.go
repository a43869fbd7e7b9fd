//go:build native

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/model"
)

// TestQuantize quantises the shipped model, and uses the result as a model like any other.
func TestQuantize(t *testing.T) {
	parent := t.TempDir()
	w8, w4 := filepath.Join(parent, "w8"), filepath.Join(parent, "w4")
	o := paceline(t, "model", "quantize", "robot-stories", w8, "--weights", "w8")
	o.expect(t, exitOK, "bits a weight  16.00     8.23", "read a token", "digest", "wrote          "+w8+" (w8, search)",
		"against bf16/f32 on 768 positions of the fixed text", "KL divergence", "likeliest token", "log-likelihood", "quantising  100 %")
	if strings.Contains(o.stderr, "\r") || strings.Contains(o.stderr, "\x1b") {
		t.Errorf("progress is redrawn although nobody watches:\n%q", o.stderr)
	}
	small := printed[quantized](t, "model", "quantize", "robot-stories", w4, "--weights", "w4", "--algorithm", "rtn", "--json")
	q := small.Quality
	if q == nil || q.Positions != 768 || q.On != "fixed text" || q.Against != "bf16/f32" || q.Model != "w4/int8" || q.Synthetic {
		t.Fatalf("judged as %+v", q)
	}
	if small.To.Bytes >= small.From.Bytes/3 || small.To.Quantization.Algorithm != "rtn" || len(small.Digest) != 64 {
		t.Errorf("reported as %+v", small)
	}
	large := printed[comparison](t, "model", "score", w8, "--against", "robot-stories", "--json")
	if large.KLMean <= 0 || large.KLMean > q.KLMean/10 || large.TopOne <= q.TopOne {
		t.Errorf("w8 lies %v away, w4 %v; the likeliest token is the same at %v and %v", large.KLMean, q.KLMean, large.TopOne, q.TopOne)
	}
	// The same weights, rounded while they are loaded.
	loaded := printed[comparison](t, "model", "score", "robot-stories", "--weights", "w4", "--against", "robot-stories", "--json")
	if loaded.Report != q.Report {
		t.Errorf("rounded while loading: %+v, rounded before: %+v", loaded.Report, q.Report)
	}
	if itself := printed[comparison](t, "model", "score", w4, "--against", w4, "--ids", "1,2,3", "--json"); itself.KLMax != 0 || itself.TopOne != 1 || itself.On != "given" || itself.Positions != 3 {
		t.Errorf("a model against itself: %+v", itself)
	}
	paceline(t, "model", "inspect", w4).expect(t, exitOK, "w4", "4.90 bits a weight", "w4 by rtn, groups of 128", "read a token    0.9 MB")
	paceline(t, "generate", w4, "Write a short story about a robot.", "--greedy", "-n", "20").expect(t, exitOK, "20 tokens", "robot")
	paceline(t, "generate", "robot-stories", "--weights", "w8", "--greedy", "-n", "8").expect(t, exitOK, "8 tokens")
}

// TestQuantizeCalibrated: by a text that the model wrote itself.
func TestQuantizeCalibrated(t *testing.T) {
	parent := t.TempDir()
	written := ""
	for _, seed := range []string{"1", "2", "3"} {
		written += printed[generation](t, "generate", "robot-stories", "--temperature", "1", "--seed", seed, "--json").Text + "\n\n"
	}
	text := filepath.Join(parent, "text")
	if err := os.WriteFile(text, []byte(written), 0o644); err != nil {
		t.Fatal(err)
	}
	stories, err := os.ReadFile(filepath.Join("..", "..", "engine", "testdata", "stories.txt"))
	if err != nil {
		t.Fatal(err)
	}
	away := map[string]float64{}
	for algorithm, more := range map[string][]string{"search": nil, "gptq": {"--calibrate", text}} {
		dir := filepath.Join(parent, algorithm)
		args := append([]string{"model", "quantize", "robot-stories", dir, "--weights", "w4", "--no-quality", "--algorithm", algorithm}, more...)
		paceline(t, args...).expect(t, exitOK, "(w4, "+algorithm+")")
		away[algorithm] = printed[comparison](t, "model", "score", dir, "--against", "robot-stories", "--text", string(stories), "--json").KLMean
	}
	// Which is better on so few positions of so small a model is chance; a mistake in how
	// errors are carried on would cost far more than that.
	if away["gptq"] > 1.5*away["search"] || away["gptq"] == away["search"] {
		t.Errorf("mean divergence on stories: %v", away)
	}
}

func TestQuantizeRefuses(t *testing.T) {
	parent := t.TempDir()
	w8 := filepath.Join(parent, "w8")
	quantize := func(from, to, weights string, more ...string) outcome {
		return paceline(t, append([]string{"model", "quantize", from, to, "--no-quality", "--weights", weights}, more...)...)
	}
	quantize("robot-stories", w8, "w8").expect(t, exitOK, "wrote")
	c, err := model.Open(w8)
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Digest()
	if err != nil || c.Close() != nil {
		t.Fatal(err)
	}
	quantize("robot-stories", w8, "w4").expect(t, exitRequest, "isn't empty", "--force")
	quantize(w8, filepath.Join(parent, "x"), "w4").expect(t, exitRequest, "quantised as w8 already")
	quantize("robot-stories", filepath.Join(parent, "x"), "w3").expect(t, exitRequest, "want w8 or w4")
	quantize("robot-stories", filepath.Join(parent, "x"), "w4", "--algorithm", "best").expect(t, exitRequest, "want rtn, search or gptq")
	quantize("robot-stories", filepath.Join(parent, "x"), "w4", "--algorithm", "gptq").expect(t, exitRequest, "--calibrate FILE")
	quantize("robot-stories", filepath.Join(parent, "x"), "w4", "--calibrate", "text").expect(t, exitRequest, "--algorithm gptq")
	quantize("robot-stories", filepath.Join(parent, "x"), "w4", "--algorithm", "gptq", "--calibrate", filepath.Join(parent, "none")).expect(t, exitRequest, "none")
	quantize(filepath.Join(parent, "none"), filepath.Join(parent, "x"), "w4").expect(t, exitRequest, "no model folder")
	paceline(t, "model", "quantize", "robot-stories", w8).expect(t, exitRequest, "weights")
	paceline(t, "model", "score", w8, "--weights", "w4", "--ids", "1").expect(t, exitRequest, "quantised as w8")
	paceline(t, "model", "score", w8, "--against", "robot-stories", "--ids", "1").expect(t, exitRequest, "want 2 to 768")
	o := paceline(t, "model", "quantize", "robot-stories", filepath.Join(parent, "y"), "--weights", "w8", "--threads", "9999")
	o.expect(t, exitMachine, "is written and whole", "paceline model score")
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	out := quantize("robot-stories", w8, "w4", "--force")
	out.expect(t, exitOK, "(w4, search)")
	if strings.Contains(out.stdout, first) {
		t.Error("nothing was replaced")
	}
}

// TestQuantizeSynthetic: a model without a tokenizer, and that its figures mean nothing.
func TestQuantizeSynthetic(t *testing.T) {
	parent := t.TempDir()
	tiny := filepath.Join(parent, "tiny")
	paceline(t, "model", "synth", "tiny", tiny).expect(t, exitOK)
	if err := os.Remove(filepath.Join(tiny, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	paceline(t, "model", "quantize", tiny, filepath.Join(parent, "w4"), "--weights", "w4").expect(t, exitOK, "of fixed ids", "SYNTHETIC")
}

func TestShareDisplay(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	d := newShareDisplay(&out, 70)
	d.now = func() time.Time { return now }
	for _, done := range []int64{10e6, 11e6, 50e6, 100e6} {
		d.update("quantising", done, 100e6, megabytes)
		now = now.Add(time.Duration(done/1e6) * 7 * time.Millisecond)
	}
	d.end()
	want := "\r\x1b[Kquantising  ██░░░░░░░░░░░░░░░░░░░░░░  10 %  10.0 MB of 100.0 MB" +
		"\r\x1b[Kquantising  ████████████░░░░░░░░░░░░  50 %  50.0 MB of 100.0 MB" +
		"\r\x1b[Kquantising  ████████████████████████ 100 %  100.0 MB of 100.0 MB" + "\r\x1b[K"
	if got := out.String(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	out.Reset()
	d = newShareDisplay(&out, 0)
	for done := range int64(101) {
		d.update("comparing", done, 100, megabytes)
	}
	d.end()
	if got := strings.Split(strings.TrimSpace(out.String()), "\n"); len(got) != 11 || got[10] != "comparing  100 % of 100 B" {
		t.Errorf("got %q", got)
	}
}
