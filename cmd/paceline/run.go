package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites"
)

// runFlags are the flags that say what is to be measured, of `run` and of `up`.
type runFlags struct {
	data            string
	model           string
	rounds          int
	commit, branch  string
	baseRef, parent string
	faults          []string
	requireBaseline bool
	inconclusive    string
	against         againstFlags
}

func (f *runFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "data folder (default: $PACELINE_DATA, else ~/.local/share/paceline)")
	fl.StringVar(&f.model, "model", "", "model: a folder, or the name of a pulled one, ORG/NAME (default: the small model that this program carries)")
	fl.IntVar(&f.rounds, "rounds", 0, "rounds of the first attempt (default: the suite's)")
	fl.StringVar(&f.commit, "commit", "", "commit of what is measured")
	fl.StringVar(&f.branch, "branch", "", "its branch (default: none; rounds of this data folder compare with each other)")
	fl.StringVar(&f.baseRef, "base-ref", "", "branch or commit to compare with: makes this run a candidate, which never joins a baseline")
	fl.StringVar(&f.parent, "parent", "", "commit before --commit")
	fl.StringArrayVar(&f.faults, "fault", nil, "plant a defect, to see the gate work: slow=1.43, stall=0.5/100, wrong-token=0.01, leak=4096")
	fl.BoolVar(&f.requireBaseline, "require-baseline", false, "exit 3 where there is nothing to compare with")
	fl.StringVar(&f.inconclusive, "inconclusive", "", "what an inconclusive verdict counts as: pass or fail (default: exit 4)")
	f.against.add(cmd)
}

// request makes the run's request of a suite's name or file.
func (f *runFlags) request(ctx context.Context, suite string) (core.SubmitRequest, error) {
	source, name, err := suiteSource(suite)
	if err != nil {
		return core.SubmitRequest{}, err
	}
	at, err := f.locate(ctx, suite)
	if err != nil {
		return core.SubmitRequest{}, err
	}
	q := core.SubmitRequest{
		Lane: at.lane, Time: at.commitTime, Given: at.given,
		Suite: string(source), SuiteFile: name, Rounds: f.rounds, Commit: f.commit, Branch: f.branch, BaseRef: f.baseRef, Parent: f.parent,
		Faults: f.faults, CreatedBy: "command line", Repeat: f.repeat(suite),
		Options: core.Options{RequireBaseline: f.requireBaseline, Inconclusive: f.inconclusive},
	}
	if err := checkFaults(f.faults); err != nil {
		return q, err
	}
	if s, err := suites.Open(suite); err == nil && s.Model == "default" {
		q.Subject.Model = shippedModel // by its own name, wherever it is shown
	}
	switch {
	case f.model == "":
	case isPulledName(f.model): // by its name: its folder differs with each commit and each machine
		if _, err := pulledModel(f.model); err != nil {
			return q, fail(exitRequest, "--model: %w", err)
		}
		q.Subject.Model = f.model
	default:
		dir, err := filepath.Abs(f.model)
		if err != nil {
			return q, fail(exitRequest, "model %s: %w", f.model, err)
		}
		if !isFolder(dir) {
			return q, fail(exitRequest, "no model folder at %s: give a folder with config.json, tokenizer.json and *.safetensors", dir)
		}
		q.Subject.Model = dir
	}
	return q, nil
}

// repeat is a command that measures the same again.
func (f *runFlags) repeat(suite string) string {
	args := []string{"paceline", "run", suite}
	add := func(name, value string) {
		if value != "" {
			args = append(args, "--"+name, value)
		}
	}
	add("model", f.model)
	add("commit", f.commit)
	add("branch", f.branch)
	add("base-ref", f.baseRef)
	add("baseline", f.against.baseline)
	add("data", f.data)
	if f.rounds > 0 {
		add("rounds", fmt.Sprint(f.rounds))
	}
	for _, x := range f.faults {
		add("fault", x)
	}
	for i, a := range args {
		args[i] = quoteWord(a)
	}
	return strings.Join(args, " ")
}

// shippedModel is the model that this program carries.
const shippedModel = "robot-stories"

// suiteSource reads a shipped suite by name or a file by path.
func suiteSource(nameOrPath string) (source []byte, name string, err error) {
	if src, ok := suites.Source(nameOrPath); ok {
		return src, nameOrPath + ".yml", nil
	}
	// Open knows what is near, what is too large and how to say so.
	if _, err := suites.Open(nameOrPath); err != nil {
		return nil, "", fail(exitRequest, "%w", err)
	}
	src, err := os.ReadFile(nameOrPath)
	if err != nil {
		return nil, "", fail(exitRequest, "read suite: %w", err)
	}
	return src, nameOrPath, nil
}

func runCommand() *cobra.Command {
	var f runFlags
	var subject subjectFlags
	var out outputFlags
	var where whereFlags
	var ab bool
	cmd := &cobra.Command{
		Use:   "run SUITE [--ab BASE HEAD]",
		Short: "measure a suite and judge it",
		Long: `Measures SUITE (a shipped suite's name or a file) on this machine, stores the result in
the data folder, compares it with the baseline there and ends with the verdict's exit
code.

What is measured is this program's own engine, or another build of Paceline (--build),
an OpenAI-compatible server that is started for every round (--launch) or that runs
already (--url), or a target of this machine's configuration (--target).

With --ab both builds, BASE and HEAD, are measured here in one job, round by round in
turns, and HEAD is judged by the rounds of BASE: the choice for rented runners, where
the machine changes from job to job. A build is what --build takes; with --launch it is
the server's, {build} in its command. A planted --fault is HEAD's alone.

With --coordinator the result is stored and judged there: this machine measures, with
this program, unless --any asks for a machine of the coordinator's fleet. The command
outlives a restart of the coordinator.

` + exitCodesHelp,
		Example: `  paceline run ci
  paceline run throughput --model ~/models/Qwen2.5-0.5B-Instruct --report out.html
  paceline run ci --git --base-ref main      # commit, branch and merge base from the repository here
  paceline run ci --baseline main.json       # compare with an exported level; no data folder is needed
  paceline run ci --build ./old/paceline
  paceline run throughput --launch 'llama-server -m model.gguf --port {port}'
  paceline run ttft --launch 'vllm serve {model} --port {port}' --model ~/models/Qwen2.5-0.5B-Instruct
  paceline run throughput --url http://127.0.0.1:8000 --api-key-env API_KEY
  paceline run ci --ab ./base/paceline ./head/paceline
  paceline run throughput --launch '{build} --port {port}' --ab ./base/server ./head/server
  paceline run ci --output junit=report.xml --output markdown=comment.md
  paceline run ci --coordinator https://paceline.example.com:7070 --commit SHA --branch main
  paceline run ci --coordinator https://paceline.example.com:7070 --any --where gpu=h200 --wait`,
		Args: func(cmd *cobra.Command, args []string) error {
			if ab && len(args) != 3 {
				return fail(exitRequest, "--ab compares two builds: paceline run SUITE --ab BASE HEAD, and %d names are given", len(args))
			}
			if !ab {
				return cobra.ExactArgs(1)(cmd, args)
			}
			return nil
		},
		RunE: out.telling(func(cmd *cobra.Command, args []string) error {
			out.suite = args[0]
			if err := out.check(); err != nil {
				return err
			}
			elsewhere := where.elsewhere(f.data)
			if err := where.check(elsewhere); err != nil {
				return err
			}
			if err := engineHere(); err != nil && !where.any {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			if ab {
				both := abRun{run: &f, subject: &subject, out: &out, cmd: cmd}
				if err := both.check(elsewhere); err != nil {
					return err
				}
				return both.do(ctx, args[0], args[1], args[2])
			}
			q, err := f.request(ctx, args[0])
			if err != nil {
				return err
			}
			here, err := subject.apply(ctx, f.data, where.any, &q, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			q.Repeat = strings.Join(append([]string{q.Repeat}, subject.arguments()...), " ")
			if elsewhere {
				return where.runElsewhere(ctx, cmd, q, here, &out)
			}
			l, err := openLocal(ctx, localOptions{data: f.data, owner: datadir.Owner{PID: os.Getpid(), Command: "run", Since: now()}, config: here, log: out.logger(cmd)})
			var held *datadir.HeldError
			if errors.As(err, &held) && held.Owner.URL != "" {
				if flag := subject.local(); flag != "" {
					return fail(exitRequest, "paceline %s at %s owns the data folder and takes no files, commands or addresses from others, so that %s can't be given to it: stop it, or choose another folder with --data", held.Owner.Command, held.Owner.URL, flag)
				}
				return runThere(ctx, cmd, held.Owner, q, &out)
			}
			if err != nil {
				return err
			}
			defer l.close()
			run, err := l.measure(ctx, q, out.display(cmd))
			if err != nil {
				return out.ended(cmd, l.core, run.ID, err)
			}
			return out.finish(cmd, l.core, run.ID, run.Exit)
		}),
	}
	f.add(cmd)
	subject.add(cmd)
	out.add(cmd)
	where.add(cmd)
	cmd.Flags().BoolVar(&ab, "ab", false, "compare two builds on this machine: run SUITE --ab BASE HEAD")
	return cmd
}

// measure submits a run, shows its progress and waits for its end. The end of ctx
// cancels it.
func (l *local) measure(ctx context.Context, q core.SubmitRequest, d *display) (ledger.Run, error) {
	defer d.end()
	run, err := l.core.Submit(ctx, q)
	if err != nil {
		if errors.Is(err, core.ErrRequest) {
			return run, fail(exitRequest, "%w", err)
		}
		return run, fail(exitMachine, "%w", err)
	}
	if run.Commit == "" && len(q.Faults) == 0 {
		d.line("run %s · suite %s", run.ID, run.Suite)
	} else {
		d.line("run %s · suite %s · %s", run.ID, run.Suite, strings.Join(slices.DeleteFunc(append([]string{run.Commit}, q.Faults...), isEmpty), " · "))
	}
	stopLive, err := l.core.Live(run.ID, func(p wire.Progress) { d.update(p) })
	if err != nil {
		return run, fail(exitMachine, "%w", err)
	}
	defer stopLive()
	done, err := l.core.Wait(ctx, run.ID)
	if ctx.Err() != nil {
		d.line("cancelling …")
		if err := l.cancel(run.ID, "interrupted"); err != nil {
			return run, fail(exitMachine, "%w", err)
		}
		return run, fail(exitCancelled, "run %s is cancelled", run.ID)
	}
	if err != nil {
		return run, fail(exitMachine, "%w", err)
	}
	if done.State == ledger.RunCancelled {
		return done, fail(exitCancelled, "run %s was cancelled: %s", run.ID, done.Reason)
	}
	return done, nil
}

func isEmpty(s string) bool { return s == "" }
