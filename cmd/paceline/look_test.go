//go:build native

package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// golden reads the named case of what transformers computed with the shipped model.
func golden[T any](t *testing.T, file string, named func(T) bool) T {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "engine", "model", "testdata", "goldens", file))
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Cases []T `json:"cases"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(f.Cases, named)
	if i < 0 {
		t.Fatalf("%s has no such case", file)
	}
	return f.Cases[i]
}

// printed is the one JSON document that a command prints.
func printed[T any](t *testing.T, args ...string) (v T) {
	t.Helper()
	o := paceline(t, args...)
	o.expect(t, exitOK)
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
		t.Fatalf("%v prints %.200q: %v", args, o.stdout, err)
	}
	return v
}

// list writes ids as --ids takes them.
func list(ids []int32) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = strconv.Itoa(int(id))
	}
	return strings.Join(s, ",")
}

func TestGenerate(t *testing.T) {
	type greedy struct {
		Name         string
		IDs          []int32
		Continuation []int32
	}
	c := golden(t, "greedy.json", func(c greedy) bool { return c.Name == "the prompt" })
	n := strconv.Itoa(len(c.Continuation))
	got := printed[generation](t, "generate", "robot-stories", "--ids", list(c.IDs), "--greedy", "--ignore-eos", "-n", n, "--json")
	if !slices.Equal(got.IDs, c.Continuation) || !slices.Equal(got.Prompt, c.IDs) || got.Finish != "length" {
		t.Errorf("got %v (%s) after %v, want %v", got.IDs, got.Finish, got.Prompt, c.Continuation)
	}
	// The same question as words: without a model, with one, and with the default text.
	question := "Write a short story about a robot."
	want := paceline(t, "generate", "--greedy")
	want.expect(t, exitOK, "robot", "finish stop")
	story, _, _ := strings.Cut(want.stdout, "\n\n")
	for _, args := range [][]string{{question}, {"robot-stories", question}} {
		o := paceline(t, append([]string{"generate", "--greedy"}, args...)...)
		o.expect(t, exitOK, story)
	}
	paceline(t, "generate", "robot-storeis").expect(t, exitRequest, `no model "robot-storeis"`, "robot-stories")
}

func TestScore(t *testing.T) {
	type logits struct {
		Name      string
		IDs       []int32
		Argmax    int32
		LogSumExp float64
		Logits    []float64
	}
	c := golden(t, "logits.json", func(c logits) bool { return len(c.IDs) > 1 })
	got := printed[scored](t, "model", "score", "robot-stories", "--ids", list(c.IDs), "--compute", "f32", "--json")
	if got.Argmax != c.Argmax || math.Abs(got.LogSumExp-c.LogSumExp) > 2e-4 || len(got.Logits) != len(c.Logits) {
		t.Errorf("%s: argmax %d, log-sum-exp %v of %d logits; want %d, %v, %d", c.Name, got.Argmax, got.LogSumExp, len(got.Logits), c.Argmax, c.LogSumExp, len(c.Logits))
	}
	paceline(t, "model", "score", "robot-stories", "--text", "The robot was happy.").expect(t, exitOK, "sum of log-probabilities")
	paceline(t, "model", "score", "robot-stories").expect(t, exitRequest, "--ids", "--text")
}

func TestTokenize(t *testing.T) {
	type text struct {
		Text string
		IDs  []int32
	}
	c := golden(t, "tokenize.json", func(c text) bool { return strings.Contains(c.Text, "robot") })
	got := printed[struct {
		IDs   []int32
		Count int
	}](t, "model", "tokenize", "robot-stories", c.Text, "--json")
	if !slices.Equal(got.IDs, c.IDs) || got.Count != len(c.IDs) {
		t.Errorf("%q: got %v, want %v", c.Text, got.IDs, c.IDs)
	}
}

// TestSynthetic: what random weights say is called synthetic wherever it is shown.
func TestSynthetic(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	paceline(t, "model", "synth", "tiny", dir).expect(t, exitOK, "synthetic")
	paceline(t, "model", "inspect", dir).expect(t, exitOK, "SYNTHETIC", "Qwen2ForCausalLM")
	paceline(t, "generate", dir, "-n", "4").expect(t, exitOK, "synthetic weights")
	if s := printed[scored](t, "model", "score", dir, "--ids", "1,2", "--json"); !s.Synthetic {
		t.Error("the score doesn't say that it is synthetic")
	}
	paceline(t, "model", "synth", "gpt-9", filepath.Join(t.TempDir(), "x")).expect(t, exitRequest, "qwen2.5-0.5b")
	data, report := t.TempDir(), filepath.Join(t.TempDir(), "out.html")
	paceline(t, "run", quick(t), "--model", dir, "--data", data, "--report", report).expect(t, exitOK, "synthetic")
	if b, err := os.ReadFile(report); err != nil || !strings.Contains(string(b), "synthetic") {
		t.Errorf("the report doesn't say synthetic: %v", err)
	}
}

func TestSuites(t *testing.T) {
	o := paceline(t, "suite", "list")
	o.expect(t, exitOK, "ci", "optimisations", "prefix-cache", "streaming", "throughput", "token-accuracy", "ttft")
	for _, line := range strings.Split(strings.TrimSpace(o.stdout), "\n") {
		name := strings.Fields(line)[0]
		paceline(t, "suite", "validate", name).expect(t, exitOK, "valid")
		paceline(t, "suite", "expand", name).expect(t, exitOK, "CELL", "digest")
	}
}
