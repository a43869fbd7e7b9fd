package simt

import (
	"errors"
	"testing"
)

// Library is the path of the fake driver for a test; without a compiler the test is skipped.
func Library(t testing.TB) string {
	t.Helper()
	path, err := builder(t).Library()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Module is a module's code for a test; without a compiler the test is skipped.
func Module(t testing.TB, s Source) []byte {
	t.Helper()
	image, err := builder(t).Module(s)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func builder(t testing.TB) *Builder {
	t.Helper()
	b, err := NewBuilder("")
	if errors.Is(err, ErrNoCompiler) {
		t.Skipf("the emulator of CUDA devices isn't built: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
