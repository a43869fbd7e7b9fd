package room

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// Available is how many bytes this process can have beyond what it has, -1 where the system
// doesn't say. It is an estimate that is true at this moment: others take memory too.
func Available() int64 { return available(os.DirFS("/")) }

// available reads Linux's files: what the machine can give without swapping, and what is
// left below the limit of each control group that holds this process. Files that the
// kernel keeps to be fast, it drops where memory is asked for: they count as free.
func available(root fs.FS) int64 {
	least := int64(-1)
	note := func(n int64, ok bool) {
		if ok && (least < 0 || n < least) {
			least = n
		}
	}
	kib, ok := number(root, "proc/meminfo", "MemAvailable:")
	note(min(kib, math.MaxInt64>>10)<<10, ok)
	for _, g := range groups(root) {
		note(g.left(root))
	}
	return least
}

// group is a control group's folder with the names of its files.
type group struct {
	dir, limit, used string
	cached           [2]string // lines of memory.stat
}

// groups are those that account for this process's memory, with all above them.
func groups(root fs.FS) []group {
	data, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var all []group
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		g, base := group{limit: "memory.max", used: "memory.current", cached: [2]string{"inactive_file", "active_file"}}, "sys/fs/cgroup"
		if parts[1] != "" {
			if parts[1] != "memory" {
				continue
			}
			base += "/memory" // version 1
			g = group{limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", cached: [2]string{"total_inactive_file", "total_active_file"}}
		}
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			g.dir = path.Join(base, dir)
			all = append(all, g)
			if dir == "/" {
				break
			}
		}
	}
	return all
}

// left is what the group's limit leaves, at least 0; not ok without a limit.
func (g group) left(root fs.FS) (int64, bool) {
	limit, ok := number(root, path.Join(g.dir, g.limit), "")
	if !ok {
		return 0, false
	}
	used, ok := number(root, path.Join(g.dir, g.used), "")
	if !ok {
		return 0, false
	}
	for _, name := range g.cached {
		n, _ := number(root, path.Join(g.dir, "memory.stat"), name)
		used -= min(n, used)
	}
	return max(0, limit-used), true
}

// number is the whole number after name, or the file's only one where name is empty.
// "max" and what isn't there are not ok.
func number(root fs.FS, file, name string) (int64, bool) {
	data, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if name != "" {
			if len(fields) < 2 || fields[0] != name {
				continue
			}
			fields = fields[1:]
		}
		if len(fields) == 0 {
			return 0, false
		}
		n, err := strconv.ParseInt(fields[0], 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}
