//go:build native

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
	"github.com/paceline/paceline/engine/model"
)

// TestSmoke runs everything but the tests on the emulator: no figure comes of it.
func TestSmoke(t *testing.T) {
	c, err := model.PresetConfig("tiny")
	if err != nil {
		t.Fatal(err)
	}
	s, err := kernels.ShapeOf(c, kernels.BF16)
	if err != nil {
		t.Fatal(err)
	}
	library, code := simt.Library(t), simt.Module(t, simt.Source{Files: kernels.Files(), Defines: s.Defines()})
	dir := t.TempDir()
	if err := (image.Store{Folder: filepath.Join(dir, "kernels")}).Put(image.Key(s, image.Emulator), "test", code); err != nil {
		t.Fatal(err)
	}
	probe := simt.Module(t, simt.Source{Files: map[string][]byte{"dev.h": kernels.Files()["dev.h"], "probe.cu": []byte(probeSource)}})
	if err := os.WriteFile(probeFile(filepath.Join(dir, "kernels"), image.Emulator), probe, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CGO_ENABLED", "0")
	program := filepath.Join(dir, "gpucheck")
	if out, err := exec.Command("go", "build", "-tags", "native", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check := func(args ...string) (string, error) {
		cmd := exec.Command(program, append(args, "-out", dir)...)
		cmd.Env = append(os.Environ(), "CUDA_LIB="+library, "PACELINE_CACHE="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err == nil || !strings.Contains(out, "an emulator, which has no speed") {
		t.Errorf("measured an emulator: %v\n%s", err, out)
	}
	if out, err := check("-smoke"); err != nil || strings.Contains(out, "skipped: no code") {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "gpucheck.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil || !r.Emulated || len(r.Figures) > 0 || r.Copy != 0 || len(r.Problems) > 0 {
		t.Errorf("error %v, %s", err, data)
	}
	table, err := os.ReadFile(filepath.Join(dir, "gpucheck.md"))
	if err != nil || !strings.Contains(string(table), "This is an emulator") {
		t.Errorf("error %v, %s", err, table)
	}
}

func TestPeers(t *testing.T) {
	list, err := parsePeers([]byte("INFO starting\n{\"name\": \"vllm\", \"version\": \"0.9\", \"decode_tok_per_s\": 900, \"workload_tok_per_s\": 30000}\n{\"name\": \"transformers\", \"version\": \"5\", \"why\": \"no CUDA\"}\n{broken\n"))
	if err == nil || !strings.Contains(err.Error(), "{broken") || len(list) != 2 {
		t.Errorf("%+v, error %v", list, err)
	}
	if got := list[0].words(); got != "900 tok/s for one sequence, 30000 tok/s for the workload of 256 requests" {
		t.Errorf("%q", got)
	}
	if python, err := exec.LookPath("python3"); err == nil { // with none of its libraries it says nothing
		if out, err := exec.Command(python, "-S", "peers.py", t.TempDir()).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("peers.py without peers: %v, %s", err, out)
		}
	}
}

func TestMarkdown(t *testing.T) {
	r := report{Copy: 4000, Figures: []figure{{What: "decode", Weights: "w8", Batch: 64, Median: 500000, P90: 600000, Rate: 128000, Share: 0.5}}, Problems: []string{"tests: one failed"}}
	if s := r.markdown(); !strings.Contains(s, "| decode | w8 | 64 | 0 | 500µs | 600µs | 128000 | 50 % |") || !strings.Contains(s, "**Problem:** tests: one failed") {
		t.Errorf("got\n%s", s)
	}
	if got := countTests("=== RUN   TestA\n--- PASS: TestA (0.1s)\n    --- FAIL: TestB/c (0.2s)\n--- SKIP: TestD (0.0s)\n"); got.Passed != 1 || got.Failed != 1 || got.Skips != 1 {
		t.Errorf("%+v", got)
	}
}
