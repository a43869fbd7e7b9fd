package ref

import (
	"os"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/model"
)

// TestShapes compares with transformers' float64, in chunks of one size: that others give the
// same bits, TestBlocksGiveTheSameNumbers shows. A prompt of 8,192 tokens takes this
// backend seconds, so that it is for PACELINE_DEEP=1.
func TestShapes(t *testing.T) {
	for _, s := range goldentest.Shapes() {
		if s.Count() > maxTokens && os.Getenv("PACELINE_DEEP") == "" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			goldentest.Run(t, s, goldentest.Make(t, s), func(c *model.Checkpoint) (backend.Backend, error) {
				return Open(c, Options{MaxContext: min(s.Config.MaxPositions, 8192)})
			}, goldentest.Exact, 100)
		})
	}
}
