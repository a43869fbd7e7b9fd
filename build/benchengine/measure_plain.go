//go:build !native

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// measureMain says that this flavour has no engine.
func measureMain(_ context.Context, _ []string, _, stderr io.Writer) int {
	fmt.Fprintln(stderr, "benchengine: this build has no engine: build it with -tags native, as 'make bench-engine' does")
	return 2
}

// reader is nil: this flavour has no engine.
func reader() func() float64 { return nil }

// syntheticModel says that this flavour can make none.
func syntheticModel(context.Context, io.Writer) (string, error) {
	return "", errors.New("this build can't make the synthetic model: build it with -tags native, as 'make bench-engine' does, or name a folder by -model")
}

// packedModel says that this flavour can quantise none.
func packedModel(_ context.Context, _, format string, _ io.Writer) (string, error) {
	return "", fmt.Errorf("this build can't quantise the model: build it with -tags native, as 'make bench-engine' does, or name a folder by -model-%s", format)
}
