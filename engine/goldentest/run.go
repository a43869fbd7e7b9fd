package goldentest

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

//go:embed testdata/*.json
var goldens embed.FS

// golden is what transformers computes for one shape; see testdata/shapes.py.
type golden struct {
	Files        map[string]string // SHA-256 of the model's files
	AsShipped    float64           `json:"as_shipped"`
	Logits       [][]float64       // after each of the shape's positions
	LogProbs     []float64         // of the prompt's tokens from the second on; none of a long one
	Continuation []int32           // greedy; none of a long one
}

// read gives the shape's golden, once it is sure that it belongs to the model in dir.
func read(s Shape, dir string) (golden, error) {
	var g golden
	data, err := goldens.ReadFile("testdata/" + s.Name + ".json")
	if err != nil {
		return g, err
	}
	if err := json.Unmarshal(data, &g); err != nil {
		return g, err
	}
	if len(g.Logits) != len(s.Positions) || len(g.Files) == 0 {
		return g, fmt.Errorf("testdata/%s.json has logits of %d positions and %d files, want %d and some", s.Name, len(g.Logits), len(g.Files), len(s.Positions))
	}
	for name, want := range g.Files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return g, err
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			return g, fmt.Errorf("%s isn't the one that testdata/%s.json was made with: make it again with shapes.py", name, s.Name)
		}
	}
	return g, nil
}

// Run holds a backend against the shape's golden: logits after prefill in chunks of the
// given sizes (of a long prompt, the largest there is), log-probabilities, and greedy decoding. open must give room for the whole
// prompt; Run closes what it opened.
func Run(t *testing.T, s Shape, c *model.Checkpoint, open func(*model.Checkpoint) (backend.Backend, error), tolerance float64, chunks ...int) {
	t.Helper()
	b, err := open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	g, err := read(s, c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	r := run{s, g, b, tolerance, Prompt(s.Count(), s.Config.VocabSize), 0}
	if err := r.all(chunks); err != nil {
		t.Errorf("%s: %v", s.Name, err)
	}
	t.Logf("%s: largest difference %.2g, allowed %.2g", s.Name, r.worst, tolerance)
}

type run struct {
	shape     Shape
	golden    golden
	b         backend.Backend
	tolerance float64
	ids       []int32
	worst     float64 // difference seen
}

func (r *run) all(chunks []int) error {
	if r.shape.long() {
		chunks = []int{r.b.Info().MaxTokens}
	}
	for _, size := range chunks {
		if err := r.prefill(size); err != nil {
			return fmt.Errorf("prompt in chunks of %d: %w", size, err)
		}
	}
	if r.shape.long() {
		return nil
	}
	if err := r.score(); err != nil {
		return err
	}
	return r.decode()
}

// prefill feeds the prompt, cut at the golden's positions too.
func (r *run) prefill(size int) error {
	table, at := r.pages(0), 0
	for i, p := range r.shape.Positions {
		for at <= p {
			end := min(at+size, p+1)
			out, err := step(r.b, backend.Row{Tokens: r.ids[at:end], Start: at, Pages: table, WantLogits: end == p+1})
			if err != nil {
				return err
			}
			if at = end; at <= p {
				continue
			}
			if err := r.near(out.Logits, r.golden.Logits[i]); err != nil {
				return fmt.Errorf("after position %d: logit %w", p, err)
			}
		}
	}
	return nil
}

func (r *run) score() error {
	out, err := step(r.b, backend.Row{Tokens: r.ids, Pages: r.pages(0), WantAllLogProbs: true})
	if err != nil {
		return err
	}
	if err := r.near(out.LogProbs, r.golden.LogProbs); err != nil {
		return fmt.Errorf("log-probability %w", err)
	}
	return nil
}

// decode continues the prompt by its likeliest tokens, whose lead is far above what float32 rounds. A backend
// that rounds more is led along them, and finds each as likely as any, within twice the tolerance.
func (r *run) decode() error {
	led := r.tolerance > Float32(r.shape, r.shape.Count())
	row := backend.Row{Tokens: r.ids, Pages: r.pages(len(r.golden.Continuation)), Sample: &backend.Sampling{}, WantLogits: led}
	var got []int32
	for i, want := range r.golden.Continuation {
		out, err := step(r.b, row)
		if err != nil {
			return err
		}
		got = append(got, out.Token)
		row.Start += len(row.Tokens)
		row.Tokens = []int32{out.Token}
		if !led {
			continue
		}
		if lead := out.Logits[out.Token] - out.Logits[want]; !(float64(lead) <= 2*r.tolerance) {
			return fmt.Errorf("token %d of the continuation is %d, %.2g above %d: want that one, or one within %.2g", i, out.Token, lead, want, 2*r.tolerance)
		}
		row.Tokens[0] = want
	}
	if !led && !slices.Equal(got, r.golden.Continuation) {
		return fmt.Errorf("continues by %d, want %d", got, r.golden.Continuation)
	}
	return nil
}

// pages is a table for the prompt and so many positions more, in descending order.
func (r *run) pages(more int) []backend.PageID {
	table := make([]backend.PageID, (len(r.ids)+more+backend.PageTokens-1)/backend.PageTokens)
	for i := range table {
		table[i] = backend.PageID(r.b.Pages().Count() - 1 - i)
	}
	return table
}

func (r *run) near(got []float32, want []float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("list has %d numbers, want %d", len(got), len(want))
	}
	for i := range got {
		d := math.Abs(float64(got[i]) - want[i])
		if !(d <= r.tolerance) {
			return fmt.Errorf("%d is %v, want %v within %.2g", i, got[i], want[i], r.tolerance)
		}
		r.worst = max(r.worst, d)
	}
	return nil
}

func step(b backend.Backend, row backend.Row) (backend.RowOut, error) {
	batch := &backend.Batch{Rows: []backend.Row{row}}
	if err := b.Launch(batch); err != nil {
		return backend.RowOut{}, err
	}
	if err := b.Collect(batch); err != nil {
		return backend.RowOut{}, err
	}
	if len(batch.Out) != 1 {
		return backend.RowOut{}, errors.New("no output")
	}
	return batch.Out[0], nil
}
