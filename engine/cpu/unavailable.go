//go:build !native

package cpu

import (
	"fmt"
	"runtime/debug"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// Open says that this build has no C kernels; the error wraps
// backend.ErrUnavailable.
func Open(*model.Checkpoint, Options) (backend.Backend, error) {
	return nil, fmt.Errorf("open the cpu backend: %w: this build has no engine: use the native build", backend.ErrUnavailable)
}

// Available is the names of the kernel sets that this build and machine can run,
// best first: none.
func Available() []string { return nil }

// GiveBack returns to the system what lies free in Go's heap.
func GiveBack() { debug.FreeOSMemory() }
