// Package machine makes the emulator the GPU of a test's process, for tests of what opens the CUDA backend by itself: a
// driver that CUDA_LIB names, and the kernels of a model in the cache.
package machine

import (
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
	"github.com/paceline/paceline/engine/model"
)

// Emulate sets the environment for the test and the processes that it starts. The kernels are those of the model in
// modelDir, in bf16; kept is the file that holds them.
func Emulate(t *testing.T, modelDir string) (kept string) {
	t.Helper()
	m, err := model.Open(modelDir)
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
	store := image.Store{Folder: filepath.Join(cache, "kernels")}
	key := image.Key(s, image.Emulator)
	if err := store.Put(key, "test", code); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(store.Folder, key+"-test.cubin")
}
