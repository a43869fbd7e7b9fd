//go:build native

package nvml

import (
	"context"
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/bench/result"
)

// Look describes every GPU as it is set up and used now. The error wraps
// probe.ErrAbsent on a machine without driver or GPU.
func Look(ctx context.Context) ([]health.GPU, error) { return look(ctx, nvml.New()) }

func look(ctx context.Context, lib library) (_ []health.GPU, err error) {
	s, err := openSampler(lib)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := s.Close(); err == nil {
			err = cerr
		}
	}()
	var env result.Environment
	if err := s.Describe(ctx, &env); err != nil {
		return nil, fmt.Errorf("look at the GPUs: %w", err)
	}
	out := make([]health.GPU, len(s.devices))
	for i, d := range s.devices {
		r, err := d.read()
		if err != nil {
			return nil, fmt.Errorf("look at the GPUs: %w", err)
		}
		g := env.GPUs[i]
		out[i] = health.GPU{
			Index: g.Index, Model: g.Model, UUID: g.UUID, Driver: g.Driver, MemoryBytes: g.MemoryBytes, UsedBytes: r.MemoryUsedBytes,
			Utilisation: r.Utilisation, SMClockMHz: r.SMClockMHz, TemperatureC: r.TemperatureC, Throttle: r.Throttle, ECCErrors: r.ECCUncorrected,
			Processes: r.Processes, MIG: g.MIG != "",
		}
		d.policy(&out[i])
	}
	return out, nil
}

// policy adds what somebody has set of clocks, power and persistence.
func (d device) policy(g *health.GPU) {
	if on, ret := d.handle.GetPersistenceMode(); ret == nvml.SUCCESS {
		g.Persistence = new(on == nvml.FEATURE_ENABLED)
	}
	clock := func(read func(nvml.ClockType) (uint32, nvml.Return)) *int {
		mhz, ret := read(nvml.CLOCK_SM)
		if ret != nvml.SUCCESS {
			return nil
		}
		return new(int(mhz))
	}
	g.MaxClockMHz = clock(d.handle.GetMaxClockInfo)
	g.AppClockMHz = clock(d.handle.GetApplicationsClock)
	g.AppDefaultMHz = clock(d.handle.GetDefaultApplicationsClock)
	if mw, ret := d.handle.GetPowerManagementLimit(); ret == nvml.SUCCESS {
		g.PowerLimitW = new(float64(mw) / 1000)
	}
	if mw, ret := d.handle.GetPowerManagementDefaultLimit(); ret == nvml.SUCCESS {
		g.PowerDefaultW = new(float64(mw) / 1000)
	}
}
