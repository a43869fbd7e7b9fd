//go:build native

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/engine/cpu"
	"github.com/paceline/paceline/engine/cuda/estimate"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/robotstories"
	"github.com/paceline/paceline/internal/proc"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/machine"
)

// kernels are the sets that this CPU can run, best first.
func kernels() []string { return cpu.Available() }

// shippedModels is the model that this program carries.
func shippedModels() []machine.Model {
	m := machine.Model{Name: shippedModel}
	if st, err := fs.Stat(robotstories.FS(), "model.safetensors"); err == nil {
		m.Bytes = st.Size()
	}
	return []machine.Model{m}
}

// readMachine reads the machine probe in a child of its own, as an agent does, so
// that its readings are those that rounds are bracketed by.
func readMachine(ctx context.Context) ([]result.Probe, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's file: %w", err)
	}
	child, err := proc.Start(ctx, proc.Options{Args: []string{self, "probe"}})
	if err != nil {
		return nil, err
	}
	f, rerr := wire.ReadFrame(bufio.NewReader(child.Stdout))
	if err := child.Stop(5 * time.Second); err != nil {
		return nil, err
	}
	if rerr != nil {
		return nil, rerr
	}
	return f.Probes, nil
}

// modelSpeed prints what the CUDA backend's counts come to for Qwen2.5-0.5B at a context of 512 positions.
func modelSpeed(w io.Writer) error {
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		return fail(exitMachine, "%w", err)
	}
	if err := estimate.Print(w, c, 512); err != nil {
		return fail(exitMachine, "model the speed of the CUDA backend: %w", err)
	}
	return nil
}
