//go:build native

package cuda

import (
	"os"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/model"
)

// TestShapes compares with transformers' float64. A prompt of 8,192 tokens takes the emulator minutes, so that it is
// for PACELINE_DEEP=1.
func TestShapes(t *testing.T) {
	d := device(t)
	for _, s := range goldentest.Shapes() {
		if s.Count() > maxTokens && os.Getenv("PACELINE_DEEP") == "" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			goldentest.Run(t, s, goldentest.Make(t, s), func(c *model.Checkpoint) (backend.Backend, error) {
				return open(c, Options{MaxContext: min(s.Config.MaxPositions, 8192), Pages: 64}, d, 0, emulated(t, false))
			}, goldentest.Bfloat16(s), 64, s.Count())
		})
	}
}
