//go:build native

package cpu

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/sample"
)

const (
	shipped = "../model/robotstories"
	goldens = "../model/testdata/goldens"
)

// golden is one file made by Hugging Face transformers in float32; which fields a
// case has depends on the file.
type golden struct {
	WeightsSHA256 string `json:"weights_sha256"`
	Cases         []struct {
		Name         string
		IDs          []int32
		Logits       []float32
		Argmax       int32
		LogSumExp    float64
		Continuation []int32
		Sum          float64
		Tokens       int
	}
}

// readGolden reads a file and makes sure that it belongs to the shipped weights.
func readGolden(t testing.TB, path string) golden {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Cases) == 0 {
		t.Fatalf("%s has no cases", path)
	}
	if g.WeightsSHA256 != "" {
		weights, err := os.ReadFile(filepath.Join(shipped, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(weights); hex.EncodeToString(sum[:]) != g.WeightsSHA256 {
			t.Fatalf("%s was made with other weights than %s: make it again", path, shipped)
		}
	}
	return g
}

func folder(t testing.TB, dir string) *model.Checkpoint {
	t.Helper()
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestGoldenLogits(t *testing.T) {
	for dir, path := range map[string]string{
		shipped:                                  filepath.Join(goldens, "logits.json"),
		filepath.Join(goldens, "synthetic_tiny"): filepath.Join(goldens, "synthetic_tiny", "logits.json"),
		filepath.Join(goldens, "synthetic_tiny_f32"): filepath.Join(goldens, "synthetic_tiny_f32", "logits.json"),
	} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m, g := folder(t, dir), readGolden(t, path)
			eachISA(t, func(t *testing.T, k kernelSet) {
				e := openedAsIs(t, m, Options{ISA: k.name})
				for _, c := range g.Cases {
					table := pageList(len(c.IDs), 0, 1)
					got := chunked(t, e, c.IDs, table, min(len(c.IDs), maxTokens))
					within(t, c.Name, got, c.Logits, logitBound)
					if id := sample.Argmax(got); id != c.Argmax {
						t.Errorf("%s: the greatest logit is that of %d, want %d", c.Name, id, c.Argmax)
					}
					if lse := sample.LogSumExp(got); math.Abs(lse-c.LogSumExp) > logitBound {
						t.Errorf("%s: log-sum-exp %v, want %v", c.Name, lse, c.LogSumExp)
					}
					for _, size := range []int{1, 7, 16, 64} {
						sameBits(t, c.Name+" in blocks", chunked(t, e, c.IDs, table, size), got)
					}
				}
			})
		})
	}
}

func TestGoldenGreedy(t *testing.T) {
	m, g := folder(t, shipped), readGolden(t, filepath.Join(goldens, "greedy.json"))
	eachISA(t, func(t *testing.T, k kernelSet) {
		e := openedAsIs(t, m, Options{ISA: k.name})
		for _, c := range g.Cases {
			row := backend.Row{Tokens: c.IDs, Pages: pageList(len(c.IDs)+len(c.Continuation), 0, 1), Sample: &backend.Sampling{}}
			var got []int32
			for range c.Continuation {
				id := step(t, e, row)[0].Token
				got = append(got, id)
				row.Start += len(row.Tokens)
				row.Tokens = []int32{id}
			}
			if !slices.Equal(got, c.Continuation) {
				t.Errorf("%s: got %v\nwant %v", c.Name, got, c.Continuation)
			}
		}
	})
}

// TestGoldenLikelihood allows each token's log-probability the difference of
// logits that the project promises.
func TestGoldenLikelihood(t *testing.T) {
	m, g := folder(t, shipped), readGolden(t, filepath.Join(goldens, "loglik.json"))
	eachISA(t, func(t *testing.T, k kernelSet) {
		e := openedAsIs(t, m, Options{ISA: k.name})
		for _, c := range g.Cases {
			row := backend.Row{Tokens: c.IDs, Pages: pageList(len(c.IDs), 0, 1), WantAllLogProbs: true}
			got, sum := step(t, e, row)[0].LogProbs, 0.0
			for _, p := range got {
				sum += float64(p)
			}
			t.Logf("%s: log-likelihood %.6f, differs by %.2g over %d tokens", c.Name, sum, sum-c.Sum, c.Tokens)
			if len(got) != c.Tokens || math.Abs(sum-c.Sum) > logitBound*float64(c.Tokens) {
				t.Errorf("%s: log-likelihood %v of %d tokens, want %v of %d", c.Name, sum, len(got), c.Sum, c.Tokens)
			}
		}
	})
}
