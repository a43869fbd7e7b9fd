package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/agent"
	"github.com/paceline/paceline/bench/harness"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/exclusive"
	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/probe/nvml"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/bench/target/null"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/judge/machine"
	"github.com/paceline/paceline/suites"
)

// doctorSuite is the suite of the quick rounds.
const doctorSuite = "noise"

const (
	doctorWatch  = 2 * time.Second // that counters are watched
	doctorPause  = 2 * time.Second // between two readings of the machine probe
	doctorRounds = 10              // a full baseline
)

// doctorFlags are the flags of `doctor`.
type doctorFlags struct {
	data       string
	rounds     int
	quick      bool
	json       bool
	modelSpeed bool
}

func doctorCommand() *cobra.Command {
	var f doctorFlags
	var out outputFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "what this machine can measure, what disturbs it, and the smallest drop that a gate here could see",
		Long: `Looks at this machine: what can be measured on it, what disturbs measurements
(frequency governor, turbo, load, other processes, steal, limits of a container, clocks
and power of GPUs), why that matters and what to do about it. Then it measures the
machine itself, and ten quick rounds of the shipped model in a folder that is thrown
away, and says the smallest drop that a gate here could see. It changes nothing.

` + "`make doctor` is another thing: it checks the tools that building Paceline needs." + `

Exit codes:
  0  this machine can measure, whatever disturbs it
  2  bad flags
  3  it can't measure: no room for results, no valid round
  5  cancelled`,
		Example: `  paceline doctor                      about a minute
  paceline doctor --quick              without rounds, a few seconds
  paceline doctor --json > host.json   for a fleet's own checks`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if f.modelSpeed {
				return modelSpeed(cmd.OutOrStdout())
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			d := out.display(cmd)
			defer d.end()
			r, err := f.examine(ctx, d)
			if ctx.Err() != nil {
				return fail(exitCancelled, "doctor: interrupted")
			}
			if err != nil {
				return err
			}
			d.end()
			return f.show(cmd, r)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "data folder whose disk is looked at (default: $PACELINE_DATA, else ~/.local/share/paceline)")
	fl.IntVar(&f.rounds, "rounds", doctorRounds, "quick rounds: 3 to 100; fewer than five tell little")
	fl.BoolVar(&f.quick, "quick", false, "no rounds: then it isn't known what a gate could see")
	fl.BoolVar(&f.json, "json", false, "as JSON")
	fl.BoolVar(&f.modelSpeed, "model-speed", false, "only a table of how fast the CUDA backend should decode on an H100 and an H200, modelled from counts: never a measurement")
	return cmd
}

func (f *doctorFlags) check(cmd *cobra.Command) error {
	switch {
	case f.modelSpeed && (f.json || f.quick || cmd.Flags().Changed("rounds") || cmd.Flags().Changed("data")):
		return fail(exitRequest, "--model-speed only prints a table and looks at nothing: give it alone")
	case f.quick && cmd.Flags().Changed("rounds"):
		return fail(exitRequest, "--quick runs no rounds, --rounds asks for some: give one of them")
	case f.rounds < 3 || f.rounds > 100:
		return fail(exitRequest, "--rounds %d is outside 3 to 100: fewer show no spread; --quick runs none", f.rounds)
	}
	if f.data == "" {
		dir, err := datadir.Default()
		if err != nil {
			return fail(exitRequest, "%w", err)
		}
		f.data = dir
	}
	return nil
}

// examine makes the report. The machine is looked at while no other measurement of
// ours runs on this host, so that neither disturbs the other.
func (f *doctorFlags) examine(ctx context.Context, d *display) (*machine.Report, error) {
	r := &machine.Report{Version: version, Flavour: flavour, At: now().UTC()}
	unlock, err := agent.LockHost(ctx, hostLock(), func() { d.line("waiting for another measurement on this host") })
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	readings, err := f.look(ctx, d, r)
	unlock()
	if err != nil {
		return nil, err
	}
	switch {
	case f.quick:
		r.NoRounds = "--quick was given"
	case engineHere() != nil:
		r.NoRounds = engineHere().Error()
	case r.NoProbe != "":
		r.NoRounds = "the machine probe failed"
	default:
		x, more, err := quickRounds(ctx, f.rounds, d)
		if err != nil {
			return nil, err
		}
		r.Rounds = x
		readings = append(readings, more...)
	}
	r.Probes = machine.ProbesOf(readings)
	r.Judge()
	return r, nil
}

// look fills in what is seen without rounds, and gives the machine probe's readings.
func (f *doctorFlags) look(ctx context.Context, d *display, r *machine.Report) ([]result.Probe, error) {
	s := host.Open()
	r.Host = s.Facts()
	disk := host.Disk(f.data)
	r.Host.Disk = &disk
	gpus, err := nvml.Look(ctx)
	switch {
	case errors.Is(err, probe.ErrAbsent):
		r.NoGPU = strings.TrimSuffix(strings.TrimPrefix(err.Error(), "read GPUs through NVML: "), " ("+probe.ErrAbsent.Error()+")")
	case err != nil:
		r.GPUFault = err.Error()
	}
	r.GPUs = gpus
	r.Targets, r.Models = doctorTargets(r.GPUs), doctorModels(&r.Host)

	d.line("watching this machine for %g s", doctorWatch.Seconds())
	before, err := s.Counters()
	if err == nil {
		if err := pause(ctx, doctorWatch); err != nil {
			return nil, err
		}
		var after health.Counters
		if after, err = s.Counters(); err == nil {
			r.Host.Activity = health.Between(before, after)
		}
	}
	if err != nil {
		r.Unwatched = err.Error()
	}
	return f.measure(ctx, d, r)
}

// measure takes two readings of the machine probe, with the null target between them.
func (f *doctorFlags) measure(ctx context.Context, d *display, r *machine.Report) ([]result.Probe, error) {
	d.line("measuring the machine itself")
	readings, err := readMachine(ctx)
	if err != nil {
		r.NoProbe = err.Error()
		return nil, ctx.Err()
	}
	s, err := suites.Load(doctorSuite)
	if err != nil {
		return nil, fail(exitRequest, "%w", err)
	}
	latencies, perEvent, err := harness.Floor(ctx, func() target.Target { return null.New() }, s.Expand()[0])
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	r.Floor = machine.FloorOf(latencies, float64(perEvent.Nanoseconds())/1e3)
	if err := pause(ctx, doctorPause); err != nil {
		return nil, err
	}
	again, err := readMachine(ctx)
	if err != nil {
		r.NoProbe = err.Error()
		return nil, ctx.Err()
	}
	return append(readings, again...), nil
}

// pause waits, or gives ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// show prints the report; its error carries the exit code.
func (f *doctorFlags) show(cmd *cobra.Command, r *machine.Report) error {
	w := cmd.OutOrStdout()
	write := func() error { return r.Write(w, colour(w)) }
	if f.json {
		write = func() error { return r.WriteJSON(w) }
	}
	if err := write(); err != nil {
		return fail(exitMachine, "print the report: %w", err)
	}
	if r.Exit != exitOK {
		return &exitError{code: r.Exit}
	}
	return nil
}

// doctorModels are the model that this program carries, where it has an engine for
// it, and the size that people ask for first.
func doctorModels(h *health.Host) []machine.Model {
	models := shippedModels()
	models = append(models, machine.Model{Name: "a model of 0.5 billion parameters with its whole context", Bytes: health.HalfBillionBytes})
	if h.AvailableBytes != nil {
		for i := range models {
			models[i].Fits = new(models[i].Bytes <= *h.AvailableBytes)
		}
	}
	return models
}

// doctorTargets are what a run here could name, and the GPUs that are watched while
// it measures.
func doctorTargets(gpus []health.GPU) []machine.Target {
	engine := machine.Target{Name: "engine", Device: "cpu", Kernels: kernels(), OK: true}
	if err := engineHere(); err != nil {
		engine.OK, engine.Why = false, err.Error()
	}
	targets := []machine.Target{engine}
	for _, g := range gpus {
		t := machine.Target{Name: "engine-cuda", Device: fmt.Sprintf("GPU %d, %s", g.Index, g.Model), OK: engine.OK, Why: engine.Why}
		if err := exclusive.Unused(g); err != nil && t.OK {
			t.OK, t.Why = false, err.Error()
		}
		targets = append(targets, t)
	}
	return targets
}
