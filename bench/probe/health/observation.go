// Package health examines a machine that is to measure: what was observed of it in,
// findings out, each with why it matters for a measurement and what to do.
//
// It is pure. bench/probe/host and bench/probe/nvml observe; what was measured on the
// machine, and what a gate could see there, is judge/machine's. What is not known is
// nil or empty, and nothing is found about it.
package health

// Host is a machine as its operating system describes it, and Activity what happened
// on it while it was watched.
type Host struct {
	CPUModel string `json:"cpu_model,omitempty"`
	ISA      string `json:"isa,omitempty"`     // vector extensions that kernels can use
	CPUs     int    `json:"cpus,omitempty"`    // logical, online
	Allowed  int    `json:"allowed,omitempty"` // of those, what this process may run on
	Kernel   string `json:"kernel,omitempty"`
	OS       string `json:"os,omitempty"`

	Governors   map[string]int `json:"governors,omitempty"`   // CPUs by frequency governor
	Preferences map[string]int `json:"preferences,omitempty"` // CPUs by energy performance preference
	Driver      string         `json:"frequency_driver,omitempty"`
	Boost       *bool          `json:"boost,omitempty"` // clocks above the nominal one are allowed
	SMT         *bool          `json:"smt,omitempty"`   // two CPUs share a core
	MaxMHz      int            `json:"max_mhz,omitempty"`
	CapMHz      int            `json:"cap_mhz,omitempty"` // lowest ceiling that somebody set
	Battery     *bool          `json:"on_battery,omitempty"`
	Profile     string         `json:"platform_profile,omitempty"`

	Virtual     string `json:"virtual,omitempty"`   // the hypervisor
	Container   string `json:"container,omitempty"` // docker, podman, kubernetes
	Clocksource string `json:"clocksource,omitempty"`
	HasTSC      bool   `json:"has_tsc,omitempty"` // the kernel offers it as a clock source
	NUMANodes   int    `json:"numa_nodes,omitempty"`
	Balancing   *bool  `json:"numa_balancing,omitempty"` // the kernel moves memory between nodes
	HugePages   string `json:"huge_pages,omitempty"`     // transparent ones: always, madvise, never

	QuotaCores     *float64 `json:"quota_cores,omitempty"` // CPU time a period, of the control group
	MemoryBytes    int64    `json:"memory_bytes,omitempty"`
	AvailableBytes *int64   `json:"available_bytes,omitempty"` // without swapping, within the control group
	LimitBytes     *int64   `json:"limit_bytes,omitempty"`     // of the control group
	SwapTotal      *int64   `json:"swap_total_bytes,omitempty"`
	SwapUsed       *int64   `json:"swap_used_bytes,omitempty"`
	Swappiness     *int     `json:"swappiness,omitempty"`

	Load     []float64 `json:"load,omitempty"`     // averages of 1, 5 and 15 minutes
	Pressure *Pressure `json:"pressure,omitempty"` // over the last ten seconds

	Disk     *Disk    `json:"disk,omitempty"`
	Activity Activity `json:"activity,omitzero"`
}

// Pressure is the share of time in which something waited for a resource, 0..1.
type Pressure struct {
	CPU    *float64 `json:"cpu,omitempty"`
	Memory *float64 `json:"memory,omitempty"`
	IO     *float64 `json:"io,omitempty"`
}

// Disk is where results are kept.
type Disk struct {
	Path      string `json:"path"` // the data folder, or the nearest folder above it that is there
	FreeBytes int64  `json:"free_bytes"`
	Problem   string `json:"problem,omitempty"` // why it can't be written
}

// Cores is how many logical CPUs a measurement has: what the process may run on,
// within its quota; 0 is unknown.
func (h *Host) Cores() float64 {
	cores := float64(h.Allowed)
	if cores == 0 {
		cores = float64(h.CPUs)
	}
	if h.QuotaCores != nil && *h.QuotaCores < cores {
		cores = *h.QuotaCores
	}
	return cores
}

// GPU is one device as NVIDIA's driver describes it.
type GPU struct {
	Index         int      `json:"index"`
	Model         string   `json:"model"`
	UUID          string   `json:"uuid"`
	Driver        string   `json:"driver"`
	MemoryBytes   int64    `json:"memory_bytes,omitempty"`
	UsedBytes     *int64   `json:"used_bytes,omitempty"`
	Utilisation   *float64 `json:"utilisation,omitempty"` // 0..1
	Persistence   *bool    `json:"persistence,omitempty"`
	SMClockMHz    *int     `json:"sm_clock_mhz,omitempty"`
	MaxClockMHz   *int     `json:"max_sm_clock_mhz,omitempty"`
	AppClockMHz   *int     `json:"application_clock_mhz,omitempty"`
	AppDefaultMHz *int     `json:"default_application_clock_mhz,omitempty"`
	PowerLimitW   *float64 `json:"power_limit_w,omitempty"`
	PowerDefaultW *float64 `json:"default_power_limit_w,omitempty"`
	TemperatureC  *int     `json:"temperature_c,omitempty"`
	Throttle      []string `json:"throttle,omitempty"` // probe.Throttle…, now
	ECCErrors     *uint64  `json:"ecc_uncorrected,omitempty"`
	Processes     []int    `json:"processes,omitempty"`
	MIG           bool     `json:"mig,omitempty"`
}
