package health

import (
	"cmp"
	"slices"
	"time"
)

// Counters are what the kernel counts up, read at one moment.
type Counters struct {
	At        time.Time
	CPUs      int    // lines of CPUs that the times are summed over
	Total     uint64 // CPU time in the kernel's ticks, idle included
	Idle      uint64
	Steal     uint64
	Throttled *uint64 // thermal throttle events of all cores
	QuotaHits *uint64 // periods in which the control group was stopped
	Swapped   *uint64 // pages in and out
	Self      int     // this process
	Processes map[int]ProcessTime
}

// ProcessTime is the CPU time of one process in ticks.
type ProcessTime struct {
	Name    string
	Started uint64 // tells two processes of one number apart
	Ticks   uint64
}

// Activity is what happened between two readings.
type Activity struct {
	Seconds   float64   `json:"seconds,omitempty"`
	BusyCores *float64  `json:"busy_cores,omitempty"` // CPUs' worth of work of everybody
	Steal     *float64  `json:"steal,omitempty"`      // share of CPU time, 0..1
	Throttled *uint64   `json:"throttled,omitempty"`  // thermal events meanwhile
	EverHot   *uint64   `json:"throttled_since_boot,omitempty"`
	QuotaHits *uint64   `json:"quota_hits,omitempty"`
	Swapped   *uint64   `json:"swapped_pages,omitempty"`
	Busiest   []Process `json:"busiest,omitempty"` // at most five, this process left out
}

// Process is one that used the CPU.
type Process struct {
	PID   int     `json:"pid"`
	Name  string  `json:"name"`
	Cores float64 `json:"cores"` // CPUs' worth of work
}

// Limits of the list of processes.
const (
	maxProcesses = 5
	leastCores   = 0.01
)

// Between says what happened from one reading to a later one. Counters that went
// back, as after a restart of what keeps them, are unknown.
func Between(a, b Counters) Activity {
	act := Activity{
		Seconds: b.At.Sub(a.At).Seconds(), EverHot: b.Throttled,
		Throttled: since(a.Throttled, b.Throttled), QuotaHits: since(a.QuotaHits, b.QuotaHits), Swapped: since(a.Swapped, b.Swapped),
	}
	if b.Total <= a.Total || b.Idle < a.Idle || b.Steal < a.Steal || b.CPUs < 1 {
		return act
	}
	total := float64(b.Total - a.Total)
	steal := float64(b.Steal-a.Steal) / total
	// Stolen time is nobody's work here.
	busy := max(0, total-float64(b.Idle-a.Idle)-float64(b.Steal-a.Steal)) / total * float64(b.CPUs)
	act.Steal, act.BusyCores = &steal, &busy
	for pid, p := range b.Processes {
		before, known := a.Processes[pid]
		if pid == b.Self || !known || before.Started != p.Started || p.Ticks < before.Ticks {
			continue // also what began meanwhile: it has no beginning to count from
		}
		if cores := float64(p.Ticks-before.Ticks) / total * float64(b.CPUs); cores >= leastCores {
			act.Busiest = append(act.Busiest, Process{PID: pid, Name: p.Name, Cores: cores})
		}
	}
	slices.SortFunc(act.Busiest, func(x, y Process) int {
		return cmp.Or(cmp.Compare(y.Cores, x.Cores), cmp.Compare(x.PID, y.PID))
	})
	act.Busiest = act.Busiest[:min(len(act.Busiest), maxProcesses)]
	return act
}

func since(a, b *uint64) *uint64 {
	if a == nil || b == nil || *b < *a {
		return nil
	}
	n := *b - *a
	return &n
}
