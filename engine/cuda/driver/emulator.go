package driver

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ebitengine/purego"
)

// KernelCounts is what a kernel did on the emulator of tests.
type KernelCounts struct {
	Launches, Blocks, Threads int64
	MMA                       int64 `json:"mma"` // of warps
	Shuffles, Barriers        int64 // of warps
	Atomics                   int64
	Read, Written             int64 // bytes of device memory, of checked code
	DistinctRead              int64 `json:"distinct_read"` // each byte once a launch
	DistinctWritten           int64 `json:"distinct_written"`
}

// Traffic is what kernels of checked code did to an allocation, in bytes.
type Traffic struct{ Read, Written, DistinctRead, DistinctWritten int64 }

// Emulator is what only the emulator of tests has.
type Emulator struct {
	s       scratch
	symbols map[string]uintptr
}

// Emulator gives it, or an error on a real device.
func (d *Driver) Emulator() (*Emulator, error) {
	if !d.Emulated() {
		return nil, errors.New("count what kernels do: this is a real device, which doesn't tell")
	}
	e := &Emulator{symbols: map[string]uintptr{}}
	for _, name := range []string{"simtCounters", "simtForget", "simtTraffic", "simtCalls", "simtLeaks"} {
		a, err := lookUp(d.library, name)
		if err != nil {
			return nil, fmt.Errorf("%s lacks %s: build the emulator anew", d.path, name)
		}
		e.symbols[name] = a
	}
	var err error
	e.s, err = newScratch()
	return e, err
}

// Counts are those of all kernels since Forget.
func (e *Emulator) Counts() (map[string]KernelCounts, error) {
	purego.SyscallN(e.symbols["simtCounters"], e.s.at(0), scratchSize)
	counts := map[string]KernelCounts{}
	return counts, json.Unmarshal([]byte(e.s.text(0, scratchSize)), &counts)
}

// Forget lets counts begin again.
func (e *Emulator) Forget() { purego.SyscallN(e.symbols["simtForget"]) }

// Traffic is that of an allocation since it was made.
func (e *Emulator) Traffic(p Ptr) Traffic {
	purego.SyscallN(e.symbols["simtTraffic"], uintptr(p), e.s.at(0))
	n := func(i int) int64 { return int64(e.s.uint64(i)) }
	return Traffic{n(0), n(1), n(2), n(3)}
}

// Calls is how often a function of the driver was called.
func (e *Emulator) Calls(function string) (int, error) {
	p, err := e.s.put(function)
	if err != nil {
		return 0, err
	}
	n, _, _ := purego.SyscallN(e.symbols["simtCalls"], p)
	return int(int32(n)), nil
}

// Leaks is how many things of the driver exist.
func (e *Emulator) Leaks() int {
	n, _, _ := purego.SyscallN(e.symbols["simtLeaks"])
	return int(int32(n))
}
