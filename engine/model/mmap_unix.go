//go:build linux || darwin || freebsd || netbsd || openbsd

package model

import (
	"fmt"
	"os"
	"syscall"
)

// mapFile maps the first size bytes (≥ 1) of f read-only, and returns the way to
// release them.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	if int64(int(size)) != size {
		return nil, nil, fmt.Errorf("%d bytes don't fit the address space", size)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
