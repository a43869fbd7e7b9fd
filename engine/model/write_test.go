package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWeightsWriterRefuses(t *testing.T) {
	src, dir := mustOpen(t, makeModel(t, smallest(false))), t.TempDir()
	w, err := NewWeightsWriter(dir, src, "w8")
	if err != nil {
		t.Fatal(err)
	}
	norm, err := src.Tensor("model.norm.weight")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put(norm); err != nil {
		t.Fatal(err)
	}
	if err := w.Put(norm); err == nil || !strings.Contains(err.Error(), "written before") {
		t.Errorf("twice the same tensor: %v", err)
	}
	if err := w.Put(Tensor{Name: headName, Data: []byte{1}}); err == nil || !strings.Contains(err.Error(), "1 bytes, want") {
		t.Errorf("a tensor too short: %v", err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "never written") {
		t.Errorf("closed too early: %v", err)
	}
}

// TestSwapByThree is for file systems that can't swap in one step.
func TestSwapByThree(t *testing.T) {
	parent := t.TempDir()
	a, b := filepath.Join(parent, "a"), filepath.Join(parent, "b")
	for _, dir := range []string{a, b} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "name", []byte(filepath.Base(dir)))
	}
	if err := swapByThree(a, b); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{a: "b", b: "a"} {
		if got, err := os.ReadFile(filepath.Join(dir, "name")); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", dir, got, err, want)
		}
	}
	if err := swapByThree(a, filepath.Join(parent, "none")); err == nil {
		t.Error("swapped with nothing")
	}
}
