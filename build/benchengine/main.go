// Command benchengine compares the embedded engine with what people would use instead, on
// this machine, and says which aims of the project are reached. `make bench-engine` runs it;
// docs/engine-benchmarks.md says how to read what it prints.
//
// Every sample is a process of its own. Programs take turns (ABBA) and a probe of the
// machine's read rate lies between any two, since that rate drifts. With -measure it is such a
// process itself: one measurement of the engine, one line of JSON.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/build/benchengine/plan"
	"github.com/paceline/paceline/build/benchengine/report"
	"github.com/paceline/paceline/engine/cpu"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "-measure" {
		os.Exit(measureMain(ctx, os.Args[2:], os.Stdout, os.Stderr))
	}
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchengine:", err)
		os.Exit(1)
	}
}

// Rounds that are measured: nine are the fewest whose 95 % interval isn't the whole range.
const (
	defaultRounds = 9
	quickRounds   = 2
)

// options are what the command line says.
type options struct {
	find      places
	rounds    int
	quick     bool
	only      []string
	format    string
	jsonFile  string
	from      string
	autogroup int
	list      bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{find: places{models: map[string]string{}}}
	fs := flag.NewFlagSet("benchengine", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, "usage: benchengine [options]\n\nCompares the engine with llama.cpp, candle and transformers on this machine.\n\n")
		fs.PrintDefaults()
	}
	model := func(format string) func(string) error {
		return func(dir string) error { o.find.models[format] = dir; return nil }
	}
	fs.Func("model", "model `folder` in bf16 (default: a synthetic Qwen2.5-0.5B, made once in the cache)", model("bf16"))
	fs.Func("model-w8", "the same model's `folder` quantised to W8 (default: made once in the cache)", model("w8"))
	fs.Func("model-w4", "the same model's `folder` quantised to W4 (default: made once in the cache)", model("w4"))
	fs.StringVar(&o.find.script, "peers", "build/peers.sh", "the `script` that says where the peers are")
	fs.IntVar(&o.find.threads, "threads", cpu.Cores(), "threads of every program (default: one a core)")
	fs.IntVar(&o.rounds, "rounds", defaultRounds, "measurements of each program in each row")
	fs.BoolVar(&o.quick, "quick", false, fmt.Sprintf("%d rounds: shows that everything runs, proves nothing", quickRounds))
	fs.Func("only", "only these `rows`, by id or its beginning, separated by commas", func(s string) error {
		o.only = append(o.only, strings.Split(s, ",")...)
		return nil
	})
	fs.BoolVar(&o.list, "list", false, "list the rows and end")
	fs.StringVar(&o.format, "format", "human", "human or markdown")
	fs.StringVar(&o.jsonFile, "json", "", "write all samples and outcomes to this `file`")
	fs.StringVar(&o.from, "from", "", "measure nothing: render this `file`, which an earlier -json wrote")
	fs.IntVar(&o.autogroup, "autogroup", 0, "priority of this session's scheduling group meanwhile, -20 (first) to 19; below 0 needs root (Linux)")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds = quickRounds
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("%q is no option; options begin with -", fs.Arg(0))
	case o.rounds < 1 || o.rounds > 1000:
		return o, fmt.Errorf("-rounds %d: want 1 to 1000", o.rounds)
	case o.find.threads < 1:
		return o, fmt.Errorf("-threads %d: want at least 1", o.find.threads)
	case o.format != "human" && o.format != "markdown":
		return o, fmt.Errorf("-format %s: want human or markdown", o.format)
	case o.autogroup < -20 || o.autogroup > 19:
		return o, fmt.Errorf("-autogroup %d: want -20 to 19", o.autogroup)
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	rows, err := plan.Only(plan.Table(), o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	switch {
	case o.list:
		for _, r := range rows {
			fmt.Fprintf(stdout, "%-20s %s\n", r.ID, r.Title)
		}
		return nil
	case o.from != "":
		d, err := report.ReadFile(o.from)
		if err != nil {
			return err
		}
		return report.Render(stdout, o.format, d)
	}
	for _, r := range rows {
		if !slices.Contains(o.find.formats, r.Ours.Format) {
			o.find.formats = append(o.find.formats, r.Ours.Format)
		}
	}
	programs, versions, err := o.find.all(ctx, stderr)
	if err != nil {
		return err
	}
	restore, err := setAutogroup(o.autogroup)
	if err != nil {
		return err
	}
	defer restore()
	m := newMachine(ctx)
	d := report.Document{Version: report.FileVersion, Machine: m.describe(ctx), Model: filepath.Base(programs.Models["bf16"]), Versions: versions, Rounds: o.rounds, Threads: o.find.threads, Began: time.Now().UTC()}
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	for _, w := range m.warnings() {
		d.Warnings = append(d.Warnings, w)
		say("WARNING: %s", w)
	}
	d.Samples = measureAll(ctx, rows, o.rounds, programs, m, say)
	d.Took = time.Since(d.Began)
	for _, r := range rows {
		d.Rows = append(d.Rows, report.Row{Row: r, Outcomes: plan.Judge(r, d.Samples)})
	}
	d.Warnings = append(d.Warnings, report.Busy(d.Samples)...)
	if o.jsonFile != "" {
		if err := report.WriteFile(o.jsonFile, d); err != nil {
			return err
		}
	}
	if err := report.Render(stdout, o.format, d); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted: what is shown is what was measured until then")
	}
	return nil
}
