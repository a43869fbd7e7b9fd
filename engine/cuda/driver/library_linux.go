//go:build amd64 || arm64

package driver

import (
	"syscall"

	"github.com/ebitengine/purego"
)

// supported says whether this system has the driver at all.
func supported() error { return nil }

// openLibrary opens a library; global lets libraries that are opened later use its symbols. The caller is locked to its
// thread: what goes wrong is told to the thread on which it does.
func openLibrary(path string, global bool) (uintptr, error) {
	mode := purego.RTLD_NOW | purego.RTLD_LOCAL
	if global {
		mode = purego.RTLD_NOW | purego.RTLD_GLOBAL
	}
	return purego.Dlopen(path, mode)
}

// lookUp is the address of a library's function.
func lookUp(library uintptr, name string) (uintptr, error) { return purego.Dlsym(library, name) }

// mapPage is n bytes of zeros that the garbage collector doesn't know.
func mapPage(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

func unmapPage(page []byte) error { return syscall.Munmap(page) }
