// Command benchclient holds our load generator against the truth and against a plain client. `make bench-client` runs it.
//
// A server of programmed timing logs when it really wrote each token; that log, and not what was asked of it, is the truth
// of every run. Our client and a control of some hundred lines (net/http, a goroutine a request) take turns on it, each run
// a process of its own. What is compared: how far each is from the truth, how many requests a second each can send to a server
// that answers at once, and what that costs in CPU time and memory.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/paceline/paceline/bench/calibrate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchclient:", err)
		os.Exit(1)
	}
}

// options are what the command line says, of this process and of those that it starts.
type options struct {
	mode     string // "", "serve", "ours", "control"
	rounds   int
	quick    bool
	jsonFile string

	url      string
	slots    int
	requests int
	tokens   int
	first    time.Duration
	gap      time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	fs := flag.NewFlagSet("benchclient", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, "usage: benchclient [options]\n\nHolds our load generator against a server that logs what it did, and against a plain client.\n\n")
		fs.PrintDefaults()
	}
	fs.IntVar(&o.rounds, "rounds", 7, "turns of each client in each row")
	fs.BoolVar(&o.quick, "quick", false, "one turn and few requests: shows that everything runs, proves nothing")
	fs.StringVar(&o.jsonFile, "json", "", "write every sample to this `file`")
	fs.StringVar(&o.mode, "mode", "", "what a process does that this program starts for itself: serve, ours, control")
	fs.StringVar(&o.url, "url", "", "the server's address, of such a process")
	fs.IntVar(&o.slots, "slots", 1, "requests in flight")
	fs.IntVar(&o.requests, "requests", 100, "requests")
	fs.IntVar(&o.tokens, "tokens", 32, "tokens of each answer")
	fs.DurationVar(&o.first, "first", 0, "time to the first token, of the server")
	fs.DurationVar(&o.gap, "gap", 0, "time from a token to the next, of the server")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", fs.Arg(0))
	}
	if o.quick {
		o.rounds = 1
	}
	switch o.mode {
	case "":
		return compare(ctx, o, stdout, stderr)
	case "serve":
		return calibrate.Serve(ctx, calibrate.Script{First: o.first, Gap: o.gap, Tokens: o.tokens}, stdout)
	case "ours":
		return report(stdout, func(ctx context.Context, o options) (calibrate.Reading, error) {
			return calibrate.Client(ctx, o.url, o.slots, o.requests, o.tokens)
		})(ctx, o)
	case "control":
		return report(stdout, control)(ctx, o)
	}
	return fmt.Errorf("mode %q: known are serve, ours, control", o.mode)
}

// report runs a client and prints what it says, with what the process took.
func report(w io.Writer, client func(context.Context, options) (calibrate.Reading, error)) func(context.Context, options) error {
	return func(ctx context.Context, o options) error {
		r, err := client(ctx, o)
		if err != nil {
			return err
		}
		cpu, peak := calibrate.Used()
		r.CPUms, r.PeakMiB = cpu.Seconds()*1e3, float64(peak)/(1<<20)
		return json.NewEncoder(w).Encode(r)
	}
}
