//go:build !native

// Command gpucheck needs the native flavour: -tags native (cgo isn't needed).
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "gpucheck: built without the engine: build it with -tags native")
	os.Exit(1)
}
