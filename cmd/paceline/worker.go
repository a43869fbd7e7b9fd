//go:build native

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/probe/nvml"
	"github.com/paceline/paceline/internal/proc"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/worker"
)

// workerCommand is the measured child; agents start it, people don't.
func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Short: "run one round for an agent (framed JSON on standard input and output)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hash, err := proc.OwnDigest()
			if err != nil {
				return fail(exitMachine, "worker: %w", err)
			}
			b := thisBuild()
			self := worker.Self{Version: b.Version, BinaryHash: hash, Revision: b.Revision}
			if err := worker.Run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), self); err != nil {
				return fail(exitMachine, "worker: %w", err)
			}
			return nil
		},
	}
}

// probeCommand reads the machine in a child of its own, so that nothing of
// a subject's process is in the reading.
func probeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "probe", Short: "describe this machine and read its speed, for an agent (one frame)", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			machine := host.Open()
			samplers := []probe.Sampler{machine}
			if gpu, err := nvml.Open(); err == nil {
				defer gpu.Close()
				samplers = append(samplers, gpu)
			}
			env, err := probe.Fingerprint(cmd.Context(), samplers)
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "probe:", err) // what is known is still worth having
			}
			f := &wire.Frame{Env: &env, Probes: machine.Probe(cmd.Context(), "")}
			if err := wire.WriteFrame(cmd.OutOrStdout(), f); err != nil {
				return fail(exitMachine, "probe: %w", err)
			}
			return nil
		},
	}
}
