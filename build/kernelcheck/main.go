// Command kernelcheck compiles the CUDA kernels for each architecture and holds what comes of it against a budget that is
// checked in: registers, shared memory, occupancy, no spills, and the instructions that matter.
//
//	kernelcheck            compares with engine/cuda/image/budget.json
//	kernelcheck -update    writes it anew
//
// It needs NVIDIA's compiler, cuobjdump and nvdisasm (build/cudatools.sh fetches them), no device and no driver.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kernelcheck:", err)
		os.Exit(1)
	}
}

func run() error {
	update := flag.Bool("update", false, "write the budget anew")
	archs := flag.String("arch", "sm_80,sm_86,sm_89,sm_90a,sm_100a,sm_120a", "architectures, separated by commas")
	path := flag.String("budget", "engine/cuda/image/budget.json", "the budget")
	flag.Parse()
	n, err := driver.OpenNVRTC("")
	if err != nil {
		return err
	}
	tools, err := findTools(n)
	if err != nil {
		return err
	}
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		return err
	}
	var all []usage
	for _, arch := range strings.Split(*archs, ",") {
		for _, f := range []kernels.Format{kernels.BF16, kernels.W8, kernels.W4} {
			s, err := kernels.ShapeOf(c, f)
			if err != nil {
				return err
			}
			code, err := image.Compile(n, s, arch)
			if err != nil {
				return fmt.Errorf("%s in %s: %w", arch, f, err)
			}
			list, err := tools.measure(code, s, arch)
			if err != nil {
				return fmt.Errorf("%s in %s: %w", arch, f, err)
			}
			all = append(all, list...)
		}
	}
	if *update {
		data, err := json.MarshalIndent(all, "", " ")
		if err != nil {
			return err
		}
		return os.WriteFile(*path, append(data, '\n'), 0o644)
	}
	data, err := os.ReadFile(*path)
	if err != nil {
		return err
	}
	var budget []usage
	if err := json.Unmarshal(data, &budget); err != nil {
		return fmt.Errorf("read %s: %w", *path, err)
	}
	return compare(all, budget)
}

// compare reports every kernel that takes more than its budget, or has none.
func compare(all, budget []usage) error {
	allowed := map[string]usage{}
	for _, b := range budget {
		allowed[b.name()] = b
	}
	var errs []error
	fmt.Printf("%-9s %-5s %-16s %5s %7s %7s %6s %5s %5s %5s\n", "arch", "held", "kernel", "regs", "static", "dynamic", "blocks", "mma", "tma", "early")
	for _, u := range all {
		fmt.Printf("%-9s %-5s %-16s %5d %7d %7d %6d %5d %5d %5d\n", u.Arch, u.Weights, u.Kernel, u.Registers, u.StaticShared, u.DynamicShared, u.Blocks, u.MMA, u.TensorCopies, u.EarlyLoads)
		b, ok := allowed[u.name()]
		if !ok {
			errs = append(errs, fmt.Errorf("%s has no budget: look at it, then run this with -update", u.name()))
			continue
		}
		errs = append(errs, u.over(b)...)
	}
	fmt.Printf("%d kernels, %d over their budget\n", len(all), len(errs))
	return errors.Join(errs...)
}

// findTools looks for the disassemblers beside the compiler's folder.
func findTools(n *driver.NVRTC) (tools, error) {
	home := os.Getenv("PACELINE_CUDA_HOME")
	if home == "" {
		home = filepath.Dir(filepath.Dir(n.Path()))
	}
	t := tools{filepath.Join(home, "bin", "cuobjdump"), filepath.Join(home, "bin", "nvdisasm")}
	for _, path := range []string{t.cuobjdump, t.nvdisasm} {
		if _, err := os.Stat(path); err != nil {
			return t, fmt.Errorf("%w: run build/cudatools.sh and set PACELINE_CUDA_HOME to the folder that it prints", err)
		}
	}
	return t, nil
}
