//go:build native

package cuda

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/backendtest"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
	"github.com/paceline/paceline/engine/model"
)

// narrow is a model with everything that a shape may have, and little of it.
func narrow() model.Config {
	return model.Config{
		Architecture: "Qwen2ForCausalLM", Layers: 2, MaxPositions: 512, RMSNormEps: 1e-6, BOS: -1, DType: "bfloat16", EOS: []int32{270},
		VocabSize: 277, HiddenSize: 32, IntermediateSize: 48, Heads: 4, KVHeads: 2, HeadDim: 16, RopeTheta: 1e4, TieEmbeddings: true,
	}
}

func synth(t testing.TB, c model.Config) *model.Checkpoint {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.SynthConfig(t.Context(), c, dir, model.SynthOptions{Seed: 3}); err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// device is the driver under test: the emulator, or where CUDA_LIB is set the one that it names, on whose first device
// the same tests run.
func device(t testing.TB) *driver.Driver {
	t.Helper()
	path := ""
	if os.Getenv("CUDA_LIB") == "" {
		path = simt.Library(t)
	}
	d, err := driver.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// codeFor is the code of the kernels for the device under test, checked where that is the emulator.
func codeFor(t testing.TB, check bool) Image {
	return func(s kernels.Shape, d driver.DeviceInfo) ([]byte, string, error) {
		if os.Getenv("CUDA_LIB") != "" {
			store, err := image.DefaultStore()
			if err != nil {
				return nil, "", err
			}
			f, err := image.Loader{Store: store}.Load(s, d)
			return f.Code, f.From, err
		}
		leaveKernels(t, s)
		return simt.Module(t, simt.Source{Files: kernels.Files(), Defines: s.Defines(), Check: check}), "the emulator", nil
	}
}

// leaveKernels keeps the kernels of a shape for machines without a compiler, where simt.Leave would.
func leaveKernels(t testing.TB, s kernels.Shape) {
	t.Helper()
	store := image.Store{Folder: os.Getenv("CUDA_CODE")}
	for _, arch := range simt.Architectures() {
		if code, _, _ := store.Get(image.Key(s, arch)); code != nil {
			continue
		}
		n, err := driver.OpenNVRTC("")
		if err != nil {
			t.Fatal(err)
		}
		code, err := image.Compile(n, s, arch)
		if err == nil {
			err = store.Put(image.Key(s, arch), image.CompilerName(n), code)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestConformanceChecked is the same on checked code, for PACELINE_DEEP=1: a minute.
func TestConformanceChecked(t *testing.T) {
	if os.Getenv("PACELINE_DEEP") == "" {
		return
	}
	m, d := synth(t, narrow()), device(t)
	backendtest.Run(t, func(t *testing.T) backend.Backend {
		b, err := open(m, Options{Pages: 24}, d, 0, codeFor(t, true))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestConformance(t *testing.T) {
	m, d := synth(t, narrow()), device(t)
	backendtest.Run(t, func(t *testing.T) backend.Backend {
		b, err := open(m, Options{Pages: 24}, d, 0, codeFor(t, false))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
