package ref

import (
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/backendtest"
	"github.com/paceline/paceline/engine/model"
)

// TestConformance uses a narrow model: the suite is about who depends on whom, and this
// backend is slow.
func TestConformance(t *testing.T) {
	c := tiny(t)
	c.HiddenSize, c.IntermediateSize, c.Heads, c.KVHeads, c.HeadDim = 64, 128, 2, 1, 32
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.SynthConfig(t.Context(), c, dir, model.SynthOptions{Seed: 3}); err != nil {
		t.Fatal(err)
	}
	backendtest.Run(t, func(t *testing.T) backend.Backend {
		return openDir(t, dir, Options{Pages: 24, MaxContext: 512})
	})
}
