//go:build native

package engine

import (
	"strings"
	"testing"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/cuda/simt/machine"
)

const dir = "../../../engine/model/robotstories"

// TestRefusesAnEmulator: what has no speed isn't measured.
func TestRefusesAnEmulator(t *testing.T) {
	machine.Emulate(t, dir)
	target, err := Open(t.Context(), engine.Options{ModelDir: dir, Backend: "cuda"})
	if err == nil {
		target.Close()
	}
	if err == nil || !strings.Contains(err.Error(), `on "SIMT host emulator"`) || !strings.Contains(err.Error(), "has no speed") {
		t.Errorf("opened with error %v", err)
	}
}
