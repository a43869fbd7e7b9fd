//go:build native

package nvml

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/probetest"
	"github.com/paceline/paceline/bench/result"
)

const ok = nvml.SUCCESS

// gpu is a device that reports everything.
func gpu() *mock.Device {
	return &mock.Device{
		GetUUIDFunc:                   func() (string, nvml.Return) { return "GPU-1", ok },
		GetNameFunc:                   func() (string, nvml.Return) { return "NVIDIA H100 80GB HBM3", ok },
		GetMemoryInfoFunc:             func() (nvml.Memory, nvml.Return) { return nvml.Memory{Total: 80 << 30, Used: 3 << 30}, ok },
		GetEnforcedPowerLimitFunc:     func() (uint32, nvml.Return) { return 700_000, ok },
		GetMigModeFunc:                func() (int, int, nvml.Return) { return nvml.DEVICE_MIG_DISABLE, 0, ok },
		GetUtilizationRatesFunc:       func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 42}, ok },
		GetClockInfoFunc:              func(c nvml.ClockType) (uint32, nvml.Return) { return 1000 + uint32(c), ok },
		GetPowerUsageFunc:             func() (uint32, nvml.Return) { return 123_456, ok },
		GetTotalEnergyConsumptionFunc: func() (uint64, nvml.Return) { return 99, ok },
		GetTemperatureFunc:            func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 61, ok },
		GetCurrentClocksEventReasonsFunc: func() (uint64, nvml.Return) {
			return nvml.ClocksEventReasonSwPowerCap | nvml.ClocksThrottleReasonHwSlowdown | nvml.ClocksEventReasonGpuIdle, ok
		},
		GetTotalEccErrorsFunc: func(nvml.MemoryErrorType, nvml.EccCounterType) (uint64, nvml.Return) { return 2, ok },
		GetComputeRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) {
			return []nvml.ProcessInfo{{Pid: 7}, {Pid: 8}}, ok
		},
	}
}

// bare is a device that supports nothing but its name, as a MIG slice may.
func bare() *mock.Device {
	const no = nvml.ERROR_NOT_SUPPORTED
	d := gpu()
	d.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, no }
	d.GetEnforcedPowerLimitFunc = func() (uint32, nvml.Return) { return 0, no }
	d.GetMigModeFunc = func() (int, int, nvml.Return) { return 0, 0, no }
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, no }
	d.GetClockInfoFunc = func(nvml.ClockType) (uint32, nvml.Return) { return 0, no }
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, no }
	d.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return 0, no }
	d.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, no }
	d.GetCurrentClocksEventReasonsFunc = func() (uint64, nvml.Return) { return 0, no }
	d.GetTotalEccErrorsFunc = func(nvml.MemoryErrorType, nvml.EccCounterType) (uint64, nvml.Return) { return 0, no }
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, no }
	return d
}

func server(devices ...nvml.Device) *mock.Interface {
	return &mock.Interface{
		InitFunc:                   func() nvml.Return { return ok },
		ShutdownFunc:               func() nvml.Return { return ok },
		SystemGetDriverVersionFunc: func() (string, nvml.Return) { return "570.86.15", ok },
		DeviceGetCountFunc:         func() (int, nvml.Return) { return len(devices), ok },
		DeviceGetHandleByIndexFunc: func(i int) (nvml.Device, nvml.Return) { return devices[i], ok },
	}
}

func TestDescribe(t *testing.T) {
	s, err := open(server(gpu(), gpu()))
	if err != nil {
		t.Fatal(err)
	}
	var env result.Environment
	if err := s.Describe(t.Context(), &env); err != nil {
		t.Fatal(err)
	}
	want := result.GPU{Index: 1, UUID: "GPU-1", Model: "NVIDIA H100 80GB HBM3", MemoryBytes: 80 << 30, Driver: "570.86.15", PowerLimitW: 700}
	if len(env.GPUs) != 2 || env.GPUs[1] != want {
		t.Errorf("GPUs %+v, want the second to be %+v", env.GPUs, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestOnly: a round reads its own GPU.
func TestOnly(t *testing.T) {
	s, err := open(server(gpu(), bare()), "GPU-1")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Sample(t.Context())
	if err != nil || len(r.GPUs) == 0 || r.GPUs[0].UUID != "GPU-1" {
		t.Errorf("reading %+v, error %v", r, err)
	}
	if _, err := open(server(gpu()), "GPU-1", "GPU-7"); err == nil || !strings.Contains(err.Error(), "GPU-7") {
		t.Errorf("a GPU that isn't there: %v", err)
	}
}

func TestSample(t *testing.T) {
	s, err := open(server(gpu(), bare()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := probe.Reading{At: r.At, GPUs: []probe.GPUReading{{
		UUID: "GPU-1", MemoryUsedBytes: new(int64(3 << 30)), Utilisation: new(0.42),
		SMClockMHz: new(1000 + int(nvml.CLOCK_SM)), MemClockMHz: new(1000 + int(nvml.CLOCK_MEM)),
		PowerW: new(123.456), EnergyMilliJ: new(uint64(99)), TemperatureC: new(61),
		Throttle: []string{probe.ThrottleHWSlowdown, probe.ThrottleSWPowerCap}, ECCUncorrected: new(uint64(2)), Processes: []int{7, 8},
	}, {UUID: "GPU-1"}}}
	if d := cmp.Diff(want, r); d != "" {
		t.Errorf("reading (-want +got):\n%s", d)
	}
	if time.Since(r.At) < 0 || r.At.IsZero() {
		t.Errorf("taken at %v", r.At)
	}
}

func TestAbsent(t *testing.T) {
	noDriver := server()
	noDriver.InitFunc = func() nvml.Return { return nvml.ERROR_LIBRARY_NOT_FOUND }
	broken := server()
	broken.InitFunc = func() nvml.Return { return nvml.ERROR_UNKNOWN }
	lost := gpu()
	lost.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_GPU_IS_LOST }
	for _, c := range []struct {
		name   string
		lib    library
		absent bool
		want   string
	}{
		{"no driver", noDriver, true, "no NVIDIA driver on this machine"},
		{"no GPU", server(), true, "shows no GPU"},
		{"driver out of order", broken, false, "nvidia-smi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := open(c.lib)
			if s != nil || err == nil || errors.Is(err, probe.ErrAbsent) != c.absent || !strings.Contains(err.Error(), c.want) {
				t.Errorf("sampler %v, error %v; want none, absent %v, %q", s, err, c.absent, c.want)
			}
		})
	}
	s, err := open(server(lost))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sample(t.Context()); err == nil || !strings.Contains(err.Error(), "gpu is lost") {
		t.Errorf("error %v, want one that says the GPU is lost", err)
	}
}

// TestThisMachine reads the real library where there is one.
func TestThisMachine(t *testing.T) {
	s, err := Open()
	if errors.Is(err, probe.ErrAbsent) {
		t.Skipf("skipped: no device: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var env result.Environment
	if err := s.Describe(t.Context(), &env); err != nil || len(env.GPUs) == 0 {
		t.Fatalf("GPUs %+v, error %v", env.GPUs, err)
	}
	r, err := s.Sample(t.Context())
	if err != nil || len(r.GPUs) != len(env.GPUs) {
		t.Fatalf("reading %+v, error %v", r, err)
	}
	t.Logf("%+v %+v", env.GPUs[0], r.GPUs[0])
}

func TestConformance(t *testing.T) {
	probetest.Run(t, func(t *testing.T) probe.Sampler {
		s, err := open(server(gpu(), bare()))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
