//go:build native

package cpu

/*
#cgo CFLAGS: -std=c11 -O3 -Wall -Wextra -Werror
#cgo LDFLAGS: -lm -lpthread
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/paceline/paceline/engine/backend"
)

// envISA forces a kernel set, for tests of the slower ones on a fast machine.
const envISA = "PACELINE_CPU_ISA"

// kernelSet is one row of the table of kernels.
type kernelSet struct {
	name string
	have bool // this machine can run it
	c    *C.pl_kernels
}

// kernelSets is the table of this build, best first.
func kernelSets() []kernelSet {
	var sets []kernelSet
	for i := C.int32_t(0); ; i++ {
		var have C.int32_t
		k := C.pl_isa(i, &have)
		if k == nil {
			return sets
		}
		sets = append(sets, kernelSet{C.GoString(k.name), have != 0, k})
	}
}

// Available is the names of the kernel sets that this build and machine can run,
// best first.
func Available() []string {
	var names []string
	for _, k := range kernelSets() {
		if k.have {
			names = append(names, k.name)
		}
	}
	return names
}

// chooseISA is the kernel set called name, or the environment's, or the best.
func chooseISA(name string) (kernelSet, error) {
	from := "option ISA"
	if name == "" {
		name, from = os.Getenv(envISA), envISA
	}
	sets := slices.DeleteFunc(kernelSets(), func(k kernelSet) bool { return !k.have })
	if name == "" {
		return sets[0], nil
	}
	for _, k := range sets {
		if k.name == name {
			return k, nil
		}
	}
	return kernelSet{}, fmt.Errorf("%w: %s asks for the kernel set %q, this machine can run: %s",
		backend.ErrUnavailable, from, name, strings.Join(Available(), ", "))
}
