//go:build native

package cuda

import (
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/model"
)

// TestShapes compares with transformers' float64, a prompt of 8,192 tokens included.
func TestShapes(t *testing.T) {
	d := device(t)
	for _, s := range goldentest.Shapes() {
		t.Run(s.Name, func(t *testing.T) {
			goldentest.Run(t, s, goldentest.Make(t, s), func(c *model.Checkpoint) (backend.Backend, error) {
				return open(c, Options{MaxContext: min(s.Config.MaxPositions, 8192), Pages: max(64, 2+s.Count()/backend.PageTokens)}, d, 0, codeFor(t, false))
			}, goldentest.Bfloat16(s), 64, s.Count())
		})
	}
}
