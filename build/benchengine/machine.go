package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/build/benchengine/report"
)

// machine is this machine: what it is, and how busy. It serves one goroutine.
type machine struct {
	host *host.Sampler
	env  result.Environment
	read func(context.Context) float64 // the rate at which all cores together read memory now, in GB/s
}

func newMachine(ctx context.Context) *machine {
	m := &machine{host: host.Open()}
	m.read = m.probe
	if rate := reader(); rate != nil {
		m.read = func(context.Context) float64 { return rate() }
	}
	_ = m.host.Describe(ctx, &m.env) // what it can't say stays empty
	return m
}

// describe says what the machine is and which commit is measured.
func (m *machine) describe(ctx context.Context) report.Machine {
	e := m.env
	return report.Machine{
		Host: e.Host, OS: e.OS, Kernel: e.Kernel, CPU: e.Hardware.CPUModel, ISA: e.Hardware.ISA, Cores: e.Hardware.Cores,
		MemoryBytes: e.MemoryBytes, Governor: e.Hardware.Governor, Load1: e.Load1, Go: runtime.Version(),
		Commit: firstLine(exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12").Output()),
	}
}

// firstLine of a file or output that can be missing.
func firstLine(text []byte, err error) string {
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// busyLoad is the load, for each core, from which the machine counts as busy.
const busyLoad = 0.15

// warnings say what would spoil the measurement.
func (m *machine) warnings() []string {
	if load := m.env.Load1; load > busyLoad*float64(runtime.NumCPU()) {
		return []string{fmt.Sprintf("the machine is busy: %.2g processes want to run (load of the last minute, before anything was measured)", load)}
	}
	return nil
}

// probe is the rate that the machine probe of every run measures, for builds without the engine's
// own reader. It takes about half a second.
func (m *machine) probe(ctx context.Context) float64 {
	for _, p := range m.host.Probe(ctx, "before") {
		if strings.HasPrefix(p.Kind, "cpu.read") {
			return p.Value
		}
	}
	return 0
}

// moment is a reading of the machine's clocks.
type moment struct {
	at  time.Time
	cpu *probe.CPUTimes // nil: not known
}

func (m *machine) now() moment {
	r, err := m.host.Sample(context.Background())
	if err != nil {
		return moment{at: time.Now()}
	}
	return moment{time.Now(), r.CPU}
}

// since gives the shares of all CPU time since then, 0..1, that the hypervisor took, and
// that others used than the measurement, which used own. Unknown shares are 0.
func (m *machine) since(then moment, own time.Duration) (steal, other float64) {
	now := m.now()
	if then.cpu == nil || now.cpu == nil || now.cpu.Total <= then.cpu.Total {
		return 0, 0
	}
	steal, _ = now.cpu.StealShare(*then.cpu)
	busy := 1 - float64(now.cpu.Idle-then.cpu.Idle)/float64(now.cpu.Total-then.cpu.Total) - steal
	all := now.at.Sub(then.at).Seconds() * float64(runtime.NumCPU())
	return steal, max(busy-own.Seconds()/all, 0)
}

// autogroupFile is where Linux keeps the priority of a session's scheduling group. Within a
// session nice decides; between sessions only this does.
const autogroupFile = "/proc/self/autogroup"

// setAutogroup sets the priority of this session's group; 0 leaves it. restore puts the
// former one back.
func setAutogroup(priority int) (restore func(), err error) {
	if priority == 0 {
		return func() {}, nil
	}
	// "/autogroup-25 nice 0"
	was := firstLine(os.ReadFile(autogroupFile))
	_, former, ok := strings.Cut(was, " nice ")
	if !ok {
		return nil, fmt.Errorf("-autogroup %d: this system has no scheduling groups of sessions (%s); leave it out", priority, autogroupFile)
	}
	set := func(to string) error { return os.WriteFile(autogroupFile, []byte(to), 0) }
	if err := set(strconv.Itoa(priority)); err != nil {
		if errors.Is(err, syscall.EPERM) {
			return nil, fmt.Errorf("-autogroup %d: %w: only root may ask to be first; run it as root or leave it out", priority, err)
		}
		return nil, fmt.Errorf("-autogroup %d: %w", priority, err)
	}
	return func() { _ = set(former) }, nil
}
