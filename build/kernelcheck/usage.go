package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/paceline/paceline/engine/cuda/kernels"
)

// usage is what a kernel takes of a multiprocessor, and what it is made of.
type usage struct {
	Arch          string `json:"arch"`
	Weights       string `json:"weights"`
	Kernel        string `json:"kernel"`
	Registers     int    `json:"registers"`      // a thread
	StaticShared  int    `json:"static_shared"`  // bytes a block, with what the system keeps
	DynamicShared int    `json:"dynamic_shared"` // bytes a block
	Blocks        int    `json:"blocks"`         // that a multiprocessor holds at once
	MMA           int    `json:"mma"`            // instructions of tensor cores
	MMAWaits      int    `json:"mma_waits"`      // for a warpgroup's instructions of tensor cores
	TensorCopies  int    `json:"tensor_copies"`  // instructions of the copy engine that go by a tensor map
	EarlyLoads    int    `json:"early_loads"`    // of 16 bytes or in bulk, before the wait for the kernel in front
	Waits         bool   `json:"waits"`          // and lets the kernel behind begin
	spills        int
}

func (u usage) name() string { return u.Arch + " " + u.Weights + " " + u.Kernel }

// over says in what u is worse than its budget.
func (u usage) over(b usage) (errs []error) {
	say := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{u.name()}, args...)...))
	}
	if u.spills > 0 {
		say("%d instructions or bytes of local memory: registers spill", u.spills)
	}
	if u.Registers > b.Registers {
		say("%d registers, the budget is %d", u.Registers, b.Registers)
	}
	if u.StaticShared+u.DynamicShared > b.StaticShared+b.DynamicShared {
		say("%d bytes of shared memory, the budget is %d", u.StaticShared+u.DynamicShared, b.StaticShared+b.DynamicShared)
	}
	if u.Blocks < b.Blocks {
		say("a multiprocessor holds %d blocks, the budget is %d", u.Blocks, b.Blocks)
	}
	if b.MMA > 0 && u.MMA == 0 {
		say("no instruction of tensor cores is left")
	}
	if u.MMAWaits > b.MMAWaits {
		say("it waits at %d places for a warpgroup's products, the budget is %d: they go one after another", u.MMAWaits, b.MMAWaits)
	}
	if b.TensorCopies > 0 && u.TensorCopies == 0 {
		say("no copy by a tensor map is left")
	}
	if u.EarlyLoads < b.EarlyLoads {
		say("%d loads of 16 bytes or in bulk before the wait, the budget is %d", u.EarlyLoads, b.EarlyLoads)
	}
	if b.Waits && !u.Waits {
		say("it doesn't wait for the kernel in front any more, or doesn't let the one behind begin")
	}
	return errs
}

// tools are the paths of NVIDIA's disassemblers.
type tools struct{ cuobjdump, nvdisasm string }

// measure takes a cubin apart.
func (t tools) measure(code []byte, s kernels.Shape, arch string) ([]usage, error) {
	dir, err := os.MkdirTemp("", "kernelcheck-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "kernels.cubin")
	if err := os.WriteFile(path, code, 0o644); err != nil {
		return nil, err
	}
	resources, err := output(t.cuobjdump, "--dump-resource-usage", path)
	if err != nil {
		return nil, err
	}
	assembly, err := output(t.nvdisasm, "-c", path)
	if err != nil {
		return nil, err
	}
	list, err := parseResources(resources)
	if err != nil {
		return nil, err
	}
	opcodes := parseAssembly(assembly)
	for i := range list {
		u := &list[i]
		u.Arch, u.Weights = arch, s.Weights.String()
		var threads int
		u.DynamicShared, threads = s.Launch(u.Kernel)
		u.Blocks = blocks(*u, threads, arch)
		u.look(opcodes[u.Kernel])
	}
	return list, nil
}

func output(name string, args ...string) ([]byte, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return out, nil
}

// parseResources reads cuobjdump --dump-resource-usage.
func parseResources(text []byte) ([]usage, error) {
	var list []usage
	function := regexp.MustCompile(`Function ([A-Za-z0-9_]+):`)
	numbers := regexp.MustCompile(`REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)`)
	for line := range strings.Lines(string(text)) {
		if m := function.FindStringSubmatch(line); m != nil {
			list = append(list, usage{Kernel: m[1]})
		}
		m := numbers.FindStringSubmatch(line)
		if m == nil || len(list) == 0 {
			continue
		}
		var n [4]int
		for i := range n {
			var err error
			if n[i], err = strconv.Atoi(m[i+1]); err != nil {
				return nil, err
			}
		}
		u := &list[len(list)-1]
		u.Registers, u.StaticShared, u.spills = n[0], n[2], n[1]+n[3]
	}
	for _, u := range list {
		if u.Registers == 0 || u.Registers > 255 {
			return nil, fmt.Errorf("kernel %s with %d registers in what cuobjdump says: want 1 to 255", u.Kernel, u.Registers)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no kernel in what cuobjdump says: %.200s", text)
	}
	slices.SortFunc(list, func(a, b usage) int { return strings.Compare(a.Kernel, b.Kernel) })
	return list, nil
}

// parseAssembly gives the opcodes of each kernel in order.
func parseAssembly(text []byte) map[string][]string {
	kernel, all := "", map[string][]string{}
	label := regexp.MustCompile(`^\.text\.([A-Za-z0-9_]+):`)
	instruction := regexp.MustCompile(`/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+ )?([A-Z][A-Z0-9_.]+)`)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := label.FindStringSubmatch(lines.Text()); m != nil {
			kernel = m[1]
		}
		if m := instruction.FindStringSubmatch(lines.Text()); m != nil && kernel != "" {
			all[kernel] = append(all[kernel], m[1])
		}
	}
	return all
}

// look counts the opcodes that matter.
func (u *usage) look(opcodes []string) {
	at := func(prefix string) int {
		return slices.IndexFunc(opcodes, func(o string) bool { return strings.HasPrefix(o, prefix) })
	}
	wait := at("ACQBULK")
	u.Waits = wait >= 0 && at("PREEXIT") >= 0
	for i, o := range opcodes {
		switch {
		case strings.HasPrefix(o, "HMMA"), strings.HasPrefix(o, "HGMMA"):
			u.MMA++
		case strings.HasPrefix(o, "LDL"), strings.HasPrefix(o, "STL"):
			u.spills++
		case strings.HasPrefix(o, "WARPGROUP.DEPBAR"):
			u.MMAWaits++
		case strings.HasPrefix(o, "UTMALDG"):
			u.TensorCopies++
		case i < wait && (strings.HasPrefix(o, "LDG") && strings.Contains(o, ".128") || strings.HasPrefix(o, "UBLKCP")):
			u.EarlyLoads++
		}
	}
}

// blocks is how many blocks a multiprocessor holds, by registers (65,536, given out in 256 a warp), shared memory and
// threads: CUDA C++ programming guide, table of technical specifications per compute capability.
func blocks(u usage, threads int, arch string) int {
	shared, most := 233472, 2048
	switch strings.TrimSuffix(arch, "a") {
	case "sm_80":
		shared = 167936
	case "sm_86", "sm_89", "sm_120":
		shared, most = 102400, 1536
	}
	warps := (threads + 31) / 32
	perWarp := (u.Registers*32 + 255) / 256 * 256
	n := min(32, most/threads, 65536/(perWarp*warps))
	if bytes := u.StaticShared + u.DynamicShared; bytes > 0 {
		n = min(n, shared/bytes)
	}
	return n
}
