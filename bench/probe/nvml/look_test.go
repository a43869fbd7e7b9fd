//go:build native

package nvml

import (
	"errors"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/health"
)

// managed is gpu with what somebody has set, or with nothing that it tells.
func managed(d *mock.Device, ret nvml.Return) *mock.Device {
	d.GetPersistenceModeFunc = func() (nvml.EnableState, nvml.Return) { return nvml.FEATURE_DISABLED, ret }
	d.GetMaxClockInfoFunc = func(nvml.ClockType) (uint32, nvml.Return) { return 1980, ret }
	d.GetApplicationsClockFunc = func(nvml.ClockType) (uint32, nvml.Return) { return 1500, ret }
	d.GetDefaultApplicationsClockFunc = func(nvml.ClockType) (uint32, nvml.Return) { return 1755, ret }
	d.GetPowerManagementLimitFunc = func() (uint32, nvml.Return) { return 500_000, ret }
	d.GetPowerManagementDefaultLimitFunc = func() (uint32, nvml.Return) { return 700_000, ret }
	return d
}

func TestLook(t *testing.T) {
	got, err := look(t.Context(), server(managed(gpu(), ok), managed(bare(), nvml.ERROR_NOT_SUPPORTED)))
	if err != nil {
		t.Fatal(err)
	}
	const model, driver = "NVIDIA H100 80GB HBM3", "570.86.15"
	want := []health.GPU{{
		Index: 0, Model: model, UUID: "GPU-1", Driver: driver, MemoryBytes: 80 << 30, UsedBytes: new(int64(3 << 30)), Utilisation: new(0.42),
		Persistence: new(false), SMClockMHz: new(1000 + int(nvml.CLOCK_SM)), MaxClockMHz: new(1980), AppClockMHz: new(1500), AppDefaultMHz: new(1755),
		PowerLimitW: new(500.0), PowerDefaultW: new(700.0), TemperatureC: new(61),
		Throttle: []string{probe.ThrottleHWSlowdown, probe.ThrottleSWPowerCap}, ECCErrors: new(uint64(2)), Processes: []int{7, 8},
	}, {Index: 1, Model: model, UUID: "GPU-1", Driver: driver}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("GPUs (-want +got):\n%s", d)
	}
}

func TestLookWithoutGPU(t *testing.T) {
	none := server()
	none.InitFunc = func() nvml.Return { return nvml.ERROR_LIBRARY_NOT_FOUND }
	if _, err := look(t.Context(), none); !errors.Is(err, probe.ErrAbsent) {
		t.Errorf("error %v, want ErrAbsent", err)
	}
	lost := managed(gpu(), ok)
	lost.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_GPU_IS_LOST }
	if _, err := look(t.Context(), server(lost)); err == nil || errors.Is(err, probe.ErrAbsent) || !strings.Contains(err.Error(), "gpu is lost") {
		t.Errorf("error %v, want one that says the GPU is lost", err)
	}
}
