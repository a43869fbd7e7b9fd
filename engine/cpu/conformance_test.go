//go:build native

package cpu

import (
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/backendtest"
)

// TestConformance holds every kernel set to the suite of all backends, and the
// best one with rounded activations and with threads even where one would be
// faster; TestSameBits has the other combinations.
func TestConformance(t *testing.T) {
	m := checkpoint(t, shapes()["group"])
	run := func(t *testing.T, o Options, solo int) {
		backendtest.Run(t, func(t *testing.T) backend.Backend {
			e, err := openOn(m, o, Cores())
			if err != nil {
				t.Fatal(err)
			}
			e.solo = solo
			return e
		})
	}
	eachISA(t, func(t *testing.T, k kernelSet) { run(t, Options{ISA: k.name}, soloWork) })
	t.Run("bf16", func(t *testing.T) { run(t, Options{Compute: "bf16"}, soloWork) })
	t.Run("threads", func(t *testing.T) { run(t, Options{}, 0) })
}
