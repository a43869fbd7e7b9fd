package agent

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// TestEnvironment: a round on a GPU is kept under that GPU, as the agent has read it.
func TestEnvironment(t *testing.T) {
	gpu := func(uuid string) result.GPU {
		return result.GPU{UUID: uuid, Model: "NVIDIA H100", MemoryBytes: 80 << 30, Driver: "570.86.15", PowerLimitW: 700}
	}
	seen := result.Environment{MachineID: "m", Hardware: result.Hardware{CPUModel: "a CPU", Cores: 8}, GPUs: []result.GPU{gpu("GPU-a"), gpu("GPU-b")}}
	if got, err := environment(seen, result.Environment{Hardware: result.Hardware{CPUModel: "what the worker says"}}); err != nil || !cmp.Equal(got, seen) {
		t.Errorf("on the CPU: %+v, error %v", got, err)
	}
	told := result.Environment{Hardware: result.Hardware{GPUCount: 1, GPUModel: "a better one"}, GPUs: []result.GPU{{UUID: "GPU-b", Model: "a better one"}}}
	got, err := environment(seen, told)
	want := result.Environment{
		MachineID: "m", GPUs: []result.GPU{gpu("GPU-b")},
		Hardware: result.Hardware{GPUModel: "NVIDIA H100", GPUCount: 1, GPUMemory: 80 << 30, GPUPower: "700 W", DriverMajor: 570},
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("on a GPU: %s, error %v", cmp.Diff(want, got), err)
	}
	told.GPUs[0].UUID = "GPU-c"
	var we *wire.Error
	if _, err := environment(seen, told); !errors.As(err, &we) || we.Class != wire.ClassMachine || !strings.Contains(we.Message, "GPU-c") {
		t.Errorf("on a GPU that isn't there: %v", err)
	}
}
