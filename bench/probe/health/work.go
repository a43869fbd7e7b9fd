package health

import (
	"fmt"
	"strings"
)

// Who else uses the processor: other processes, other guests, the control group.

// Limits of what others may use. The engine computes on every core and a step waits
// for the slowest, so that a busy CPU counts, not its share of the machine.
const (
	busyDisturbs  = 0.5 // CPUs
	busyNote      = 0.1
	stealDisturbs = 0.01 // a trial is invalid at 0.05
	stealNote     = 0.001
)

func busy(h *Host) []Finding {
	b := h.Activity.BusyCores
	if b == nil {
		return nil
	}
	f := Finding{ID: "processes", Severity: OK, What: fmt.Sprintf("others keep %.2g CPUs busy", *b)}
	if h.CPUs > 0 {
		f.What = fmt.Sprintf("others keep %.2g of %d CPUs busy", *b, h.CPUs)
	}
	var names []string
	for _, p := range h.Activity.Busiest {
		names = append(names, fmt.Sprintf("%s (pid %d) %.2f", p.Name, p.PID, p.Cores))
	}
	if len(names) > 0 {
		f.Evidence = "busiest, in CPUs: " + strings.Join(names, ", ")
	} else if h.Container != "" && *b >= busyNote {
		f.Evidence = "they run outside this container, where they can't be seen"
	}
	if *b < busyNote {
		return one(f)
	}
	f.Severity = Note
	if *b >= busyDisturbs {
		f.Severity = Disturbs
	}
	f.Why = "a step of the engine waits for its slowest core, so that one busy core slows all"
	f.Do = "stop them while measuring, or measure where nothing else runs"
	return one(f)
}

func load(h *Host) []Finding {
	if len(h.Load) == 0 {
		return nil
	}
	cores := max(h.Cores(), 1)
	f := Finding{ID: "load", Severity: OK, What: fmt.Sprintf("load %.2f over the last minute", h.Load[0])}
	if len(h.Load) == 3 {
		f.Evidence = fmt.Sprintf("%.2f, %.2f and %.2f over 1, 5 and 15 minutes", h.Load[0], h.Load[1], h.Load[2])
	}
	switch {
	case h.Load[0] >= cores:
		f.Severity = Disturbs
	case h.Load[0] >= max(0.5, 0.25*cores):
		f.Severity = Note
	default:
		return one(f)
	}
	f.Why = "so many tasks ran or waited at once; where it has just fallen, caches and temperature still show it"
	f.Do = "wait until what is running has ended"
	return one(f)
}

// pressure is of waiting, which load and CPU time don't show.
func pressure(h *Host) []Finding {
	p := h.Pressure
	if p == nil {
		return nil
	}
	var out []Finding
	for _, r := range []struct {
		name   string
		share  *float64
		limit  float64
		why    string
		do     string
		damage Severity
	}{
		{"cpu", p.CPU, 0.10, "tasks wait for a processor: the measuring program's timers do so too, and its trials become invalid", "stop what runs, or measure on a machine of your own", Disturbs},
		{"memory", p.Memory, 0.01, "tasks wait for memory to be freed", "stop what fills the memory", Disturbs},
		{"io", p.IO, 0.10, "tasks wait for disks; the start of a subject, which reads its weights, takes longer", "wait until the disk is idle", Note},
	} {
		if r.share == nil {
			continue
		}
		f := Finding{ID: "pressure." + r.name, Severity: OK, What: fmt.Sprintf("tasks waited for %s in %s of the last ten seconds", resource(r.name), percent(*r.share))}
		if *r.share >= r.limit {
			f.Severity, f.Why, f.Do = r.damage, r.why, r.do
		}
		out = append(out, f)
	}
	return out
}

func resource(name string) string {
	switch name {
	case "cpu":
		return "a CPU"
	case "io":
		return "input or output"
	}
	return name
}

func steal(h *Host) []Finding {
	s := h.Activity.Steal
	if s == nil || h.Virtual == "" && *s == 0 {
		return nil
	}
	f := Finding{ID: "steal", Severity: OK, What: fmt.Sprintf("the hypervisor took %s of the CPU time", percent(*s))}
	if *s < stealNote {
		return one(f)
	}
	f.Severity = Note
	if *s >= stealDisturbs {
		f.Severity = Disturbs
	}
	f.Why = "other guests of this host run on the same cores; a trial in which they take 5 % is invalid"
	f.Do = "ask for a machine with dedicated cores, not one with shared or burstable ones"
	return one(f)
}

func throttling(h *Host) []Finding {
	now, ever := h.Activity.Throttled, h.Activity.EverHot
	switch {
	case now != nil && *now > 0:
		return one(Finding{
			ID: "thermal", Severity: Disturbs, What: fmt.Sprintf("the CPU is throttled for its temperature: %d times while it was watched", *now),
			Why: "a trial with a throttled core is invalid", Do: "let it cool, clean its fans, turn turbo off or lower the power limit",
		})
	case ever != nil && *ever > 0:
		return one(Finding{
			ID: "thermal", Severity: Note, What: fmt.Sprintf("the CPU was throttled for its temperature %d times since it was started", *ever),
			Why: "under long load it gets too hot to keep its clock, and a trial with a throttled core is invalid", Do: "improve the cooling, or turn turbo off",
		})
	case ever != nil:
		return one(Finding{ID: "thermal", Severity: OK, What: "the CPU was never throttled for its temperature"})
	}
	return nil
}

func quota(h *Host) []Finding {
	q := h.QuotaCores
	if q == nil {
		return nil
	}
	f := Finding{
		ID: "quota", Severity: Note, What: fmt.Sprintf("the control group may use %.3g cores' worth of CPU time", *q),
		Why:     "when a period's share is used up, the kernel stops every thread until the next one: gaps of up to 100 ms between tokens",
		Do:      "give the container whole CPUs of its own instead of a share of all; in Kubernetes: the static CPU manager, with equal and whole requests and limits",
		Command: "docker run --cpuset-cpus=0-3 …   # in place of --cpus=4",
	}
	if n := h.Activity.QuotaHits; n != nil && *n > 0 {
		f.Evidence = fmt.Sprintf("stopped in %d periods while it was watched", *n)
		f.Severity = Disturbs
	}
	if *q != float64(int(*q)) {
		f.Severity = Disturbs // as many threads as the next whole number share it
	}
	return one(f)
}

func cpuset(h *Host) []Finding {
	if h.Allowed == 0 || h.CPUs == 0 || h.Allowed >= h.CPUs {
		return nil
	}
	return one(Finding{
		ID: "cpuset", Severity: Note, What: fmt.Sprintf("this process may run on %d of %d CPUs", h.Allowed, h.CPUs),
		Why: "good where the others are kept off them; if they are not, the CPUs are shared all the same", Do: "see that nothing else is allowed on these CPUs",
	})
}

func smt(h *Host) []Finding {
	if h.SMT == nil {
		return nil
	}
	if !*h.SMT {
		return one(Finding{ID: "smt", Severity: OK, What: "one thread a core"})
	}
	return one(Finding{
		ID: "smt", Severity: Note, What: "two threads share each core (SMT)",
		Why: "what runs on the other thread of a core slows this one, and which threads meet differs from start to start",
		Do:  "turn it off where nothing else needs it", Command: "echo off | sudo tee /sys/devices/system/cpu/smt/control",
	})
}

func virtual(h *Host) []Finding {
	var out []Finding
	if h.Virtual != "" {
		out = append(out, Finding{
			ID: "virtual", Severity: Note, What: "this is a virtual machine: " + strings.TrimPrefix(h.Virtual, "vm "),
			Why: "its host decides about clocks and neighbours, and they can't be seen from here", Do: "compare only rounds of one machine, or of one type on one provider; prefer types with dedicated cores",
		})
	}
	if h.Container != "" {
		out = append(out, Finding{
			ID: "container", Severity: Note, What: "this is a container: " + h.Container,
			Why: "processes outside it share the machine and are not listed here", Do: "see on its host what else runs there",
		})
	}
	return out
}
