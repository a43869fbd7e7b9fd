//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package model

import (
	"io"
	"os"
)

// mapFile reads the first size bytes of f, where there is no memory mapping.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), data); err != nil {
		return nil, nil, err
	}
	return data, func() error { return nil }, nil
}
