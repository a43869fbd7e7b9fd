//go:build native

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadPrompts: generate and score say what is wrong with a prompt, with the exit code of a
// bad request, on both backends.
func TestBadPrompts(t *testing.T) {
	for _, backend := range []string{"cpu", "ref"} {
		on := func(args ...string) []string {
			return append([]string{args[0], "robot-stories", "--backend", backend}, args[1:]...)
		}
		paceline(t, on("generate", "--ids", "1,999999")...).expect(t, exitRequest, "prompt token 1 is 999999")
		paceline(t, on("generate", "--ids", "1,-2")...).expect(t, exitRequest, "no id")
		paceline(t, on("generate", "--ids", "99999999999")...).expect(t, exitRequest, "no id")
		paceline(t, on("generate", "--context", "64", "--raw", strings.Repeat("a robot ", 100))...).expect(t, exitRequest, "the context 64 positions", "shorten the prompt")
		paceline(t, on("generate", "--context", "1000000", "hello")...).expect(t, exitRequest, "the model's limit")
		paceline(t, append([]string{"model"}, on("score", "--ids", "999999")...)...).expect(t, exitRequest, "999999")
		paceline(t, append([]string{"model"}, on("score", "--context", "64", "--ids", strings.Repeat("1,", 64)+"1")...)...).expect(t, exitRequest, "65")
	}
}

// TestPoisonedModel: a weight that is no number is found when the model is opened.
func TestPoisonedModel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	paceline(t, "model", "synth", "tiny", dir).expect(t, exitOK)
	path := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint16(data[len(data)-2:], 0x7fc0)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, backend := range []string{"cpu", "ref"} {
		paceline(t, "generate", dir, "--backend", backend, "hello").expect(t, exitRequest, "model.norm.weight", "finite numbers only")
	}
}
