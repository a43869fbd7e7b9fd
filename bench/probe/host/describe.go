package host

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
)

// read gives a small file's bytes, or nothing.
func (s *Sampler) read(name string) []byte {
	b, err := fs.ReadFile(s.fsys, name)
	if err != nil {
		return nil
	}
	return b
}

// line gives a one-line file's text, or "".
func (s *Sampler) line(name string) string { return strings.TrimSpace(string(s.read(name))) }

// machineID is a hash, so that a result can be published without the id itself.
func (s *Sampler) machineID(host string) string {
	id := s.line("etc/machine-id")
	if id == "" {
		id = s.line("sys/class/dmi/id/product_uuid")
	}
	if id == "" {
		id = "host " + host
	}
	sum := sha256.Sum256([]byte("paceline machine\n" + id))
	return hex.EncodeToString(sum[:16])
}

func (s *Sampler) osName() string {
	for l := range strings.Lines(string(s.read("etc/os-release"))) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return runtime.GOOS
}

// virtual names the hypervisor and the container, or is empty on bare metal.
func (s *Sampler) virtual(hypervisor bool) string {
	var parts []string
	for _, p := range []string{s.machine(hypervisor), s.container()} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// machine names the virtual machine, or is empty.
func (s *Sampler) machine(hypervisor bool) string {
	if !hypervisor {
		return ""
	}
	vendor := s.line("sys/class/dmi/id/sys_vendor")
	product := s.line("sys/class/dmi/id/product_name")
	return strings.Join(strings.Fields("vm "+vendor+" "+product), " ")
}

// container names what this process is in, or is empty.
func (s *Sampler) container() string {
	if _, err := fs.Stat(s.fsys, ".dockerenv"); err == nil {
		return "docker"
	}
	if _, err := fs.Stat(s.fsys, "run/.containerenv"); err == nil {
		return "podman"
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return "kubernetes"
	}
	return ""
}

// governor is the frequency policy of the first CPU; "none" where the system has
// no say in it, as in a virtual machine.
func (s *Sampler) governor() string {
	if g := s.line("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"); g != "" {
		return g
	}
	return "none"
}

// cores is how many logical CPUs this process may use: its affinity, cut by the
// quota of every control group above it.
func (s *Sampler) cores() int {
	n := runtime.NumCPU()
	for l := range strings.Lines(string(s.read("proc/self/cgroup"))) {
		parts := strings.SplitN(strings.TrimSpace(l), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[1] == "": // version 2
			for dir := parts[2]; ; dir = path.Dir(dir) {
				if q, ok := parseCPUMax(s.read(path.Join("sys/fs/cgroup", dir, "cpu.max"))); ok {
					n = min(n, q)
				}
				if dir == "/" || dir == "." {
					break
				}
			}
		case strings.Contains(","+parts[1]+",", ",cpu,"):
			dir := path.Join("sys/fs/cgroup/cpu", parts[2])
			quota := s.line(path.Join(dir, "cpu.cfs_quota_us"))
			period := s.line(path.Join(dir, "cpu.cfs_period_us"))
			if q, ok := parseCPUMax([]byte(quota + " " + period)); ok {
				n = min(n, q)
			}
		}
	}
	return max(n, 1)
}
