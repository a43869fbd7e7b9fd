package sample

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/engine/backend"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew")

// golden is the shape of testdata/golden.json. Floats stand as the hexadecimal
// bits of their IEEE form, so that nothing is lost in text.
type golden struct {
	Comment string        `json:"comment"`
	Gumbel  []goldenFunc  `json:"gumbel"` // in: r; out: g(r), binary64
	Mass    []goldenFunc  `json:"mass"`   // in: z − zmax, binary64; out: w
	Tokens  []goldenToken `json:"tokens"`
	Edited  []goldenEdits `json:"edited"`
}

type goldenFunc struct {
	In  string `json:"in"`
	Out string `json:"out"`
}

// goldenToken is a row of Vocab logits, logit[i] = Scale · int32(Bits(LogitSeed, 0, i)) / 2^31,
// and what is drawn from it at positions 0, 1, 2, …
type goldenToken struct {
	Name        string  `json:"name"`
	Vocab       int     `json:"vocab"`
	LogitSeed   uint64  `json:"logit_seed"`
	Scale       float32 `json:"scale"` // a power of two
	Temperature float32 `json:"temperature"`
	TopK        int     `json:"top_k"`
	TopP        float32 `json:"top_p"`
	Seed        uint64  `json:"seed"`
	Tokens      []int32 `json:"tokens"`
}

func (g goldenToken) logits() []float32 {
	l := make([]float32, g.Vocab)
	for i := range l {
		l[i] = g.Scale * float32(float64(int32(Bits(g.LogitSeed, 0, int32(i))))/(1<<31))
	}
	return l
}

func (g goldenToken) sampling(position uint64) backend.Sampling {
	return backend.Sampling{
		Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, Seed: g.Seed, Position: position,
	}
}

// goldenRows are the questions; the answers come from the file.
func goldenRows() []goldenToken {
	return []goldenToken{
		{Name: "greedy", Vocab: 1000, LogitSeed: 1, Scale: 8},
		{Name: "plain", Vocab: 1000, LogitSeed: 2, Scale: 8, Temperature: 1, Seed: 7},
		{Name: "hot", Vocab: 1000, LogitSeed: 3, Scale: 8, Temperature: 3, Seed: 8},
		{Name: "cold", Vocab: 1000, LogitSeed: 4, Scale: 8, Temperature: 0.05, Seed: 9},
		{Name: "one id", Vocab: 1, LogitSeed: 5, Scale: 1, Temperature: 1, Seed: 1},
		{Name: "vocabulary not a multiple of four", Vocab: 1003, LogitSeed: 6, Scale: 1, Temperature: 1, Seed: 1 << 40},
		{Name: "top-k", Vocab: 1000, LogitSeed: 7, Scale: 2, Temperature: 1, TopK: 5, Seed: 2},
		{Name: "top-p", Vocab: 1000, LogitSeed: 8, Scale: 8, Temperature: 0.7, TopP: 0.9, Seed: 3},
		{Name: "tiny top-p", Vocab: 1000, LogitSeed: 9, Scale: 8, Temperature: 1, TopP: 1e-9, Seed: 4},
		{Name: "top-k and top-p", Vocab: 1000, LogitSeed: 10, Scale: 4, Temperature: 0.8, TopK: 40, TopP: 0.8, Seed: 5},
		{Name: "whole vocabulary", Vocab: 151936, LogitSeed: 11, Scale: 16, Temperature: 0.7, TopP: 0.9, Seed: 42},
		{Name: "whole vocabulary, flat", Vocab: 151936, LogitSeed: 12, Scale: 1, Temperature: 1, Seed: ^uint64(0)},
	}
}

// goldenEdits is a row of logits as in Tokens, what was said before, and what comes of it: the
// edits of the next draw, and what they draw at positions 0, 1, 2, …
type goldenEdits struct {
	Row        goldenToken     `json:"row"`
	Repetition float32         `json:"repetition"`
	Presence   float32         `json:"presence"`
	Frequency  float32         `json:"frequency"`
	Bias       []goldenBias    `json:"bias"`
	Forbid     []int32         `json:"forbid"`
	Until      int             `json:"until"`
	Prompt     []int32         `json:"prompt"`
	Generated  []int32         `json:"generated"`
	Edits      []goldenOneEdit `json:"edits"`
}

type goldenBias struct {
	ID  int32   `json:"id"`
	Add float32 `json:"add"`
}

type goldenOneEdit struct {
	ID     int32  `json:"id"`
	Repeat bool   `json:"repeat"`
	Add    string `json:"add"` // binary32
}

func (g goldenEdits) editor() *Editor {
	p := Penalties{Repetition: g.Repetition, Presence: g.Presence, Frequency: g.Frequency}
	for _, b := range g.Bias {
		p.Bias = append(p.Bias, Bias(b))
	}
	e := NewEditor(p, g.Prompt, g.Forbid, g.Until)
	for _, id := range g.Generated {
		e.Drew(id)
	}
	return e
}

// goldenEdited are the questions with edits.
func goldenEdited() []goldenEdits {
	row := func(name string, seed uint64, temperature, topP float32) goldenToken {
		return goldenToken{Name: name, Vocab: 1000, LogitSeed: seed, Scale: 8, Temperature: temperature, TopP: topP, Seed: seed}
	}
	said := []int32{5, 9, 9, 511, 5, 5}
	return []goldenEdits{
		{Row: row("repetition, greedy", 21, 0, 0), Repetition: 1.3, Prompt: said, Generated: []int32{994, 993, 3}},
		{Row: row("repetition, drawn", 22, 0.7, 0.9), Repetition: 1.3, Prompt: said, Generated: []int32{994, 993, 3}},
		{Row: row("repetition under one", 23, 1, 0), Repetition: 0.7, Prompt: said},
		{Row: row("presence", 24, 1, 0.5), Presence: 1.1, Prompt: said, Generated: said},
		{Row: row("frequency", 25, 1, 0.5), Frequency: 0.3, Generated: said},
		{Row: row("negative frequency", 26, 1, 0.5), Frequency: -1.7, Generated: said},
		{Row: row("bias", 27, 1, 0), Bias: []goldenBias{{17, 3.5}, {3, -100}, {900, 0.1}}},
		{Row: row("forbidden so far", 28, 0, 0), Forbid: []int32{7, 1, 462}, Until: 4, Generated: []int32{1, 2, 3}},
		{Row: row("allowed by now", 28, 0, 0), Forbid: []int32{7, 1, 462}, Until: 3, Generated: []int32{1, 2, 3}},
		{
			Row: row("everything", 29, 0.8, 0.95), Repetition: 1.1, Presence: 0.4, Frequency: 0.2,
			Bias: []goldenBias{{5, 2}, {9, -1}}, Forbid: []int32{5, 0}, Until: 10, Prompt: said, Generated: []int32{9, 511, 9, 42},
		},
	}
}

func bits64(f float64) string { return fmt.Sprintf("%016x", math.Float64bits(f)) }

func answer() golden {
	g := golden{Comment: "vectors of the definition in the package comment; floats are the bits of their IEEE form"}
	for _, r := range []uint32{0, 1, 2, 0x7fffffff, 0x80000000, 0x9e3779b9, 0xfffffffe, 0xffffffff} {
		g.Gumbel = append(g.Gumbel, goldenFunc{fmt.Sprintf("%08x", r), bits64(Gumbel(r))})
	}
	exp2 := exp2Table()
	for _, x := range []float64{0, -1e-300, -0x1p-40, -0.5, -1, -math.Ln2, -3.25, -10, -20.125, -27.5, -27.75, -28, -29, math.Inf(-1)} {
		g.Mass = append(g.Mass, goldenFunc{bits64(x), fmt.Sprint(mass(&exp2, x))})
	}
	for _, row := range goldenRows() {
		var s Sampler
		logits := row.logits()
		for p := range uint64(24) {
			row.Tokens = append(row.Tokens, s.Token(logits, row.sampling(p)))
		}
		g.Tokens = append(g.Tokens, row)
	}
	for _, row := range goldenEdited() {
		edits := row.editor().Edits()
		if edits != nil {
			for _, e := range edits.List {
				row.Edits = append(row.Edits, goldenOneEdit{e.ID, e.Repeat, fmt.Sprintf("%08x", math.Float32bits(e.Add))})
			}
		}
		var s Sampler
		logits := row.Row.logits()
		for p := range uint64(12) {
			sampling := row.Row.sampling(p)
			sampling.Edits = edits
			row.Row.Tokens = append(row.Row.Tokens, s.Token(logits, sampling))
		}
		g.Edited = append(g.Edited, row)
	}
	return g
}

func TestGoldenVectors(t *testing.T) {
	got := answer()
	if *update {
		b, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/golden.json", append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("draws changed (−want +got): every backend and every stored result depends on them\n%s", d)
	}
}
