//go:build native

package engine

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
	"github.com/paceline/paceline/engine/model"
)

const dir = "../../../engine/model/robotstories"

// emulate makes the emulator the machine's device.
func emulate(t *testing.T) {
	t.Helper()
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := kernels.ShapeOf(m.Config, kernels.BF16)
	if err != nil {
		t.Fatal(err)
	}
	library, code := simt.Library(t), simt.Module(t, simt.Source{Files: kernels.Files(), Defines: s.Defines()})
	cache := t.TempDir()
	t.Setenv("CUDA_LIB", library)
	t.Setenv("PACELINE_CACHE", cache)
	t.Setenv("SIMT_MEM_MB", "600")
	if err := (image.Store{Folder: filepath.Join(cache, "kernels")}).Put(image.Key(s, image.Emulator), "test", code); err != nil {
		t.Fatal(err)
	}
}

// TestRefusesAnEmulator: what has no speed isn't measured.
func TestRefusesAnEmulator(t *testing.T) {
	emulate(t)
	target, err := Open(t.Context(), engine.Options{ModelDir: dir, Backend: "cuda"})
	if err == nil {
		target.Close()
	}
	if err == nil || !strings.Contains(err.Error(), `on "SIMT host emulator"`) || !strings.Contains(err.Error(), "has no speed") {
		t.Errorf("opened with error %v", err)
	}
}
