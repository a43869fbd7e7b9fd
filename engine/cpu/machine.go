//go:build native

package cpu

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// cores is how many threads can compute without sharing a core: physical cores,
// within what this process may use (affinity and quota, as Go sees them).
func cores() int {
	n := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list")
	physical := map[string]bool{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return n
		}
		physical[string(data)] = true
	}
	if len(physical) == 0 {
		return n
	}
	return min(n, len(physical))
}

// deviceName is the processor in its maker's words.
func deviceName() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
