//go:build native

package cpu

import (
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/backendtest"
)

// TestConformance holds every kernel set to the suite of all backends, with both
// types of activations and with threads even where one would be faster.
func TestConformance(t *testing.T) {
	m := checkpoint(t, shapes()["group"])
	for _, compute := range []string{"f32", "bf16"} {
		t.Run(compute, func(t *testing.T) {
			eachISA(t, func(t *testing.T, k kernelSet) {
				backendtest.Run(t, func(t *testing.T) backend.Backend {
					e, err := openOn(m, Options{ISA: k.name, Compute: compute}, cores())
					if err != nil {
						t.Fatal(err)
					}
					e.solo = 0
					return e
				})
			})
		})
	}
}
