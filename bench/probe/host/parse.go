package host

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paceline/paceline/bench/probe"
)

// parseStat reads the first line of /proc/stat: cpu user nice system idle iowait
// irq softirq steal guest guest_nice. Guest time is part of user time already.
func parseStat(b []byte) (probe.CPUTimes, error) {
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 5 || f[0] != "cpu" {
		return probe.CPUTimes{}, errors.New("the first line of /proc/stat is not that of all CPUs")
	}
	var t probe.CPUTimes
	for i, w := range f[1:] {
		if i > 7 {
			break
		}
		n, err := strconv.ParseUint(w, 10, 63)
		if err != nil {
			return probe.CPUTimes{}, fmt.Errorf("field %d of /proc/stat: %w", i+1, err)
		}
		if t.Total+n < t.Total {
			return probe.CPUTimes{}, errors.New("the times in /proc/stat add up to more than a counter holds")
		}
		t.Total += n
		switch i {
		case 3, 4:
			t.Idle += n
		case 7:
			t.Steal = n
		}
	}
	return t, nil
}

// fieldKiB finds "Name:   123 kB" and gives bytes.
func fieldKiB(b []byte, name string) (int64, bool) {
	for l := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(l, name+":")
		if !ok {
			continue
		}
		f := strings.Fields(rest)
		if len(f) == 0 {
			return 0, false
		}
		n, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil || n < 0 || n > 1<<52 {
			return 0, false
		}
		return n << 10, true
	}
	return 0, false
}

// parseLoad is the one-minute load average, or 0.
func parseLoad(b []byte) float64 {
	first, _, _ := strings.Cut(string(b), " ")
	v, err := strconv.ParseFloat(strings.TrimSpace(first), 64)
	if err != nil || !(v >= 0 && v < 1e6) {
		return 0
	}
	return v
}

// parseCPUMax reads a quota and a period in microseconds: "max 100000" or -1 is no
// limit. A part of a core counts as a whole one.
func parseCPUMax(b []byte) (int, bool) {
	f := strings.Fields(string(b))
	if len(f) != 2 {
		return 0, false
	}
	quota, err1 := strconv.ParseInt(f[0], 10, 64)
	period, err2 := strconv.ParseInt(f[1], 10, 64)
	if err1 != nil || err2 != nil || quota <= 0 || period <= 0 || quota > 1<<40 {
		return 0, false
	}
	return int((quota + period - 1) / period), true
}

type cpuInfo struct {
	model      string
	isa        string
	hypervisor bool
}

// isaFlags are the vector extensions that kernels tell machines apart by, in the
// order in which they are written.
func isaFlags() []string {
	return []string{
		"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
		"avx_vnni", "amx_tile", "amx_bf16", "amx_int8",
		"asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
	}
}

// parseCPUInfo reads the first processor of /proc/cpuinfo.
func parseCPUInfo(b []byte) cpuInfo {
	var info cpuInfo
	var implementer, part string
	for l := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(l, ":")
		if !ok {
			if info.isa != "" {
				break // the end of the first processor's lines
			}
			continue
		}
		value = strings.Join(strings.Fields(value), " ")
		switch strings.TrimSpace(name) {
		case "model name":
			info.model = value
		case "CPU implementer":
			implementer = value
		case "CPU part":
			part = value
		case "flags", "Features":
			have := strings.Fields(value)
			var isa []string
			for _, f := range isaFlags() {
				if slices.Contains(have, f) {
					isa = append(isa, f)
				}
			}
			info.isa = strings.Join(isa, "+")
			if info.isa == "" {
				info.isa = "scalar"
			}
			info.hypervisor = slices.Contains(have, "hypervisor")
		}
	}
	if info.model == "" && implementer != "" {
		info.model = "arm " + implementer + " " + part
	}
	return info
}

// parseSize reads a cache's size as the kernel writes it: "32768K", "32M".
func parseSize(s string) (int64, bool) {
	shift := 0
	switch {
	case strings.HasSuffix(s, "K"):
		shift = 10
	case strings.HasSuffix(s, "M"):
		shift = 20
	case strings.HasSuffix(s, "G"):
		shift = 30
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<30 {
		return 0, false
	}
	return n << shift, true
}
