// Package kernels holds the CUDA kernels of the engine as source text, the sizes they are compiled
// for, and Go's view of their parameters.
//
// It compiles and launches nothing: engine/cuda/image turns the sources into what a device loads, and
// engine/cuda plans the launches. dev.h says how the same sources run on a GPU and in tests on a CPU.
package kernels

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

//go:embed *.cu *.h
var sources embed.FS

// Files are the sources by name: units that end in .cu, each complete in itself, and headers.
func Files() map[string][]byte {
	files := map[string][]byte{}
	entries, err := fs.ReadDir(sources, ".")
	if err != nil {
		panic(err) // embedded
	}
	for _, e := range entries {
		data, err := sources.ReadFile(e.Name())
		if err != nil {
			panic(err)
		}
		files[e.Name()] = data
	}
	return files
}

// Units are the names of the units, in order. A compiler may take them one by one, or all as one program.
func Units() []string {
	var units []string
	for _, name := range slices.Sorted(maps.Keys(Files())) {
		if strings.HasSuffix(name, ".cu") {
			units = append(units, name)
		}
	}
	return units
}

// Digest is the SHA-256 of all sources and their names, in hexadecimal.
func Digest() string {
	h := sha256.New()
	files := Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n", name, len(files[name]))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
