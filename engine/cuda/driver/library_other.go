//go:build !linux || !(amd64 || arm64)

package driver

import (
	"fmt"
	"runtime"
)

// supported says that this system has no driver.
func supported() error {
	return fmt.Errorf("CUDA needs Linux on amd64 or arm64, this is %s on %s: take the cpu backend", runtime.GOOS, runtime.GOARCH)
}

func openLibrary(string, bool) (uintptr, error) { return 0, supported() }
func lookUp(uintptr, string) (uintptr, error)   { return 0, supported() }
func mapPage(int) ([]byte, error)               { return nil, supported() }
func unmapPage([]byte) error                    { return supported() }
