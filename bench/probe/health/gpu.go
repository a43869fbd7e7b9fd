package health

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/probe"
)

// Limits of a GPU that is about to measure.
const (
	hot = 80 // °C; most data-centre GPUs slow down from about 85
	// IdleUse is for which share of the time a GPU may have been busy and count as unused: whoever looks at it, this
	// program too, uses it a little.
	IdleUse = 0.05
)

// gpu gives the findings of one device, in the order in which to mend them.
func gpu(g *GPU) []Finding {
	var out []Finding
	add := func(id string, s Severity, what, why, do, command string) {
		out = append(out, Finding{
			ID: "gpu." + id, Severity: s, Device: g.UUID, What: fmt.Sprintf("GPU %d: %s", g.Index, what), Why: why, Do: do,
			Command: strings.ReplaceAll(command, "-i N", fmt.Sprintf("-i %d", g.Index)),
		})
	}
	if n := g.ECCErrors; n != nil && *n > 0 {
		add("ecc", Disturbs, fmt.Sprintf("%d uncorrected memory errors since the driver was loaded", *n),
			"a round with a new one is invalid", "have the GPU checked; resetting it needs that nothing uses it", "nvidia-smi -i N -q -d ECC,ROW_REMAPPER")
	}
	switch {
	case len(g.Processes) > 0:
		add("processes", Disturbs, fmt.Sprintf("in use by %d other processes (pids %s)", len(g.Processes), pids(g.Processes)),
			"they share its cores, memory bandwidth and power", "stop them, or measure on another GPU", "nvidia-smi -i N")
	case g.Utilisation != nil && *g.Utilisation > IdleUse:
		add("processes", Disturbs, fmt.Sprintf("busy for %s of the time, with processes that can't be seen from here", percent(*g.Utilisation)),
			"they share its cores, memory bandwidth and power", "see on the host what uses it", "nvidia-smi -i N")
	case g.Utilisation != nil:
		add("processes", OK, "nothing else uses it", "", "", "")
	}
	throttled(g, add)
	if t := g.TemperatureC; t != nil && *t >= hot {
		add("temperature", Disturbs, fmt.Sprintf("%d °C before anything is measured", *t), "at about 85 °C it lowers its clocks", "let it cool; look at the fans and the air of its rack", "")
	}
	if p := g.Persistence; p != nil {
		if *p {
			add("persistence", OK, "persistence mode is on", "", "", "")
		} else {
			add("persistence", Disturbs, "persistence mode is off",
				"without a user the driver lets go of the GPU: every start of a subject pays for its return, and settings of clocks and power are lost", "turn it on", "sudo nvidia-smi -i N -pm 1")
		}
	}
	clocks(g, add)
	if l, d := g.PowerLimitW, g.PowerDefaultW; l != nil && d != nil && *l < *d {
		add("power", Note, fmt.Sprintf("power is limited to %.0f W, by default %.0f W", *l, *d),
			"the limit is part of what makes results comparable: they are kept apart from those of GPUs with another one", "keep it alike on all GPUs that are compared",
			fmt.Sprintf("sudo nvidia-smi -i N -pl %.0f", *d))
	}
	if g.MIG {
		add("mig", Note, "MIG is on: it is divided", "other slices share its memory bandwidth and power", "measure whole GPUs where figures are to be compared with others'", "")
	}
	return out
}

type adder func(id string, s Severity, what, why, do, command string)

func throttled(g *GPU, add adder) {
	hard := slices.DeleteFunc(slices.Clone(g.Throttle), func(r string) bool { return r == probe.ThrottleSWPowerCap })
	switch {
	case len(hard) > 0:
		add("throttle", Disturbs, "slowed down now: "+strings.Join(hard, ", "), "a round in which that happens is invalid", "find the cause: temperature, power supply, a failing board", "nvidia-smi -i N -q -d PERFORMANCE,TEMPERATURE,POWER")
	case len(g.Throttle) > 0:
		add("throttle", Note, "at its power limit now", "normal under load; before a measurement it means that something loads it", "see what runs on it", "nvidia-smi -i N")
	}
}

// clocks are advice only: the driver doesn't tell whether they are locked.
func clocks(g *GPU, add adder) {
	what := "its clocks follow load, temperature and power"
	if g.SMClockMHz != nil && g.MaxClockMHz != nil {
		what += fmt.Sprintf(" (now %d, at most %d MHz)", *g.SMClockMHz, *g.MaxClockMHz)
	}
	if a, d := g.AppClockMHz, g.AppDefaultMHz; a != nil && d != nil && *a != *d {
		what = fmt.Sprintf("application clocks are set to %d MHz, by default %d MHz", *a, *d)
	}
	command := ""
	if g.MaxClockMHz != nil {
		// Below the top there is room for power and temperature.
		command = fmt.Sprintf("sudo nvidia-smi -i N -lgc %d", *g.MaxClockMHz*3/4)
	}
	add("clocks", Note, what, "the driver doesn't say whether they are locked; where they are not, a cool GPU is faster than a warm one",
		"lock them where small differences matter (undone by nvidia-smi -rgc)", command)
}

func pids(list []int) string {
	var parts []string
	for _, p := range list[:min(len(list), 8)] {
		parts = append(parts, fmt.Sprint(p))
	}
	if len(list) > 8 {
		parts = append(parts, "…")
	}
	return strings.Join(parts, ", ")
}
