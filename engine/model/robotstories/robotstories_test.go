package robotstories

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

func mustExtract(t *testing.T, dir string) {
	t.Helper()
	if err := Extract(dir); err != nil {
		t.Fatal(err)
	}
}

func TestExtractedModelOpens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "model")
	mustExtract(t, dir)
	c, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	g := c.Config
	if g.HeadDim != 64 || g.HiddenSize%128 != 0 || g.IntermediateSize%128 != 0 || g.VocabSize%128 != 0 {
		t.Errorf("sizes that kernels can't rely on: %+v", g)
	}
	if g.KVHeads >= g.Heads || !g.TieEmbeddings || g.DType != "bfloat16" || len(g.EOS) != 2 {
		t.Errorf("want grouped heads, a tied head, bfloat16 and two ends, got %+v", g)
	}
	if c.Has("lm_head.weight") {
		t.Error("the tied head is stored twice")
	}
}

func TestShippedSize(t *testing.T) {
	var total int64
	err := fs.WalkDir(FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		total += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > 4<<20 {
		t.Errorf("the shipped model has %d bytes, the limit is 4 MiB", total)
	}
}

func TestDigest(t *testing.T) {
	if d := Digest(); len(d) != 64 || d != Digest() || strings.Trim(d, "0123456789abcdef") != "" {
		t.Errorf("digest %q", d)
	}
}

func TestExtractTwiceWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	mustExtract(t, dir)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	before, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	mustExtract(t, dir)
	after, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the second call wrote the file again: %v", err)
	}
}

func TestExtractMends(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"truncated": func(p string) error { return os.Truncate(p, 1000) },
		"missing":   os.Remove,
		"one byte": func(p string) error {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			data[len(data)-1] ^= 1
			return os.WriteFile(p, data, 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "model")
			mustExtract(t, dir)
			notes := filepath.Join(dir, "notes.txt")
			if err := os.WriteFile(notes, []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(dir, "model.safetensors")); err != nil {
				t.Fatal(err)
			}
			mustExtract(t, dir)
			if same, err := holds(dir); err != nil || !same {
				t.Errorf("after the second call the folder still differs (error %v)", err)
			}
			if _, err := os.Stat(notes); err != nil {
				t.Errorf("another file of the folder is gone: %v", err)
			}
		})
	}
}

func TestExtractAtOnce(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := Extract(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if same, err := holds(dir); err != nil || !same {
		t.Errorf("the folder differs (error %v)", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("left in the parent folder: %v (error %v)", left, err)
	}
}

func TestExtractOntoAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Extract(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}

// The golden files name the weights and the tokenizer that they were made with.
func TestGoldensBelongToThisModel(t *testing.T) {
	for _, name := range []string{"logits.json", "greedy.json", "loglik.json", "chat.json", "tokenize.json"} {
		data, err := os.ReadFile(filepath.Join("..", "testdata", "goldens", name))
		if err != nil {
			t.Fatal(err)
		}
		var made struct {
			Weights   string `json:"weights_sha256"`
			Tokenizer string `json:"tokenizer_sha256"`
		}
		if err := json.Unmarshal(data, &made); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(content("model.safetensors"))); got != made.Weights {
			t.Errorf("%s was made with weights %s, shipped are %s: run engine/model/train/goldens.py", name, made.Weights, got)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(content("tokenizer.json"))); got != made.Tokenizer {
			t.Errorf("%s was made with tokenizer %s, shipped is %s: run engine/model/train/goldens.py", name, made.Tokenizer, got)
		}
	}
}
