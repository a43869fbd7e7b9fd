package host

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/paceline/paceline/bench/probe/health"
)

const cpuDir = "sys/devices/system/cpu/"

// Facts is the machine as it is set up now, for bench/probe/health. What a file
// doesn't say, or a file that isn't there, stays unknown; the disk and the activity
// are the caller's.
func (s *Sampler) Facts() health.Host {
	info := parseCPUInfo(s.read("proc/cpuinfo"))
	h := health.Host{
		CPUModel: info.model, ISA: info.isa, Kernel: s.line("proc/sys/kernel/osrelease"), OS: s.osName(),
		CPUs: parseCPUList(s.line(cpuDir + "online")), Allowed: parseCPUList(statusField(s.read("proc/self/status"), "Cpus_allowed_list")),
		Virtual: s.machine(info.hypervisor), Container: s.container(),
		HugePages: parseChoice(s.line("sys/kernel/mm/transparent_hugepage/enabled")),
		Load:      parseLoads(s.read("proc/loadavg")),
	}
	s.clocks(&h)
	s.memory(&h)
	const clocksource = "sys/devices/system/clocksource/clocksource0/"
	h.Clocksource = s.line(clocksource + "current_clocksource")
	h.HasTSC = slices.Contains(strings.Fields(s.line(clocksource+"available_clocksource")), "tsc")
	if nodes, err := fs.Glob(s.fsys, "sys/devices/system/node/node[0-9]*"); err == nil {
		h.NUMANodes = len(nodes)
	}
	h.Balancing = s.flag("proc/sys/kernel/numa_balancing")
	p := health.Pressure{CPU: s.pressure("cpu"), Memory: s.pressure("memory"), IO: s.pressure("io")}
	if p != (health.Pressure{}) {
		h.Pressure = &p
	}
	return h
}

// clocks reads what is set of frequencies and power.
func (s *Sampler) clocks(h *health.Host) {
	h.Governors = s.count("cpufreq/scaling_governor")
	h.Preferences = s.count("cpufreq/energy_performance_preference")
	h.Driver = s.line(cpuDir + "cpu0/cpufreq/scaling_driver")
	h.Boost = s.flag(cpuDir + "cpufreq/boost")
	if off := s.flag(cpuDir + "intel_pstate/no_turbo"); off != nil {
		h.Boost = new(!*off)
	}
	h.SMT = s.flag(cpuDir + "smt/active")
	// Cores of a hybrid processor differ: a cap is the ceiling of a CPU below its own top.
	for _, dir := range s.each("cpufreq") {
		top, ok1 := parseKHz(s.line(path.Join(dir, "cpuinfo_max_freq")))
		ceiling, ok2 := parseKHz(s.line(path.Join(dir, "scaling_max_freq")))
		if !ok1 || !ok2 {
			continue
		}
		if h.MaxMHz == 0 || ceiling < top && (h.CapMHz >= h.MaxMHz || ceiling < h.CapMHz) {
			h.MaxMHz, h.CapMHz = top, ceiling
		}
	}
	h.Profile = s.line("sys/firmware/acpi/platform_profile")
	supplies, err := fs.Glob(s.fsys, "sys/class/power_supply/*")
	if err != nil {
		return
	}
	for _, dir := range supplies {
		if s.line(path.Join(dir, "type")) != "Mains" {
			continue
		}
		if online := s.flag(path.Join(dir, "online")); online != nil && (h.Battery == nil || *online) {
			h.Battery = new(!*online)
		}
	}
}

// memory reads sizes, within the limits of every control group above this process.
func (s *Sampler) memory(h *health.Host) {
	info := s.read("proc/meminfo")
	h.MemoryBytes, _ = fieldKiB(info, "MemTotal")
	available, known := fieldKiB(info, "MemAvailable")
	for _, g := range s.groups() {
		if q, ok := s.quota(g); ok && (h.QuotaCores == nil || q < *h.QuotaCores) {
			h.QuotaCores = &q
		}
		limit, used, ok := s.limit(g)
		if !ok || h.MemoryBytes > 0 && limit >= h.MemoryBytes {
			continue
		}
		if h.LimitBytes == nil || limit < *h.LimitBytes {
			h.LimitBytes = &limit
		}
		if left := max(limit-used, 0); !known || left < available {
			available, known = left, true
		}
	}
	if known {
		h.AvailableBytes = &available
	}
	total, ok1 := fieldKiB(info, "SwapTotal")
	free, ok2 := fieldKiB(info, "SwapFree")
	if ok1 && ok2 {
		h.SwapTotal, h.SwapUsed = &total, new(max(total-free, 0))
	}
	if n, err := strconv.Atoi(s.line("proc/sys/vm/swappiness")); err == nil {
		h.Swappiness = &n
	}
}

// each gives a path below every CPU's folder that is there.
func (s *Sampler) each(name string) []string {
	files, err := fs.Glob(s.fsys, cpuDir+"cpu[0-9]*/"+name)
	if err != nil {
		return nil
	}
	return files
}

// count counts CPUs by the word in a file of theirs; nil without any.
func (s *Sampler) count(name string) map[string]int {
	var by map[string]int
	for _, f := range s.each(name) {
		if word := s.line(f); word != "" {
			if by == nil {
				by = map[string]int{}
			}
			by[word]++
		}
	}
	return by
}

// flag reads a file of 0 or 1.
func (s *Sampler) flag(name string) *bool {
	switch s.line(name) {
	case "0":
		return new(false)
	case "1":
		return new(true)
	}
	return nil
}

func (s *Sampler) pressure(resource string) *float64 {
	share, ok := parsePressure(s.read("proc/pressure/" + resource))
	if !ok {
		return nil
	}
	return &share
}

// parsePressure is the share of the last ten seconds in which some task waited, 0..1:
// "some avg10=1.23 avg60=…".
func parsePressure(b []byte) (float64, bool) {
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) < 2 || f[0] != "some" {
			continue
		}
		text, ok := strings.CutPrefix(f[1], "avg10=")
		v, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil || !(v >= 0 && v <= 100) {
			return 0, false
		}
		return v / 100, true
	}
	return 0, false
}

// parseLoads are the averages of one, five and fifteen minutes, or nil.
func parseLoads(b []byte) []float64 {
	f := strings.Fields(string(b))
	if len(f) < 3 {
		return nil
	}
	out := make([]float64, 3)
	for i := range out {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil || !(v >= 0 && v < 1e6) || math.IsNaN(v) {
			return nil
		}
		out[i] = v
	}
	return out
}

// maxCPUs bounds a list of CPUs; the kernel's own limit is lower.
const maxCPUs = 1 << 16

// parseCPUList counts "0-3,8,10-11"; 0 is unknown.
func parseCPUList(s string) int {
	n := 0
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(first)
		if err != nil || a < 0 {
			return 0
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(last); err != nil {
				return 0
			}
		}
		if b < a || b >= maxCPUs {
			return 0
		}
		if n += b - a + 1; n > maxCPUs {
			return 0
		}
	}
	return n
}

// parseChoice is the word in brackets of "always [madvise] never", or "".
func parseChoice(s string) string {
	_, rest, ok := strings.Cut(s, "[")
	word, _, ok2 := strings.Cut(rest, "]")
	if !ok || !ok2 {
		return ""
	}
	return word
}

// parseKHz reads a frequency in kHz and gives MHz.
func parseKHz(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1000 || n > 1e9 {
		return 0, false
	}
	return n / 1000, true
}

// statusField finds "Name:\tvalue" of /proc/self/status.
func statusField(b []byte, name string) string {
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
