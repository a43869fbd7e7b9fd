//go:build !native

package main

import (
	"context"
	"io"

	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/machine"
)

// kernels: this build has none.
func kernels() []string { return nil }

// shippedModels: this build carries none.
func shippedModels() []machine.Model { return nil }

// readMachine reads the machine probe here: nothing is measured by this build that it
// would have to be kept apart from.
func readMachine(ctx context.Context) ([]result.Probe, error) {
	return host.Open().Probe(ctx, ""), ctx.Err()
}

// modelSpeed: this build knows nothing of kernels.
func modelSpeed(io.Writer) error {
	return fail(exitRequest, "model the speed of the CUDA backend: this build has no engine: use the native build")
}
