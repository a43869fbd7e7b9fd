//go:build !native

package nvml

import (
	"context"
	"fmt"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/health"
)

// Open fails with an error that wraps probe.ErrAbsent: this build has no NVML.
func Open(...string) (probe.Sampler, error) {
	return nil, errPlain()
}

// Look fails in the same way.
func Look(context.Context) ([]health.GPU, error) { return nil, errPlain() }

func errPlain() error {
	return fmt.Errorf("read GPUs through NVML: this build has no NVML: use the native build (%w)", probe.ErrAbsent)
}
