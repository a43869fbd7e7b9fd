package ref

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/sample"
)

const (
	shipped = "../model/robotstories"
	goldens = "../model/testdata/goldens"
)

// What transformers' float32 may differ from the truth. Every backend has to lie
// within 2e-4 of the golden logits; the oracle lies closer.
const (
	logitTolerance = 2e-5
	tokenTolerance = 1e-5 // of a log-likelihood, per token
)

// golden is one file made by transformers; which fields a case has depends on it.
type golden struct {
	WeightsSHA256 string `json:"weights_sha256"`
	Cases         []struct {
		Name         string
		IDs          []int32
		Logits       []float64
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

// pagesOf is a table for n positions that starts at the last page.
func pagesOf(b backend.Backend, n int) []backend.PageID {
	table := make([]backend.PageID, admit.PagesFor(n))
	for i := range table {
		table[i] = backend.PageID(b.Pages().Count() - 1 - i)
	}
	return table
}

func TestGoldenLogits(t *testing.T) {
	for folder, path := range map[string]string{
		shipped:                                  filepath.Join(goldens, "logits.json"),
		filepath.Join(goldens, "synthetic_tiny"): filepath.Join(goldens, "synthetic_tiny", "logits.json"),
		filepath.Join(goldens, "synthetic_tiny_f32"): filepath.Join(goldens, "synthetic_tiny_f32", "logits.json"),
	} {
		b := openDir(t, folder, Options{})
		for _, c := range readGolden(t, path).Cases {
			t.Run(filepath.Base(folder)+"/"+c.Name, func(t *testing.T) {
				got := inBlocks(t, b, c.IDs, maxTokens, pagesOf(b, len(c.IDs)))
				worst := difference(t, got, c.Logits)
				t.Logf("logits differ by up to %.2g", worst)
				if worst > logitTolerance {
					t.Errorf("logits differ by up to %g, want at most %g", worst, logitTolerance)
				}
				if id := sample.Argmax(got); id != c.Argmax {
					t.Errorf("the greatest logit is that of %d, want %d", id, c.Argmax)
				}
				if lse := sample.LogSumExp(got); math.Abs(lse-c.LogSumExp) > logitTolerance {
					t.Errorf("log-sum-exp %v, want %v", lse, c.LogSumExp)
				}
				for _, size := range []int{1, 7, 16, 64} {
					if !slices.Equal(inBlocks(t, b, c.IDs, size, pagesOf(b, len(c.IDs))), got) {
						t.Errorf("blocks of %d give other logits", size)
					}
				}
			})
		}
	}
}

func TestGoldenGreedy(t *testing.T) {
	b := openDir(t, shipped, Options{})
	for _, c := range readGolden(t, filepath.Join(goldens, "greedy.json")).Cases {
		t.Run(c.Name, func(t *testing.T) {
			pages := pagesOf(b, len(c.IDs)+len(c.Continuation))
			row := backend.Row{Tokens: c.IDs, Pages: pages, Sample: &backend.Sampling{}}
			var got []int32
			for range c.Continuation {
				id := step(t, b, row)[0].Token
				got = append(got, id)
				row.Start += len(row.Tokens)
				row.Tokens = []int32{id}
			}
			if !slices.Equal(got, c.Continuation) {
				t.Errorf("got %v\nwant %v", got, c.Continuation)
			}
		})
	}
}

func TestGoldenLikelihood(t *testing.T) {
	b := openDir(t, shipped, Options{})
	for _, c := range readGolden(t, filepath.Join(goldens, "loglik.json")).Cases {
		t.Run(c.Name, func(t *testing.T) {
			got := step(t, b, backend.Row{Tokens: c.IDs, Pages: pagesOf(b, len(c.IDs)), WantAllLogProbs: true})[0].LogProbs
			sum := 0.0
			for _, p := range got {
				sum += float64(p)
			}
			t.Logf("log-likelihood %.6f, differs by %.2g over %d tokens", sum, sum-c.Sum, c.Tokens)
			if limit := tokenTolerance * float64(c.Tokens); len(got) != c.Tokens || math.Abs(sum-c.Sum) > limit {
				t.Errorf("log-likelihood %v of %d tokens, want %v of %d within %g", sum, len(got), c.Sum, c.Tokens, limit)
			}
		})
	}
}

// BenchmarkDecode is one token a step, with so many rows.
func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{1, 4} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			r := openDir(b, shipped, Options{})
			batch := make([]backend.Row, rows)
			for i := range batch {
				batch[i] = backend.Row{Tokens: []int32{1}, Pages: []backend.PageID{backend.PageID(i)}, Sample: &backend.Sampling{}}
			}
			for b.Loop() {
				for i, out := range step(b, r, batch...) {
					batch[i].Tokens[0] = out.Token
					batch[i].Start = (batch[i].Start + 1) % backend.PageTokens
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}
