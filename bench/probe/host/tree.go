package host

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// RSSPeakTree is the sum of the largest resident sets of a process and all that
// descend from it, in bytes: an upper bound of what they had together. Processes that
// have ended are not in it.
func (s *Sampler) RSSPeakTree(pid int) (int64, error) { return s.memoryTree(pid, "VmHWM") }

// RSSTree is the resident memory, in bytes, of a process and everything that it started, at this moment.
func (s *Sampler) RSSTree(pid int) (int64, error) { return s.memoryTree(pid, "VmRSS") }

func (s *Sampler) memoryTree(pid int, field string) (int64, error) {
	sum, err := s.status(pid, field)
	if err != nil {
		return 0, err
	}
	for _, p := range s.descendants(pid) {
		if n, err := s.status(p, field); err == nil { // one that ended since has none
			sum += n
		}
	}
	return sum, nil
}

// descendants are the processes below pid.
func (s *Sampler) descendants(pid int) []int {
	entries, err := fs.ReadDir(s.fsys, "proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, ok := s.parent(p); ok {
			children[parent] = append(children[parent], p)
		}
	}
	var out []int
	for todo := children[pid]; len(todo) > 0; todo = todo[1:] {
		out = append(out, todo[0])
		todo = append(todo, children[todo[0]]...)
	}
	return out
}

// parent reads /proc/PID/stat: "pid (name) state parent …", where the name may hold
// spaces and parentheses.
func (s *Sampler) parent(pid int) (int, bool) {
	b, err := fs.ReadFile(s.fsys, fmt.Sprintf("proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	text := string(b)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(f[1])
	return parent, err == nil
}
