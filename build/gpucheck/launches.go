//go:build native

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

//go:embed probe.cu
var probeSource string

// launchTimes are what lies between kernels.
type launchTimes struct {
	Gap      time.Duration `json:"gap_ns"`       // from one kernel to the next of a graph, both of which do nothing
	EarlyGap time.Duration `json:"early_gap_ns"` // where the next may begin while one ends
	Barrier  time.Duration `json:"barrier_ns"`   // of all blocks, one on each multiprocessor
	Blocks   int           `json:"blocks"`
}

// probeFile is where the code that times launches lies.
func probeFile(folder, arch string) string {
	return filepath.Join(folder, "launches-"+arch+".cubin")
}

// compileProbe compiles it for machines without a compiler.
func compileProbe(archs []string, folder string) error {
	for _, arch := range archs {
		code, err := probeFor(arch)
		if err != nil {
			return err
		}
		if err := os.WriteFile(probeFile(folder, arch), code, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func probeFor(arch string) ([]byte, error) {
	n, err := driver.OpenNVRTC("")
	if err != nil {
		return nil, err
	}
	r, err := n.Compile(driver.Program{
		Name: "probe.cu", Source: probeSource, Headers: map[string]string{"dev.h": string(kernels.Files()["dev.h"])},
		Options: []string{"-std=c++17", "--gpu-architecture=" + arch},
	})
	return r.Code, err
}

// probeParams are those of its kernels.
type probeParams struct {
	arrived driver.Ptr
	rounds  uint32
	_       uint32
}

// launches times what lies between kernels.
func (c *check) launches() (err error) {
	store, err := image.DefaultStore()
	if err != nil {
		return err
	}
	arch := image.ArchOf(c.info, c.r.Emulated)
	code, err := os.ReadFile(probeFile(store.Folder, arch))
	if err != nil && !c.r.Emulated {
		code, err = probeFor(arch)
	}
	if err != nil {
		fmt.Println("skipped: no code for it:", err)
		return nil
	}
	ctx, end, err := c.context()
	if err != nil {
		return err
	}
	defer end(&err)
	m, err := ctx.Load(code)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Unload()) }()
	nothing, err1 := m.Func("nothing")
	barrier, err2 := m.Func("barrier")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	arrived, err := ctx.Alloc("barrier", 256)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ctx.Free(arrived)) }()
	s, err := ctx.NewStream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Destroy()) }()
	l := launchTimes{Blocks: c.info.SMs}
	if l.Gap, err = c.gap(ctx, s, nothing, false); err != nil {
		return err
	}
	if l.EarlyGap, err = c.gap(ctx, s, nothing, c.info.Major >= 9); err != nil {
		return err
	}
	rounds := uint32(1000)
	if c.smoke {
		rounds = 3
	}
	took := func(rounds uint32) (time.Duration, error) {
		if err := ctx.Memset32Async(arrived, 0, 1, s); err != nil {
			return 0, err
		}
		return timed(ctx, s, func() error {
			return driver.Launch(ctx, barrier, s, driver.Config{Grid: [3]uint32{uint32(l.Blocks), 1, 1}, Block: [3]uint32{128, 1, 1}, Cooperative: true}, &probeParams{arrived: arrived, rounds: rounds})
		})
	}
	few, err1 := took(1)
	many, err2 := took(1 + rounds)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	l.Barrier = (many - few) / time.Duration(rounds)
	if c.r.Emulated {
		return nil
	}
	c.r.Launch = &l
	fmt.Printf("from kernel to kernel %v, %v where the next may begin early; a barrier of %d blocks %v\n", l.Gap, l.EarlyGap, l.Blocks, l.Barrier)
	return nil
}

// gap is the time for each kernel of a graph of kernels that do nothing: the best of five turns.
func (c *check) gap(ctx *driver.Context, s driver.Stream, f driver.Func, early bool) (best time.Duration, err error) {
	nodes, turns := 200, 20
	if c.smoke {
		nodes, turns = 3, 1
	}
	g, err := ctx.NewGraph()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, g.Destroy()) }()
	var last []driver.Node
	for i := range nodes {
		cfg := driver.Config{Grid: [3]uint32{uint32(c.info.SMs), 1, 1}, Block: [3]uint32{128, 1, 1}, PDL: early && i > 0}
		n, err := driver.AddKernel(g, f, cfg, &probeParams{}, last...)
		if err != nil {
			return 0, err
		}
		last = []driver.Node{n}
	}
	x, err := g.Instantiate()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, x.Destroy()) }()
	for range 5 {
		took, err := timed(ctx, s, func() error {
			for range turns {
				if err := x.Launch(s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		if took /= time.Duration(nodes * turns); best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// timed is how long the device takes for what do gives to a stream.
func timed(ctx *driver.Context, s driver.Stream, do func() error) (took time.Duration, err error) {
	start, err := ctx.NewEvent(true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, start.Destroy()) }()
	end, err := ctx.NewEvent(true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end.Destroy()) }()
	if err := errors.Join(start.Record(s), do(), end.Record(s), s.Sync()); err != nil {
		return 0, err
	}
	return start.Elapsed(end)
}
