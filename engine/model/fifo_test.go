//go:build linux || darwin

package model

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpenPipe: opening a pipe that nobody writes to would block for ever.
func TestOpenPipe(t *testing.T) {
	dir := makeModel(t, smallest(true))
	path := filepath.Join(dir, weightsFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	checkError(t, err, ErrInvalid, "no regular file")
}
