package host

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// group is the folder of a control group that this process is in, and whether it is
// of version 2.
type group struct {
	dir string
	v2  bool
}

// noLimit is what version 1 writes for memory without a limit, rounded down to a page.
const noLimit = 1 << 60

// groups are this process's control groups with everything above them, as far as
// they can be seen from here.
func (s *Sampler) groups() []group {
	var out []group
	for l := range strings.Lines(string(s.read("proc/self/cgroup"))) {
		parts := strings.SplitN(strings.TrimSpace(l), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root, v2 := "sys/fs/cgroup", parts[1] == ""
		switch {
		case v2:
		case strings.Contains(","+parts[1]+",", ",cpu,"):
			root += "/cpu"
		case parts[1] == "memory":
			root += "/memory"
		default:
			continue
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			out = append(out, group{path.Join(root, dir), v2})
			if dir == "/" {
				break
			}
		}
	}
	return out
}

// quota is the CPU time that a group may use, in cores.
func (s *Sampler) quota(g group) (float64, bool) {
	if g.v2 {
		return parseQuota(s.read(path.Join(g.dir, "cpu.max")))
	}
	return parseQuota([]byte(s.line(path.Join(g.dir, "cpu.cfs_quota_us")) + " " + s.line(path.Join(g.dir, "cpu.cfs_period_us"))))
}

// limit is a group's memory, and what of it is in use and couldn't be dropped.
func (s *Sampler) limit(g group) (limit, used int64, ok bool) {
	most, current, cache := "memory.max", "memory.current", "inactive_file"
	if !g.v2 {
		most, current, cache = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	}
	limit, err := strconv.ParseInt(s.line(path.Join(g.dir, most)), 10, 64)
	if err != nil || limit <= 0 || limit >= noLimit {
		return 0, 0, false
	}
	used, err = strconv.ParseInt(s.line(path.Join(g.dir, current)), 10, 64)
	if err != nil || used < 0 {
		return 0, 0, false
	}
	if n, ok := parseCount(s.read(path.Join(g.dir, "memory.stat")), cache); ok && n <= uint64(used) {
		used -= int64(n)
	}
	return limit, used, true
}

// quotaHits counts the periods in which any of the groups was stopped.
func (s *Sampler) quotaHits() *uint64 {
	var sum *uint64
	for _, g := range s.groups() {
		b, err := fs.ReadFile(s.fsys, path.Join(g.dir, "cpu.stat"))
		if err != nil {
			continue
		}
		if n, ok := parseCount(b, "nr_throttled"); ok {
			if sum == nil {
				sum = new(uint64)
			}
			*sum += n
		}
	}
	return sum
}

// parseQuota reads a quota and a period in microseconds, and gives cores: "150000
// 100000" is 1.5; "max 100000" and -1 are no limit.
func parseQuota(b []byte) (float64, bool) {
	if _, ok := parseCPUMax(b); !ok {
		return 0, false
	}
	f := strings.Fields(string(b))
	quota, err1 := strconv.ParseFloat(f[0], 64)
	period, err2 := strconv.ParseFloat(f[1], 64)
	if err1 != nil || err2 != nil {
		return 0, false
	}
	return quota / period, true
}

// parseCount finds "name 123" in a file of such lines.
func parseCount(b []byte, name string) (uint64, bool) {
	for l := range strings.Lines(string(b)) {
		f := strings.Fields(l)
		if len(f) != 2 || f[0] != name {
			continue
		}
		n, err := strconv.ParseUint(f[1], 10, 63)
		return n, err == nil
	}
	return 0, false
}
