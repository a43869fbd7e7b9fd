package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/exclusive"
	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/bench/probe/nvml"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// device is the GPU that a round has to itself. A nil one is none: the subject computes elsewhere.
type device struct {
	health.GPU
	look    func(context.Context) ([]health.GPU, error)
	release func()

	mu  sync.Mutex
	own exclusive.Own // guarded by mu
}

// deviceOf takes a GPU, if the order's subject is a variant of this process's engine that computes on one.
func deviceOf(ctx context.Context, o *wire.RoundOrder) (*device, error) {
	if !ownEngine(o.Target) || wire.EngineVariants()[o.Subject.Target].Backend != "cuda" {
		return nil, nil
	}
	return takeDevice(ctx, o.Device, os.TempDir(), nvml.Look)
}

// settles is how long a GPU may go on looking used after whoever used it has left: its driver tells of the last second,
// and a process takes a moment to go.
const settles = 5 * time.Second

// takeDevice chooses among the GPUs that look shows. A GPU that nobody can look at isn't measured on: nobody would
// know who else uses it, or whether it was slowed down.
func takeDevice(ctx context.Context, want, locks string, look func(context.Context) ([]health.GPU, error)) (*device, error) {
	machine := func(err error) error { return &wire.Error{Class: wire.ClassMachine, Message: err.Error()} }
	for deadline := time.Now().Add(settles); ; {
		gpus, err := look(ctx)
		if err != nil {
			return nil, machine(unseen(err))
		}
		late := time.Now().After(deadline)
		if want == "" && !late {
			gpus = upToLeaving(gpus)
		}
		g, release, err := exclusive.Take(gpus, want, locks)
		switch {
		case err == nil:
			return &device{GPU: g, look: look, release: release}, nil
		case !errors.Is(err, exclusive.ErrTaken) || late:
			return nil, machine(err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// upToLeaving are the GPUs up to the first that was busy and shows no process: most likely the round before this one was
// there, and the rounds of a run are better on one board than on several.
func upToLeaving(gpus []health.GPU) []health.GPU {
	for i, g := range gpus {
		if len(g.Processes) == 0 && !g.MIG && exclusive.Unused(g) != nil {
			return gpus[:i+1]
		}
	}
	return gpus
}

// unseen says what it takes to look at GPUs.
func unseen(err error) error {
	why := strings.TrimSuffix(err.Error(), " ("+probe.ErrAbsent.Error()+")")
	return fmt.Errorf("%s; measuring on a GPU needs NVIDIA's driver and its management library, libnvidia-ml.so.1 (in a container: NVIDIA_DRIVER_CAPABILITIES=compute,utility)", why)
}

// id is the GPU's UUID, by which the engine finds it.
func (d *device) id() string {
	if d == nil {
		return ""
	}
	return d.UUID
}

// opened notes which processes are the subject's, once it is open.
func (d *device) opened(ctx context.Context) error {
	if d == nil {
		return nil
	}
	gpus, err := d.look(ctx)
	if err != nil {
		return fmt.Errorf("see who uses GPU %s: %w", d.UUID, err)
	}
	for _, g := range gpus {
		if g.UUID == d.UUID {
			d.mu.Lock()
			d.own = exclusive.OwnOf(g.Processes, os.Getpid())
			d.mu.Unlock()
		}
	}
	return nil
}

// foreign is harness.Deps.Foreign.
func (d *device) foreign() func(pids []int) []int {
	if d == nil {
		return nil
	}
	return func(pids []int) []int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.own.Foreign(pids)
	}
}

// class makes the environment's hardware class that of the GPU.
func (d *device) class(env *result.Environment) error {
	if d == nil {
		return nil
	}
	if err := probe.GPUClass(&env.Hardware, env.GPUs); err != nil {
		return &wire.Error{Class: wire.ClassMachine, Message: err.Error()}
	}
	return nil
}

func (d *device) close() {
	if d != nil {
		d.release()
	}
}
