//go:build native

package nvml

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
)

// library is what this package needs of NVML.
type library interface {
	Init() nvml.Return
	Shutdown() nvml.Return
	DeviceGetCount() (int, nvml.Return)
	DeviceGetHandleByIndex(int) (nvml.Device, nvml.Return)
	SystemGetDriverVersion() (string, nvml.Return)
}

// sampler reads every GPU that the driver shows. It serves one goroutine.
type sampler struct {
	lib     library
	driver  string
	devices []device
	now     func() time.Time
}

type device struct {
	handle nvml.Device
	index  int
	uuid   string
}

// Open loads NVIDIA's library and finds the GPUs. The error wraps probe.ErrAbsent on
// a machine without driver or GPU. With UUIDs it is about these GPUs only.
func Open(only ...string) (probe.Sampler, error) { return open(nvml.New(), only...) }

func open(lib library, only ...string) (probe.Sampler, error) {
	s, err := openSampler(lib, only...)
	if err != nil {
		return nil, err // not a nil *sampler, which would be no nil Sampler
	}
	return s, nil
}

func openSampler(lib library, only ...string) (*sampler, error) {
	switch ret := lib.Init(); ret {
	case nvml.SUCCESS:
	case nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED, nvml.ERROR_NO_PERMISSION:
		return nil, fmt.Errorf("read GPUs through NVML: no NVIDIA driver on this machine: %s (%w)", words(ret), probe.ErrAbsent)
	default:
		return nil, fmt.Errorf("start NVML: %s: does nvidia-smi work on this machine?", words(ret))
	}
	s := &sampler{lib: lib, now: time.Now}
	if err := s.find(only); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *sampler) find(only []string) error {
	var ret nvml.Return
	if s.driver, ret = s.lib.SystemGetDriverVersion(); ret != nvml.SUCCESS {
		return fmt.Errorf("read the version of NVIDIA's driver: %s", words(ret))
	}
	n, ret := s.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return fmt.Errorf("count GPUs: %s", words(ret))
	}
	for i := range n {
		d, ret := s.lib.DeviceGetHandleByIndex(i)
		if ret == nvml.ERROR_NO_PERMISSION {
			continue // a GPU that this container may not use
		}
		if ret != nvml.SUCCESS {
			return fmt.Errorf("open GPU %d: %s", i, words(ret))
		}
		uuid, ret := d.GetUUID()
		if ret != nvml.SUCCESS {
			return fmt.Errorf("read the UUID of GPU %d: %s", i, words(ret))
		}
		if len(only) > 0 && !slices.Contains(only, uuid) {
			continue
		}
		s.devices = append(s.devices, device{handle: d, index: i, uuid: uuid})
	}
	if len(s.devices) < len(only) {
		return fmt.Errorf("read GPUs through NVML: of the GPUs %s the driver shows %d only", strings.Join(only, ", "), len(s.devices))
	}
	if len(s.devices) == 0 {
		return fmt.Errorf("read GPUs through NVML: the driver %s shows no GPU (%w)", s.driver, probe.ErrAbsent)
	}
	return nil
}

// words is NVML's name for a return code; asking the library for its own words
// would need the library.
func words(ret nvml.Return) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(ret.String(), "ERROR_"), "_", " "))
}

// Name is "nvml".
func (*sampler) Name() string { return "nvml" }

// Close gives the library back.
func (s *sampler) Close() error {
	if ret := s.lib.Shutdown(); ret != nvml.SUCCESS {
		return fmt.Errorf("close NVML: %s", words(ret))
	}
	return nil
}

// Describe lists the GPUs and the driver. Which of them a target uses, and so what
// the hardware class is, its caller knows: see probe.GPUClass.
func (s *sampler) Describe(_ context.Context, env *result.Environment) error {
	env.GPUs = env.GPUs[:0]
	for _, d := range s.devices {
		g := result.GPU{Index: d.index, UUID: d.uuid, Driver: s.driver}
		var ret nvml.Return
		if g.Model, ret = d.handle.GetName(); ret != nvml.SUCCESS {
			return fmt.Errorf("read the name of GPU %d: %s", d.index, words(ret))
		}
		if m, ret := d.handle.GetMemoryInfo(); ret == nvml.SUCCESS {
			g.MemoryBytes = int64(m.Total)
		}
		if mw, ret := d.handle.GetEnforcedPowerLimit(); ret == nvml.SUCCESS {
			g.PowerLimitW = float64(mw) / 1000
		}
		if current, _, ret := d.handle.GetMigMode(); ret == nvml.SUCCESS && current == nvml.DEVICE_MIG_ENABLE {
			g.MIG = "enabled"
		}
		env.GPUs = append(env.GPUs, g)
	}
	if env.Software == nil {
		env.Software = map[string]string{}
	}
	env.Software["nvidia-driver"] = s.driver
	return nil
}

// Sample reads every GPU. What a device doesn't report is left out; a device that
// can't be read at all is an error.
func (s *sampler) Sample(context.Context) (probe.Reading, error) {
	r := probe.Reading{At: s.now()}
	for _, d := range s.devices {
		g, err := d.read()
		if err != nil {
			return probe.Reading{}, err
		}
		r.GPUs = append(r.GPUs, g)
	}
	return r, nil
}

func (d device) read() (probe.GPUReading, error) {
	g := probe.GPUReading{UUID: d.uuid}
	m, ret := d.handle.GetMemoryInfo()
	switch ret {
	case nvml.SUCCESS:
		g.MemoryUsedBytes = new(int64(m.Used))
	case nvml.ERROR_GPU_IS_LOST, nvml.ERROR_RESET_REQUIRED:
		return g, fmt.Errorf("read GPU %d (%s): %s: the machine needs care before it can measure", d.index, d.uuid, words(ret))
	}
	if u, ret := d.handle.GetUtilizationRates(); ret == nvml.SUCCESS {
		g.Utilisation = new(float64(u.Gpu) / 100)
	}
	if mhz, ret := d.handle.GetClockInfo(nvml.CLOCK_SM); ret == nvml.SUCCESS {
		g.SMClockMHz = new(int(mhz))
	}
	if mhz, ret := d.handle.GetClockInfo(nvml.CLOCK_MEM); ret == nvml.SUCCESS {
		g.MemClockMHz = new(int(mhz))
	}
	if mw, ret := d.handle.GetPowerUsage(); ret == nvml.SUCCESS {
		g.PowerW = new(float64(mw) / 1000)
	}
	if mj, ret := d.handle.GetTotalEnergyConsumption(); ret == nvml.SUCCESS {
		g.EnergyMilliJ = &mj
	}
	if c, ret := d.handle.GetTemperature(nvml.TEMPERATURE_GPU); ret == nvml.SUCCESS {
		g.TemperatureC = new(int(c))
	}
	if mask, ret := d.handle.GetCurrentClocksEventReasons(); ret == nvml.SUCCESS {
		g.Throttle = reasons(mask)
	}
	if n, ret := d.handle.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC); ret == nvml.SUCCESS {
		g.ECCUncorrected = &n
	}
	if ps, ret := d.handle.GetComputeRunningProcesses(); ret == nvml.SUCCESS {
		for _, p := range ps {
			g.Processes = append(g.Processes, int(p.Pid))
		}
	}
	return g, nil
}

// reasons names the bits of the clock event mask that slow a GPU down or cap it;
// idling and clocks set on purpose are none.
func reasons(mask uint64) []string {
	var names []string
	for _, r := range []struct {
		bit  uint64
		name string
	}{
		{nvml.ClocksThrottleReasonHwSlowdown, probe.ThrottleHWSlowdown},
		{nvml.ClocksThrottleReasonHwThermalSlowdown, probe.ThrottleHWThermal},
		{nvml.ClocksThrottleReasonHwPowerBrakeSlowdown, probe.ThrottlePowerBrake},
		{nvml.ClocksEventReasonSwThermalSlowdown, probe.ThrottleSWThermal},
		{nvml.ClocksEventReasonSwPowerCap, probe.ThrottleSWPowerCap},
	} {
		if mask&r.bit != 0 {
			names = append(names, r.name)
		}
	}
	return names
}
