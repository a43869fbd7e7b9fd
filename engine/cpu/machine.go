//go:build native

package cpu

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// envPin, set to "0", lets the system move the workers.
const envPin = "PACELINE_CPU_PIN"

// places is a processor for each of so many threads, one a core, of those that this process may
// use; nil if they aren't known, are fewer than the threads, or aren't to be used.
func places(threads int) []int32 {
	if os.Getenv(envPin) == "0" {
		return nil
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	_, list, found := strings.Cut(string(status), "\nCpus_allowed_list:")
	list, _, _ = strings.Cut(list, "\n")
	if !found {
		return nil
	}
	var cpus []int32
	cores := map[string]bool{}
	for _, cpu := range numbers(strings.TrimSpace(list)) {
		siblings, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err != nil || cores[string(siblings)] {
			continue
		}
		cores[string(siblings)] = true
		cpus = append(cpus, cpu)
	}
	if len(cpus) < threads {
		return nil
	}
	return cpus[:threads]
}

// numbers reads a list such as 0-3,8,10-11; nothing of one that is malformed.
func numbers(list string) []int32 {
	var all []int32
	for part := range strings.SplitSeq(list, ",") {
		first, last, span := strings.Cut(part, "-")
		if !span {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err != nil || err2 != nil || from < 0 || to < from || to > 1<<16 {
			return nil
		}
		for n := from; n <= to; n++ {
			all = append(all, int32(n))
		}
	}
	return all
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
