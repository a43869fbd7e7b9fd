package cpu

import (
	"os"
	"path/filepath"
	"runtime"
)

// Cores is how many threads can compute without sharing a core: physical cores,
// within what this process may use (affinity and quota, as Go sees them).
func Cores() int {
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
