package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/calibrate"
)

// The script of the server, and how much is asked of it.
const (
	calibrateFirst  = 50 * time.Millisecond
	calibrateGap    = 10 * time.Millisecond
	calibrateTokens = 32
	calibrateEach   = 12   // requests a stream
	ceilingRequests = 3000 // of a server that answers at once
	ceilingStreams  = 32
)

// calibration is what the client adds at a number of streams.
type calibration struct {
	Streams int                `json:"streams"`
	Said    calibrate.Reading  `json:"said"` // by the client
	True    *calibrate.Reading `json:"true"` // by the server's log
	CPUms   float64            `json:"cpu_ms_a_request"`
	Answers string             `json:"server"` // what kind of server it was
}

func calibrateCommand() *cobra.Command {
	var streams []int
	var asJSON, serve bool
	var script calibrate.Script
	cmd := &cobra.Command{
		Use: "calibrate", Short: "measure what the load generator itself adds on this machine", Args: cobra.NoArgs,
		Long: `Measure what the load generator itself adds on this machine: against a server of known timing, a process of
its own that logs when it really wrote each token, and against one that answers at once. It takes half a
minute and stores nothing. How the figures come about: docs/client.md.`,
		Example: `  paceline calibrate
  paceline calibrate --streams 1,64,256 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if serve {
				return calibrate.Serve(cmd.Context(), script, cmd.OutOrStdout())
			}
			if slices.ContainsFunc(streams, func(n int) bool { return n < 1 || n > 4096 }) || len(streams) == 0 {
				return fail(exitRequest, "--streams %v: write numbers from 1 to 4096", streams)
			}
			all, err := calibrations(cmd.Context(), streams, cmd.ErrOrStderr())
			if err != nil {
				return fail(exitMachine, "calibrate the load generator: %w", err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			return printCalibrations(cmd.OutOrStdout(), all)
		},
	}
	fl := cmd.Flags()
	fl.IntSliceVar(&streams, "streams", []int{1, 8, 32}, "requests in flight")
	fl.BoolVar(&asJSON, "json", false, "print everything as JSON")
	fl.BoolVar(&serve, "serve", false, "be the server")
	fl.DurationVar(&script.First, "first", 0, "of the server: until the first token")
	fl.DurationVar(&script.Gap, "gap", 0, "of the server: from a token to the next")
	fl.IntVar(&script.Tokens, "tokens", calibrateTokens, "of the server: tokens of an answer")
	for _, hidden := range []string{"serve", "first", "gap", "tokens"} {
		if err := fl.MarkHidden(hidden); err != nil {
			panic("calibrate: " + err.Error())
		}
	}
	return cmd
}

// calibrations measures each number of streams against the script, and the ceiling last.
func calibrations(ctx context.Context, streams []int, say io.Writer) ([]calibration, error) {
	var all []calibration
	one := func(s calibrate.Script, n, requests int, answers string) error {
		fmt.Fprintf(say, "%s, %s\n", answers, countOf(n, "stream"))
		url, stop, err := scripted(ctx, s)
		if err != nil {
			return err
		}
		before, _ := calibrate.Used()
		said, err := calibrate.Client(ctx, url, n, requests, s.Tokens)
		after, _ := calibrate.Used()
		if err != nil {
			return errors.Join(err, stop())
		}
		log, err := calibrate.Truths(ctx, url)
		if err != nil {
			return errors.Join(err, stop())
		}
		truth := calibrate.True(log, said)
		all = append(all, calibration{n, said, &truth, (after - before).Seconds() * 1e3 / float64(max(len(log), 1)), answers})
		return stop()
	}
	script := calibrate.Script{First: calibrateFirst, Gap: calibrateGap, Tokens: calibrateTokens}
	for _, n := range streams {
		if err := one(script, n, calibrateEach*n, fmt.Sprintf("a server of %v and then %v a token", calibrateFirst, calibrateGap)); err != nil {
			return nil, err
		}
	}
	return all, one(calibrate.Script{Tokens: calibrateTokens}, ceilingStreams, ceilingRequests, "a server that answers at once")
}

// scripted starts a server as a process of its own.
func scripted(ctx context.Context, s calibrate.Script) (url string, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	return calibrate.Start(exec.CommandContext(ctx, self, "calibrate", "--serve", "--first", s.First.String(), "--gap", s.Gap.String(), "--tokens", fmt.Sprint(s.Tokens)))
}

func printCalibrations(w io.Writer, all []calibration) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	worst := 0.0
	fmt.Fprintln(t, "STREAMS\tTTFT\tIN TRUTH\tADDED\tTPOT OFF\tTOK/S OFF\tCONCURRENCY KEPT")
	scripted, ceiling := all[:len(all)-1], all[len(all)-1]
	for _, c := range scripted {
		added := c.Said.TTFTms - c.True.TTFTms
		worst = max(worst, added)
		fmt.Fprintf(t, "%d\t%.2f ms\t%.2f ms\t%+.2f ms\t%+.2f %%\t%+.2f %%\t%.1f %%\n", c.Streams, c.Said.TTFTms, c.True.TTFTms, added,
			100*(c.Said.TPOTms/c.True.TPOTms-1), 100*(c.Said.TokensRate/c.True.TokensRate-1), 100*c.Said.Concurrency/float64(c.Streams))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nAgainst %s, %d streams: %.0f requests a second, %.2f ms of CPU time each.\nA time to first token of under %.1f ms, three times what the client adds, says little here.\n",
		ceiling.Answers, ceiling.Streams, ceiling.Said.Rate, ceiling.CPUms, 3*worst)
	return err
}
