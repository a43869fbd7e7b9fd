//go:build native

package cpu

import (
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/goldentest"
	"github.com/paceline/paceline/engine/model"
)

// TestShapes compares with transformers' float64, by every kernel set.
func TestShapes(t *testing.T) {
	for _, s := range goldentest.Shapes() {
		t.Run(s.Name, func(t *testing.T) {
			c := goldentest.Make(t, s)
			for _, isa := range Available() {
				t.Run(isa, func(t *testing.T) {
					goldentest.Run(t, s, c, func(c *model.Checkpoint) (backend.Backend, error) {
						return Open(c, Options{ISA: isa, MaxContext: min(s.Config.MaxPositions, 8192)})
					}, goldentest.Float32(s, s.Count()), 1, 7, 64, 100, s.Count())
				})
			}
		})
	}
}
