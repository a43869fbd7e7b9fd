//go:build !native

package cuda

import (
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// Open says that this build has no engine; the error wraps backend.ErrUnavailable.
func Open(*model.Checkpoint, Options) (backend.Backend, error) {
	return nil, fmt.Errorf("open the cuda backend: %w: this build has no engine: use the native build", backend.ErrUnavailable)
}
