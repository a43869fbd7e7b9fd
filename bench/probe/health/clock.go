package health

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What the operating system says of clocks: governor, preference, boost, ceiling.

// counted writes "powersave on 14 of 16 CPUs, performance on 2", the most first.
func counted(by map[string]int) string {
	total := 0
	names := slices.Sorted(maps.Keys(by))
	for _, n := range by {
		total += n
	}
	slices.SortStableFunc(names, func(a, b string) int { return by[b] - by[a] })
	var parts []string
	for i, name := range names {
		if i == 0 {
			parts = append(parts, fmt.Sprintf("%s on %d of %d CPUs", name, by[name], total))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s on %d", name, by[name]))
	}
	return strings.Join(parts, ", ")
}

func governor(h *Host) []Finding {
	if len(h.Governors) == 0 {
		return nil
	}
	f := Finding{ID: "governor", Severity: OK, What: "frequency governor " + counted(h.Governors)}
	if h.Driver != "" {
		f.Evidence = "driver " + h.Driver
	}
	if len(h.Governors) == 1 && h.Governors["performance"] > 0 {
		return one(f)
	}
	f.Severity = Disturbs
	f.Why = "the clock follows the load with a delay, so that a round's speed depends on what ran just before it"
	f.Do = "keep the clock up while measuring"
	f.Command = "sudo cpupower frequency-set -g performance"
	return one(f)
}

// preference is the hint that hardware with its own frequency control is given.
func preference(h *Host) []Finding {
	var slow []string
	for _, p := range slices.Sorted(maps.Keys(h.Preferences)) {
		if p != "performance" && p != "balance_performance" {
			slow = append(slow, p)
		}
	}
	switch {
	case len(h.Preferences) == 0:
		return nil
	case len(slow) == 0:
		return one(Finding{ID: "preference", Severity: OK, What: "energy preference " + counted(h.Preferences)})
	}
	return one(Finding{
		ID: "preference", Severity: Disturbs, What: "energy preference " + counted(h.Preferences),
		Why: "the processor saves energy and raises its clock late", Do: "prefer performance while measuring",
		Command: "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/energy_performance_preference",
	})
}

// profile is a laptop's: its power source and the profile that its firmware follows.
func profile(h *Host) []Finding {
	var out []Finding
	if h.Battery != nil && *h.Battery {
		out = append(out, Finding{
			ID: "battery", Severity: Disturbs, What: "this machine runs on its battery",
			Why: "on battery, firmware lowers clocks and power limits as it sees fit", Do: "plug it in",
		})
	}
	if strings.Contains(h.Profile, "low-power") || strings.Contains(h.Profile, "quiet") || strings.Contains(h.Profile, "cool") {
		out = append(out, Finding{
			ID: "profile", Severity: Disturbs, What: "platform profile " + h.Profile,
			Why: "the firmware holds power and clocks down", Do: "choose the performance profile",
			Command: "echo performance | sudo tee /sys/firmware/acpi/platform_profile",
		})
	}
	return out
}

func boost(h *Host) []Finding {
	switch {
	case h.Boost == nil:
		return nil
	case !*h.Boost:
		return one(Finding{ID: "turbo", Severity: OK, What: "turbo is off: the clock stays at its nominal rate"})
	}
	f := Finding{
		ID: "turbo", Severity: Note, What: "turbo is on",
		Why:     "how far the clock is raised depends on temperature and on how many cores work: the first rounds of a cool machine are faster",
		Do:      "turn it off where steady figures matter more than high ones",
		Command: "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost",
	}
	if h.Driver == "intel_pstate" || h.Driver == "intel_cpufreq" {
		f.Command = "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
	}
	return one(f)
}

func ceiling(h *Host) []Finding {
	if h.MaxMHz == 0 || h.CapMHz == 0 || h.CapMHz >= h.MaxMHz {
		return nil
	}
	return one(Finding{
		ID: "ceiling", Severity: Note, What: fmt.Sprintf("clocks are capped at %d of %d MHz", h.CapMHz, h.MaxMHz),
		Why: "steady, but lower than this processor can do, and different from a machine without the cap",
		Do:  "lift the cap, or keep it on every machine that is compared", Command: fmt.Sprintf("sudo cpupower frequency-set -u %dMHz", h.MaxMHz),
	})
}

// clock is what time is read from.
func clock(h *Host) []Finding {
	switch c := h.Clocksource; c {
	case "":
		return nil
	case "tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page":
		return one(Finding{ID: "clocksource", Severity: OK, What: "time is read from " + c})
	default:
		f := Finding{
			ID: "clocksource", Severity: Disturbs, What: "time is read from " + c,
			Why: "each reading is a system call of about a microsecond, and every token of every request is stamped",
			Do:  "use the processor's own counter; the kernel doesn't offer it here, so ask for another kind of machine",
		}
		if h.HasTSC {
			f.Do = "use the processor's own counter"
			f.Command = "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource"
		}
		return one(f)
	}
}
