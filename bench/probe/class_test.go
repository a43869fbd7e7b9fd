package probe

import (
	"testing"

	"github.com/paceline/paceline/bench/result"
)

func TestGPUClass(t *testing.T) {
	h100 := result.GPU{UUID: "GPU-1", Model: "NVIDIA H100 80GB HBM3", MemoryBytes: 80 << 30, Driver: "570.86.15", PowerLimitW: 700}
	l4 := h100
	l4.Model = "NVIDIA L4"
	capped := h100
	capped.PowerLimitW = 500
	odd := h100
	odd.Driver = "unknown"
	for _, c := range []struct {
		name string
		gpus []result.GPU
		want result.Hardware
		ok   bool
	}{
		{"two alike", []result.GPU{h100, h100}, result.Hardware{GPUModel: h100.Model, GPUCount: 2, GPUMemory: 80 << 30, GPUPower: "700 W", DriverMajor: 570}, true},
		{"two models", []result.GPU{h100, l4}, result.Hardware{}, false},
		{"two power limits", []result.GPU{h100, capped}, result.Hardware{}, false},
		{"none", nil, result.Hardware{}, false},
		{"driver without a number", []result.GPU{odd}, result.Hardware{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			hw := result.Hardware{CPUModel: "a CPU", Cores: 8, ISA: "avx2", Governor: "performance"}
			if !c.ok {
				c.want = hw
			}
			err := GPUClass(&hw, c.gpus)
			if (err == nil) != c.ok || hw != c.want {
				t.Errorf("class %+v, error %v; want %+v, ok %v", hw, err, c.want, c.ok)
			}
		})
	}
}
