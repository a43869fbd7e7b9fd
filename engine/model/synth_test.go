package model

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPresets(t *testing.T) {
	c, err := PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	parameters := 0
	for _, x := range c.Tensors() {
		parameters += Tensor{Shape: x.Shape}.Len()
	}
	if parameters != 494_032_768 || c.KVElementsPerToken() != 6144 { // the published count of Qwen2.5-0.5B
		t.Errorf("%d parameters and %d KV elements a token, want 494032768 and 6144", parameters, c.KVElementsPerToken())
	}
	for _, name := range Presets() {
		if _, err := PresetConfig(name); err != nil {
			t.Error(err)
		}
	}
	if err := Synth(context.Background(), "gpt-5", t.TempDir(), SynthOptions{}); err == nil || !strings.Contains(err.Error(), "known: qwen2.5-0.5b, tiny") {
		t.Errorf("an unknown preset: got error %v", err)
	}
}

// TestSynthTiny fixes the bytes: measurements on synthetic weights made by
// different builds must be comparable.
func TestSynthTiny(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "tiny")
	var last, want int64
	err := Synth(context.Background(), "tiny", dir, SynthOptions{Seed: 7, Progress: func(done, total int64) {
		if done <= last {
			t.Errorf("progress fell from %d to %d", last, done)
		}
		last, want = done, total
	}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if last != want || want != info.Size() {
		t.Errorf("progress ended at %d of %d, the file has %d bytes", last, want, info.Size())
	}
	got, err := mustOpen(t, dir).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if want := "7f6e7979238427ff318930ed09fd683f117420f6bbe1e4e1522237a6b7b79924"; got != want {
		t.Errorf("digest %s, want %s: synthetic models changed", got, want)
	}
}

func TestSynthDistribution(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := Synth(context.Background(), "tiny", dir, SynthOptions{}); err != nil {
		t.Fatal(err)
	}
	c := mustOpen(t, dir)
	for _, x := range c.Config.Tensors() {
		tensor, err := c.Tensor(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, tensor.Len())
		if err := tensor.Float32(values); err != nil {
			t.Fatal(err)
		}
		var sum, squares, neighbours float64
		for i, v := range values {
			sum += float64(v)
			squares += float64(v) * float64(v)
			neighbours += float64(v) * float64(values[(i+1)%len(values)])
		}
		n := float64(len(values))
		if x.Part == "norm" {
			if sum != n {
				t.Errorf("%s sums to %v, want %v ones", x.Name, sum, n)
			}
			continue
		}
		// Five standard errors of each estimate.
		if mean := sum / n; math.Abs(mean) > 5*synthDeviation/math.Sqrt(n) {
			t.Errorf("%s: mean %v of %v values", x.Name, mean, n)
		}
		if d := math.Sqrt(squares / n); math.Abs(d/synthDeviation-1) > 5/math.Sqrt(2*n) {
			t.Errorf("%s: deviation %v of %v values", x.Name, d, n)
		}
		if r := neighbours / squares; math.Abs(r) > 5/math.Sqrt(n) {
			t.Errorf("%s: neighbours correlate by %v", x.Name, r)
		}
	}
}

func TestSynthTypesAgree(t *testing.T) {
	short, long := smallest(false), smallest(false)
	long.DType = "float32"
	a, b := readTensors(t, makeModel(t, short)), readTensors(t, makeModel(t, long))
	for i := range a {
		x, y := make([]float32, a[i].Len()), make([]float32, b[i].Len())
		if err := errors.Join(a[i].Float32(x), b[i].Float32(y)); err != nil {
			t.Fatal(err)
		}
		for j := range x {
			if x[j] != y[j] {
				t.Fatalf("%s[%d] is %v in bfloat16 and %v in float32", a[i].Name, j, x[j], y[j])
			}
		}
	}
	half := smallest(true)
	half.DType = "float16"
	if err := SynthConfig(context.Background(), half, filepath.Join(t.TempDir(), "m"), SynthOptions{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("float16: got error %v, want ErrUnsupported", err)
	}
}

// TestSynthFailures: whatever goes wrong, nothing is left behind and nothing that
// was there is touched.
func TestSynthFailures(t *testing.T) {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		options SynthOptions
		prepare func(t *testing.T, dir string)
		kind    error
		want    string
		left    string // what the parent holds afterwards
	}{
		{"cancelled", stopped, SynthOptions{}, nil, context.Canceled, "canceled", ""},
		{
			"no space", context.Background(),
			SynthOptions{free: func(string) (int64, error) { return 1 << 20, nil }},
			nil,
			ErrNoSpace, "has 1 MB free", "",
		},
		{
			"folder in use", context.Background(),
			SynthOptions{},
			func(t *testing.T, dir string) {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				put(t, dir, "mine", []byte("x"))
			},
			nil, "isn't empty", "m",
		},
		{"no tokenizer", context.Background(), SynthOptions{TokenizerDir: "testdata/nothing"}, nil, os.ErrNotExist, "copy the tokenizer", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "m")
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			err := SynthConfig(c.ctx, smallest(true), dir, c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("got error %v, want one with %q that wraps %v", err, c.want, c.kind)
			}
			entries, err := os.ReadDir(parent)
			if err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, e := range entries {
				left = append(left, e.Name())
			}
			if got := strings.Join(left, " "); got != c.left {
				t.Errorf("left behind %q, want %q", got, c.left)
			}
		})
	}
}

func TestSynthIntoEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	if err := SynthConfig(context.Background(), smallest(true), dir, SynthOptions{}); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir)
}

func TestSynthCopiesTokenizer(t *testing.T) {
	from := t.TempDir()
	put(t, from, "tokenizer.json", []byte(`{"mine":1}`))
	put(t, from, "tokenizer_config.json", []byte(`{}`))
	put(t, from, "other.txt", []byte(`no`))
	dir := filepath.Join(t.TempDir(), "m")
	if err := SynthConfig(context.Background(), smallest(true), dir, SynthOptions{TokenizerDir: from}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "tokenizer.json")); err != nil || string(got) != `{"mine":1}` {
		t.Errorf("tokenizer.json is %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other.txt")); err == nil {
		t.Error("other.txt was copied")
	}
}
