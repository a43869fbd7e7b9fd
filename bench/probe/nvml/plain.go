//go:build !native

package nvml

import (
	"fmt"

	"github.com/paceline/paceline/bench/probe"
)

// Open fails with an error that wraps probe.ErrAbsent: this build has no NVML.
func Open() (probe.Sampler, error) {
	return nil, fmt.Errorf("read GPUs through NVML: this build has no NVML: use the native build (%w)", probe.ErrAbsent)
}
