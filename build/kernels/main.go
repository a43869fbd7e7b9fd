// Command kernels compiles the CUDA kernels ahead of time.
//
//	kernels -ptx      writes the PTX that the program carries (engine/cuda/image/ptx)
//	kernels -cubins   compiles cubins into the user's cache, or with -out into a folder
//	kernels -cubins -embed   compiles them into engine/cuda/image/cubins, from where the next build carries them
//
// It needs NVIDIA's compiler library (pip install nvidia-cuda-nvrtc==13.0.88, or PACELINE_NVRTC), no device and no driver.
package main

import (
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
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

func run() error {
	ptx := flag.Bool("ptx", false, "write the PTX that the program carries")
	cubins := flag.Bool("cubins", false, "compile cubins")
	out := flag.String("out", "", "folder for cubins (default: the user's cache)")
	embed := flag.Bool("embed", false, "cubins for the next build to carry, in place of what it would carry now")
	archs := flag.String("arch", "sm_80,sm_86,sm_89,sm_90a", "architectures of cubins, separated by commas; sm_100a and sm_120a are possible")
	nvrtc := flag.String("nvrtc", "", "NVIDIA's compiler library (default: looked for)")
	flag.Parse()
	if flag.NArg() > 0 || *ptx == *cubins {
		return errors.New("want one of -ptx and -cubins; -h shows all flags")
	}
	n, err := driver.OpenNVRTC(*nvrtc)
	if err != nil {
		return err
	}
	if *ptx {
		return writePTX(n, "engine/cuda/image/ptx")
	}
	if *embed {
		const folder = "engine/cuda/image/cubins"
		old, err := filepath.Glob(filepath.Join(folder, "*.gz"))
		if err != nil {
			return err
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		return writeCubins(n, strings.Split(*archs, ","), folder, func(key, maker string, code []byte) error { return image.Embed(folder, key, maker, code) })
	}
	store, err := image.DefaultStore()
	if *out != "" {
		store, err = image.Store{Folder: *out}, nil
	}
	if err != nil {
		return err
	}
	return writeCubins(n, strings.Split(*archs, ","), store.Folder, store.Put)
}

// shapes are those that are compiled ahead of time, by the names of their models.
func shapes() (map[string][]kernels.Shape, error) {
	all := map[string][]kernels.Shape{}
	qwen, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		return nil, err
	}
	stories, err := model.Open("engine/model/robotstories")
	if err != nil {
		return nil, fmt.Errorf("%w: run this in the root of the repository", err)
	}
	defer stories.Close()
	for name, c := range map[string]model.Config{"qwen2.5-0.5b": qwen, "robot-stories": stories.Config} {
		for _, f := range []kernels.Format{kernels.BF16, kernels.W8, kernels.W4} {
			s, err := kernels.ShapeOf(c, f)
			if err != nil {
				return nil, err
			}
			all[name] = append(all[name], s)
		}
	}
	return all, nil
}

func writeCubins(n *driver.NVRTC, archs []string, folder string, put func(key, maker string, code []byte) error) error {
	all, err := shapes()
	if err != nil {
		return err
	}
	for name, list := range all {
		for _, s := range list {
			for _, arch := range archs {
				code, err := image.Compile(n, s, arch)
				if err != nil {
					return fmt.Errorf("%s in %s for %s: %w", name, s.Weights, arch, err)
				}
				if err := put(image.Key(s, arch), image.CompilerName(n), code); err != nil {
					return err
				}
				fmt.Printf("%-14s %-4s %-8s %7d bytes\n", name, s.Weights, arch, len(code))
			}
		}
	}
	fmt.Println("in", folder)
	return nil
}
