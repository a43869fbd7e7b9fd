// Package host reads the operating system and the CPU: the fingerprint, CPU time
// with steal and throttling, a process's memory, and the CPU's machine probe.
//
// The probe is C where the program is built with the tag native, and Go without;
// the two have different kinds, so that their histories never mix.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
)

// Sampler reads /proc and /sys of a Linux machine. It serves one goroutine.
type Sampler struct {
	fsys fs.FS
	now  func() time.Time

	counters    []string // files of the throttle counts; nil before the first reading
	throttles   uint64   // as last read
	throttledAt time.Time
}

// throttlePeriod is how often the throttle counts are read: a machine has one file a
// core of them.
const throttlePeriod = time.Second

var _ probe.Sampler = (*Sampler)(nil)

// Open reads this machine.
func Open() *Sampler { return New(os.DirFS("/")) }

// New reads the machine whose root folder is fsys.
func New(fsys fs.FS) *Sampler { return &Sampler{fsys: fsys, now: time.Now} }

// Name is "host".
func (*Sampler) Name() string { return "host" }

// Close does nothing.
func (*Sampler) Close() error { return nil }

// Sample reads CPU time; the error wraps probe.ErrAbsent on a system without
// /proc/stat.
func (s *Sampler) Sample(context.Context) (probe.Reading, error) {
	b, err := fs.ReadFile(s.fsys, "proc/stat")
	if errors.Is(err, fs.ErrNotExist) {
		return probe.Reading{}, fmt.Errorf("read CPU time from /proc/stat: %w", probe.ErrAbsent)
	}
	if err != nil {
		return probe.Reading{}, fmt.Errorf("read CPU time: %w", err)
	}
	times, err := parseStat(b)
	if err != nil {
		return probe.Reading{}, fmt.Errorf("read CPU time: %w", err)
	}
	times.Throttled = s.throttled()
	return probe.Reading{At: s.now(), CPU: &times}, nil
}

// throttled sums the thermal throttle counts that the kernel keeps for each core;
// virtual machines have none. The sum is up to a second old.
func (s *Sampler) throttled() uint64 {
	if s.counters == nil {
		files, err := fs.Glob(s.fsys, "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
		if err != nil || files == nil {
			files = []string{}
		}
		s.counters = files
	}
	now := s.now()
	if !s.throttledAt.IsZero() && now.Sub(s.throttledAt) < throttlePeriod {
		return s.throttles
	}
	var sum uint64
	for _, f := range s.counters {
		if n, err := strconv.ParseUint(s.line(f), 10, 64); err == nil {
			sum += n
		}
	}
	s.throttles, s.throttledAt = sum, now
	return sum
}

// RSSPeak is the largest resident set that a process has had, in bytes; pid 0 is
// this process.
func (s *Sampler) RSSPeak(pid int) (int64, error) { return s.status(pid, "VmHWM") }

// status is a field of a process' status, in bytes.
func (s *Sampler) status(pid int, field string) (int64, error) {
	name := "self"
	if pid != 0 {
		name = strconv.Itoa(pid)
	}
	b, err := fs.ReadFile(s.fsys, "proc/"+name+"/status")
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %s: %w", name, err)
	}
	n, ok := fieldKiB(b, field)
	if !ok {
		return 0, fmt.Errorf("read the memory of process %s: no %s in its status", name, field)
	}
	return n, nil
}

// Describe fills in everything of env but the GPUs.
func (s *Sampler) Describe(_ context.Context, env *result.Environment) error {
	host, err := os.Hostname()
	if err != nil {
		host = s.line("proc/sys/kernel/hostname")
	}
	env.Host = host
	env.MachineID = s.machineID(host)
	env.OS = s.osName()
	env.Kernel = s.line("proc/sys/kernel/osrelease")
	env.MemoryBytes, _ = fieldKiB(s.read("proc/meminfo"), "MemTotal")
	env.Load1 = parseLoad(s.read("proc/loadavg"))

	info := parseCPUInfo(s.read("proc/cpuinfo"))
	env.Virtual = s.virtual(info.hypervisor)
	env.Hardware.CPUModel = info.model
	env.Hardware.ISA = info.isa
	env.Hardware.Cores = s.cores()
	env.Hardware.Governor = s.governor()
	if info.model == "" {
		return fmt.Errorf("name the CPU: no model in /proc/cpuinfo: %w", probe.ErrAbsent)
	}
	return nil
}
