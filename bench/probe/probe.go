// Package probe is what the machine says of itself: its fingerprint, telemetry
// while something is measured, and the machine probe, a short reading of speed that
// depends on no build.
//
// This package holds the seam and the pure judgement of probe readings; host reads
// the operating system and the CPU, nvml NVIDIA's GPUs. Which trials a reading
// invalidates is bench/harness's.
package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// Sampler reads one source of telemetry. Its methods are called by one goroutine
// at a time.
type Sampler interface {
	// Name is for people and for errors: "host", "nvml".
	Name() string
	// Describe fills in what this source knows of the machine, and leaves the rest
	// of env as it is.
	Describe(ctx context.Context, env *result.Environment) error
	// Sample reads now. It should take well under a millisecond of CPU time.
	Sample(ctx context.Context) (Reading, error)
	// Close frees what the source holds.
	Close() error
}

// ErrAbsent is wrapped by the error of opening a source that this machine or this
// build doesn't have. It is no reason to stop: nothing is sampled from it.
var ErrAbsent = errors.New("absent")

// Reading is one sample of a source; what the source doesn't know is nil or empty.
type Reading struct {
	At   time.Time
	CPU  *CPUTimes
	GPUs []GPUReading
}

// CPUTimes is the machine's CPU time since boot over all CPUs, in ticks of the
// kernel (only shares of differences mean something), and its throttling.
type CPUTimes struct {
	Total     uint64 // all time, idle included
	Idle      uint64 // idle and waiting for input or output
	Steal     uint64 // taken by the hypervisor
	Throttled uint64 // thermal throttle events over all cores
}

// StealShare is the share of CPU time stolen between an earlier reading and c, in
// 0..1; ok is false when no time passed between them.
func (c CPUTimes) StealShare(earlier CPUTimes) (share float64, ok bool) {
	if c.Total <= earlier.Total || c.Steal < earlier.Steal {
		return 0, false
	}
	return float64(c.Steal-earlier.Steal) / float64(c.Total-earlier.Total), true
}

// GPUReading is one GPU at one moment. Quantities that the device doesn't report
// are nil.
type GPUReading struct {
	UUID            string   `json:"uuid"`
	MemoryUsedBytes *int64   `json:"memory_used_bytes,omitempty"`
	Utilisation     *float64 `json:"utilisation,omitempty"` // 0..1: time with any kernel running
	SMClockMHz      *int     `json:"sm_clock_mhz,omitempty"`
	MemClockMHz     *int     `json:"mem_clock_mhz,omitempty"`
	PowerW          *float64 `json:"power_w,omitempty"`
	EnergyMilliJ    *uint64  `json:"energy_mj,omitempty"` // since the driver was loaded
	TemperatureC    *int     `json:"temperature_c,omitempty"`
	Throttle        []string `json:"throttle,omitempty"`        // reasons at this moment, see nvml
	ECCUncorrected  *uint64  `json:"ecc_uncorrected,omitempty"` // since the driver was loaded
	Processes       []int    `json:"processes,omitempty"`       // ids of compute processes
}

// Fingerprint asks every source to describe the machine. Sources that fail leave
// their part empty and are named in the error; the environment is usable all the
// same.
func Fingerprint(ctx context.Context, samplers []Sampler) (result.Environment, error) {
	var env result.Environment
	var errs []error
	for _, s := range samplers {
		if err := s.Describe(ctx, &env); err != nil {
			errs = append(errs, fmt.Errorf("describe the machine by %s: %w", s.Name(), err))
		}
	}
	return env, errors.Join(errs...)
}

// Reasons why a GPU runs slower than it could (GPUReading.Throttle). The first four
// invalidate a trial; a software power cap is normal on a loaded GPU and is only
// recorded.
const (
	ThrottleHWSlowdown = "hw_slowdown"
	ThrottleHWThermal  = "hw_thermal"
	ThrottlePowerBrake = "power_brake"
	ThrottleSWThermal  = "sw_thermal"
	ThrottleSWPowerCap = "sw_power_cap"
)
