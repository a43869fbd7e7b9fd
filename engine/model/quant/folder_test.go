package quant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// synth writes a small model; its hidden size isn't a multiple of a group.
func synth(t testing.TB, change func(*model.Config)) string {
	t.Helper()
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	c.HiddenSize, c.IntermediateSize, c.Heads, c.KVHeads, c.HeadDim = 150, 201, 3, 1, 50
	if change != nil {
		change(&c)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.SynthConfig(context.Background(), c, dir, model.SynthOptions{Seed: 5}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustFolder(t testing.TB, src, dst string, o Options) Report {
	t.Helper()
	r, err := Folder(context.Background(), src, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustOpen(t testing.TB, dir string) *model.Checkpoint {
	t.Helper()
	c, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestFolder: what is read back is what Matrix gives, and the rest is as it was.
func TestFolder(t *testing.T) {
	for _, tied := range []bool{true, false} {
		for _, dtype := range []string{"bfloat16", "float32"} {
			src := synth(t, func(c *model.Config) { c.TieEmbeddings, c.DType = tied, dtype })
			from := mustOpen(t, src)
			digest, err := from.Digest()
			if err != nil {
				t.Fatal(err)
			}
			for _, format := range Formats() {
				for _, a := range algorithms {
					dst := filepath.Join(t.TempDir(), format)
					last := int64(-1)
					r := mustFolder(t, src, dst, Options{Format: format, Algorithm: a, Progress: func(done, total int64) {
						if done <= last || total != from.Inspect().Bytes {
							t.Errorf("progress %d of %d after %d", done, total, last)
						}
						last = done
					}})
					to := mustOpen(t, dst)
					if d, err := to.Digest(); err != nil || d != r.Digest || last != from.Inspect().Bytes {
						t.Errorf("digest %s, %v, reported %s; progress ended at %d", d, err, r.Digest, last)
					}
					want := model.Quantization{Weights: format, GroupSize: 128, Head: "w8", Algorithm: string(a), SourceDigest: digest}
					if to.Quantization == nil || *to.Quantization != want || to.Config.DType != format || !to.Synthetic {
						t.Errorf("read back as %+v of %s, want %+v", to.Quantization, to.Config.DType, want)
					}
					compare(t, from, to, format, a)
					inspect(t, r, format)
				}
			}
		}
	}
}

func compare(t *testing.T, from, to *model.Checkpoint, format string, a Algorithm) {
	t.Helper()
	for _, e := range from.Config.Tensors() {
		want, err := from.Tensor(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		if d := TypeOf(format, e.Name); d != "" {
			if want, err = Matrix(want, d, a); err != nil {
				t.Fatal(err)
			}
		}
		got, err := to.Tensor(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Scales, want.Scales) {
			t.Errorf("%s by %s: %s of %v differs", format, a, e.Name, got.Shape)
		}
		// The same by Load, which rounds to nearest.
		loaded, err := Load(from, e.Name, format)
		if err != nil {
			t.Fatal(err)
		}
		if a == RTN && !bytes.Equal(loaded.Data, want.Data) {
			t.Errorf("%s: %s is quantised otherwise while it is loaded", format, e.Name)
		}
	}
	if n := len(to.Names()); n != len(from.Names())+count(from, format) {
		t.Errorf("%d tensors in the file, want %d and %d of scales", n, len(from.Names()), count(from, format))
	}
}

func count(c *model.Checkpoint, format string) (n int) {
	for _, e := range c.Config.Tensors() {
		if TypeOf(format, e.Name) != "" {
			n++
		}
	}
	return n
}

// inspect compares the sizes with those that the shapes give.
func inspect(t *testing.T, r Report, format string) {
	t.Helper()
	c := r.To.Config
	var bytes, step, parameters int64
	for _, e := range c.Tensors() {
		elements := int64(model.Tensor{Shape: e.Shape}.Len())
		parameters += elements
		wide := int64(2)
		if r.From.DType == "float32" {
			wide = 4
		}
		n := wide * elements
		if len(e.Shape) == 2 {
			rows, cols := int64(e.Shape[0]), int64(e.Shape[1])
			n = elements + 4*rows
			if format == "w4" && e.Part != "embedding" && e.Part != "head" {
				n = rows*((cols+1)/2) + 2*rows*((cols+127)/128)
			}
		}
		bytes += n
		if e.Part != "embedding" || c.TieEmbeddings {
			step += n
		}
	}
	if r.To.Bytes != bytes || r.To.StepBytes != step || r.To.Parameters != parameters || r.To.Bits != 8*float64(bytes)/float64(parameters) {
		t.Errorf("%s: %d bytes, %d a step, %d parameters, %v bits; want %d, %d, %d", format, r.To.Bytes, r.To.StepBytes, r.To.Parameters, r.To.Bits, bytes, step, parameters)
	}
	if r.From.Quantization != nil || r.To.Quantization == nil || r.From.StepFlops != r.To.StepFlops {
		t.Errorf("inspected as %+v", r.To)
	}
}

// TestFolderKeeps: the tokenizer and what is said beside the weights.
func TestFolderKeeps(t *testing.T) {
	src := synth(t, nil)
	template := []byte("{{ messages }}")
	if err := os.WriteFile(filepath.Join(src, "chat_template.jinja"), template, 0o644); err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(t.TempDir(), "new", "w4")
	mustFolder(t, src, dst, Options{Format: "w4"})
	for _, name := range []string{"generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} {
		want, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dst, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, or another", name, err)
		}
	}
	var a, b map[string]any
	for dir, to := range map[string]*map[string]any{src: &a, dst: &b} {
		data, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, to); err != nil {
			t.Fatal(err)
		}
	}
	delete(b, "quantization_config")
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("config.json became\n%v\nof\n%v", b, a)
	}
}

// TestFolderIsDeterministic: equal files on any number of processors.
func TestFolderIsDeterministic(t *testing.T) {
	src := synth(t, nil)
	a := mustFolder(t, src, filepath.Join(t.TempDir(), "a"), Options{Format: "w4"})
	before := runtime.GOMAXPROCS(1)
	b := mustFolder(t, src, filepath.Join(t.TempDir(), "b"), Options{Format: "w4", Algorithm: Search})
	runtime.GOMAXPROCS(before)
	if a.Digest != b.Digest {
		t.Errorf("digests %s and %s", a.Digest, b.Digest)
	}
	if c := mustFolder(t, src, filepath.Join(t.TempDir(), "c"), Options{Format: "w4", Algorithm: RTN}); c.Digest == a.Digest {
		t.Error("another algorithm gave the same digest")
	}
}

func TestFolderRefuses(t *testing.T) {
	src, parent := synth(t, nil), t.TempDir()
	w8 := filepath.Join(parent, "w8")
	first := mustFolder(t, src, w8, Options{Format: "w8", Algorithm: RTN})
	foreign := filepath.Join(parent, "photos")
	if err := os.MkdirAll(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "config.json"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "cat.jpg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		src, dst string
		o        Options
		want     error
		says     string
	}{
		{src, w8, Options{Format: "w8"}, model.ErrExists, "remove it first"},
		{src, foreign, Options{Format: "w8", Replace: true}, model.ErrExists, "cat.jpg"},
		{src, src, Options{Format: "w8", Replace: true}, model.ErrExists, "the source itself"},
		{w8, filepath.Join(parent, "x"), Options{Format: "w4"}, model.ErrUnsupported, "quantised as w8 already"},
		{src, filepath.Join(parent, "x"), Options{Format: "w2"}, model.ErrUnsupported, `"w2"`},
		{src, filepath.Join(parent, "x"), Options{Format: "w8", Algorithm: "awq"}, model.ErrUnsupported, `"awq"`},
		{src, filepath.Join(parent, "x"), Options{Format: "w4", Algorithm: GPTQ}, model.ErrUnsupported, "needs inputs"},
		{src, filepath.Join(parent, "x"), Options{Format: "w8", Algorithm: GPTQ}, model.ErrUnsupported, "is for w4"},
		{filepath.Join(parent, "none"), filepath.Join(parent, "x"), Options{Format: "w8"}, model.ErrNotFound, "none"},
	} {
		_, err := Folder(context.Background(), c.src, c.dst, c.o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("to %s: got %v, want %v that says %q", c.dst, err, c.want, c.says)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Folder(ctx, src, filepath.Join(parent, "x"), Options{Format: "w8", Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if got := listed(t, parent); !slices.Equal(got, []string{"photos", "w8"}) {
		t.Errorf("left behind: %v", got)
	}
	if d, err := mustOpen(t, w8).Digest(); err != nil || d != first.Digest {
		t.Errorf("what was there changed to %s, %v", d, err)
	}
	second := mustFolder(t, src, w8, Options{Format: "w4", Replace: true})
	if d, err := mustOpen(t, w8).Digest(); err != nil || d != second.Digest || d == first.Digest {
		t.Errorf("replaced by %s, %v, want %s", d, err, second.Digest)
	}
	if got := listed(t, parent); !slices.Equal(got, []string{"photos", "w8"}) {
		t.Errorf("left behind: %v", got)
	}
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestFolderKilled: a process killed in the middle leaves the folder as it was, and the next
// try succeeds.
func TestFolderKilled(t *testing.T) {
	const key = "PACELINE_TEST_QUANTISE"
	if args := os.Getenv(key); args != "" {
		src, dst, _ := strings.Cut(args, "\n")
		steps := 0
		_, err := Folder(context.Background(), src, dst, Options{Format: "w4", Replace: true, Progress: func(done, total int64) {
			if steps++; steps == 9 || done == total {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}})
		t.Fatalf("still alive: %v", err)
	}
	src, parent := synth(t, nil), t.TempDir()
	dst := filepath.Join(parent, "w4")
	for _, before := range []string{"nothing", "a model"} {
		want := ""
		if before == "a model" {
			want = mustFolder(t, src, dst, Options{Format: "w8", Algorithm: RTN}).Digest
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestFolderKilled$")
		cmd.Env = append(os.Environ(), key+"="+src+"\n"+dst)
		out, err := cmd.CombinedOutput()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
			t.Fatalf("the process wasn't killed: %v\n%s", err, out)
		}
		if want == "" {
			if _, err := os.Stat(dst); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("killed over nothing: %s is there (%v)", dst, err)
			}
		} else if d, err := mustOpen(t, dst).Digest(); err != nil || d != want {
			t.Errorf("killed over a model: it changed to %s, %v", d, err)
		}
		if got := listed(t, parent); !slices.ContainsFunc(got, func(n string) bool { return strings.HasPrefix(n, ".w4.partial-") }) {
			t.Errorf("nothing partial was left, so nothing was killed in the middle: %v", got)
		}
	}
	r := mustFolder(t, src, dst, Options{Format: "w4", Replace: true})
	if d, err := mustOpen(t, dst).Digest(); err != nil || d != r.Digest {
		t.Errorf("the next try gave %s, %v", d, err)
	}
}

// TestOnLoad: what is asked for against what is stored.
func TestOnLoad(t *testing.T) {
	src := synth(t, nil)
	w8 := filepath.Join(t.TempDir(), "w8")
	mustFolder(t, src, w8, Options{Format: "w8", Algorithm: RTN})
	f32 := synth(t, func(c *model.Config) { c.DType = "float32" })
	for _, c := range []struct{ dir, weights, want, says string }{
		{src, "", "", ""},
		{src, "bf16", "", ""},
		{src, "w4", "w4", ""},
		{w8, "", "", ""},
		{w8, "w8", "", ""},
		{w8, "w4", "", "quantised as w8"},
		{w8, "bf16", "", "stored as w8"},
		{f32, "bf16", "", "stored as float32"},
		{f32, "w8", "w8", ""},
		{src, "int4", "", "want bf16, w8, w4"},
	} {
		got, err := OnLoad(mustOpen(t, c.dir), c.weights)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, model.ErrUnsupported) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("weights %q of %s: %q, %v; want %q, an error that says %q", c.weights, c.dir, got, err, c.want, c.says)
		}
	}
}
