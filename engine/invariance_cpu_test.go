//go:build native

package engine

import (
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// TestInvarianceOnCPU is the same with the preset's own shape.
func TestInvarianceOnCPU(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := model.Synth(t.Context(), "tiny", dir, model.SynthOptions{Seed: 2}); err != nil {
		t.Fatal(err)
	}
	holdInvariant(t, dir, "cpu", 3, 300, 0)
}
