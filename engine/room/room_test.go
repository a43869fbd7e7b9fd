package room

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheck(t *testing.T) {
	const gb = 1_000_000_000
	for _, tt := range []struct {
		weights, kv, available int64
		want                   string // part of the error; empty: it fits
	}{
		{1 * gb, gb / 2, 2 * gb, ""},
		{1 * gb, 1 * gb, 2 * gb, ""},
		{1 * gb, 1*gb + 1, 2 * gb, "the weights take 1000 MB and the KV cache 1000 MB, this process can have 2000 MB more: ask for a shorter context"},
		{2 * gb, 0, 2*gb - 1, "the weights take 2000 MB"},
		{200 * gb, 0, 24 * gb, "the weights take 200.0 GB, this process can have 24.0 GB more: take a smaller model"},
		{200 * gb, 200 * gb, -1, ""},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, "KV cache"},
		{1, 0, 0, "this process can have 0 MB more"},
	} {
		err := Check(tt.weights, tt.kv, tt.available)
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (!errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%d + %d of %d: got error %v, want %q", tt.weights, tt.kv, tt.available, err, tt.want)
		}
	}
}

func files(of map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range of {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestAvailable(t *testing.T) {
	const meminfo = "MemTotal:  24000000 kB\nMemFree:   100 kB\nMemAvailable:   1000000 kB\n"
	for name, tt := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing known": {nil, -1},
		"machine":       {map[string]string{"proc/meminfo": meminfo}, 1_024_000_000},
		"version 2, limits above": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "5\n",
			"sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/memory.current": "900\n",
			"sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 200\nactive_file 100\n",
		}, 400},
		"version 2, the machine has less": {map[string]string{
			"proc/meminfo": "MemAvailable: 1 kB\n", "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "5000\n", "sys/fs/cgroup/memory.current": "10\n",
		}, 1024},
		"version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:cpu,cpuacct:/x\n3:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "70000\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "80000\n",
			"sys/fs/cgroup/memory/x/memory.stat": "total_inactive_file 20000\n",
		}, 10000},
		"over its limit": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "10\n", "sys/fs/cgroup/memory.current": "20\n",
		}, 0},
		"nonsense": {map[string]string{
			"proc/meminfo": "MemAvailable:\nMemAvailable: x kB", "proc/self/cgroup": "::\n0::/../..\nx\n", "sys/fs/cgroup/memory.max": "-7\n",
		}, -1},
	} {
		if got := available(files(tt.files)); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

// TestAvailableHere: on Linux the system says it, and it is not absurd.
func TestAvailableHere(t *testing.T) {
	got := Available()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: only Linux says how much memory is available")
	}
	if got < 1<<20 || got > 1<<46 {
		t.Errorf("%d bytes are available", got)
	}
}

func FuzzAvailable(f *testing.F) {
	f.Add("MemAvailable: 9223372036854775807 kB\n", "0::/a\n3:memory:/a\n", "99", "inactive_file 3\nactive_file 9223372036854775807")
	f.Add("", "0::/../..", "max", "")
	f.Fuzz(func(t *testing.T, meminfo, cgroup, limit, stat string) {
		got := available(files(map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": cgroup,
			"sys/fs/cgroup/a/memory.max": limit, "sys/fs/cgroup/a/memory.current": limit, "sys/fs/cgroup/a/memory.stat": stat,
		}))
		if got < -1 {
			t.Errorf("%d bytes are available", got)
		}
	})
}
