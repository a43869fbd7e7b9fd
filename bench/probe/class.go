package probe

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/paceline/paceline/bench/result"
)

// GPUClass makes the hardware class that of a target that uses the given GPUs, which
// must be alike. Its CPU part goes: what measures on a GPU is compared whatever host it has.
func GPUClass(hw *result.Hardware, gpus []result.GPU) error {
	if len(gpus) == 0 {
		return errors.New("name the GPU class: no GPU is used")
	}
	first := gpus[0]
	for _, g := range gpus[1:] {
		if g.Model != first.Model || g.MemoryBytes != first.MemoryBytes || g.MIG != first.MIG || g.PowerLimitW != first.PowerLimitW {
			return fmt.Errorf("name the GPU class: GPU %d (%s) and GPU %d (%s) are not alike: use GPUs of one kind", first.Index, first.Model, g.Index, g.Model)
		}
	}
	major, _, _ := strings.Cut(first.Driver, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return fmt.Errorf("name the GPU class: driver version %q has no major number", first.Driver)
	}
	hw.CPUModel, hw.Cores, hw.ISA, hw.Governor = "", 0, "", ""
	hw.GPUModel, hw.GPUCount, hw.GPUMemory, hw.GPUMIG = first.Model, len(gpus), first.MemoryBytes, first.MIG
	hw.GPUPower = strconv.FormatFloat(first.PowerLimitW, 'f', 0, 64) + " W"
	hw.DriverMajor = n
	return nil
}
