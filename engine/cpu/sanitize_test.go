//go:build native && (asan || tsan)

package cpu

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// envPlant names the defect that a copy of the test's own process commits.
const envPlant = "PACELINE_TEST_PLANT"

// TestSanitizerSees plants one defect of each kind in a process of its own, and wants
// the sanitizer to end it: otherwise its silence about the kernels would mean nothing.
func TestSanitizerSees(t *testing.T) {
	if kind := os.Getenv(envPlant); kind != "" {
		plant(kind)
		return
	}
	for kind, want := range seen {
		t.Run(kind, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestSanitizerSees$")
			cmd.Env = append(os.Environ(), envPlant+"="+kind)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("the process ended with %v, want an error and %q in what it says:\n%s", err, want, out)
			}
		})
	}
}

func plant(kind string) {
	k := kernelSets()[len(kernelSets())-1]
	switch kind {
	case "overrun": // into the next piece of a region
		var r region
		var first, second *float32
		reserve(&r, &first, 64)
		reserve(&r, &second, 64)
		if err := r.open("a test"); err != nil {
			panic(err)
		}
		k.round(unsafe.Slice(first, 64+16), nil)
	case "misaligned": // floats at an odd address
		x, y := make([]byte, 17*4), make([]float32, 16)
		k.rmsNorm(y, unsafe.Slice((*float32)(unsafe.Pointer(&x[1])), 16), y, 16, 1)
	case "race": // two threads write the same numbers
		x := make([]float32, 1<<16)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				runtime.LockOSThread()
				for range 200 {
					k.round(x, nil)
				}
			})
		}
		both.Wait()
	}
}
