package host

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/paceline/paceline/bench/probe/health"
)

// Counters reads what the kernel counts up, with the CPU time of every process that
// can be seen. Two readings make health.Between's activity.
func (s *Sampler) Counters() (health.Counters, error) {
	b, err := fs.ReadFile(s.fsys, "proc/stat")
	if err != nil {
		return health.Counters{}, fmt.Errorf("watch this machine: read CPU time: %w", err)
	}
	times, err := parseStat(b)
	if err != nil {
		return health.Counters{}, fmt.Errorf("watch this machine: read CPU time: %w", err)
	}
	c := health.Counters{At: s.now(), CPUs: countCPUs(b), Total: times.Total, Idle: times.Idle, Steal: times.Steal, QuotaHits: s.quotaHits()}
	if n := s.throttled(); len(s.counters) > 0 {
		c.Throttled = &n
	}
	vmstat := s.read("proc/vmstat")
	in, ok1 := parseCount(vmstat, "pswpin")
	out, ok2 := parseCount(vmstat, "pswpout")
	if ok1 && ok2 {
		c.Swapped = new(in + out)
	}
	if pid, _, ok := parseProcess(s.read("proc/self/stat")); ok {
		c.Self = pid
	}
	c.Processes = s.processes()
	return c, nil
}

// processes reads the times of all; one that ends meanwhile is left out.
func (s *Sampler) processes() map[int]health.ProcessTime {
	entries, err := fs.ReadDir(s.fsys, "proc")
	if err != nil {
		return nil
	}
	out := map[int]health.ProcessTime{}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if pid, p, ok := parseProcess(s.read("proc/" + e.Name() + "/stat")); ok {
			out[pid] = p
		}
	}
	return out
}

// countCPUs counts the lines of single CPUs in /proc/stat.
func countCPUs(b []byte) int {
	n := 0
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, "cpu"); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			n++
		}
	}
	return n
}

// Fields of /proc/PID/stat after the name, from 0.
const (
	fieldUser    = 11
	fieldSystem  = 12
	fieldStarted = 19
)

// parseProcess reads /proc/PID/stat: "12 (a name) S 1 …". The name may hold anything,
// parentheses too, so that it ends at the last one.
func parseProcess(b []byte) (pid int, p health.ProcessTime, ok bool) {
	head, rest, found := strings.Cut(string(b), " (")
	end := strings.LastIndex(rest, ") ")
	if !found || end < 0 {
		return 0, p, false
	}
	pid, err := strconv.Atoi(head)
	if err != nil || pid <= 0 {
		return 0, p, false
	}
	f := strings.Fields(rest[end+2:])
	if len(f) <= fieldStarted {
		return 0, p, false
	}
	user, err1 := strconv.ParseUint(f[fieldUser], 10, 62)
	system, err2 := strconv.ParseUint(f[fieldSystem], 10, 62)
	started, err3 := strconv.ParseUint(f[fieldStarted], 10, 63)
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, p, false
	}
	return pid, health.ProcessTime{Name: printable(rest[:end]), Started: started, Ticks: user + system}, true
}

// printable replaces what would disturb a terminal: a process names itself.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
