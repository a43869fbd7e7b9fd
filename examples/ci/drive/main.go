// Command drive takes the example repository through all of its commits, as CI would,
// and checks how each job ends: first with the baseline in the action cache, then with a
// coordinator. `make test-ci-example` runs it; its output is a transcript.
//
// The jobs are the GitHub action's own steps, run by deploy/deploytest. Programs,
// processes, repository and measurements are real.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Exit codes of paceline that are expected here.
const (
	exitOK           = 0
	exitFail         = 1
	exitRequest      = 2
	exitMachine      = 3
	exitInconclusive = 4
)

func main() {
	paceline := flag.String("paceline", "bin/paceline", "the program under test, with the engine")
	example := flag.String("example", "examples/ci", "folder with make-repo.sh")
	action := flag.String("action", "deploy/github-action", "folder with action.yml")
	keep := flag.Bool("keep", false, "keep repository, reports and data folders")
	verbose := flag.Bool("v", false, "show what every job prints")
	spin := flag.Bool("spin", false, "only keep a core busy, to disturb a measurement")
	flag.Parse()
	if *spin {
		beBusy()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	d := &drive{verbose: *verbose, started: time.Now()}
	err := d.setUp(ctx, *paceline, *example, *action)
	if err == nil {
		err = d.all(ctx)
	}
	if d.root != "" && !*keep {
		err = errors.Join(err, os.RemoveAll(d.root))
	} else if d.root != "" {
		fmt.Println("kept in", d.root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "drive:", err)
		stop()
		if errors.Is(err, errUnquiet) {
			os.Exit(exitMachine) //nolint:gocritic // stop was called
		}
		os.Exit(exitFail)
	}
}

// beBusy keeps a core busy until standard input ends, so that it can't outlive the
// program that started it.
func beBusy() {
	ctx, end := context.WithCancel(context.Background())
	go func() {
		defer end()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	for n := 1; ctx.Err() == nil; {
		for range 1_000_000 {
			n = n*1664525 + 1013904223
		}
	}
}

// drive is one passage through the example.
type drive struct {
	root, repo string
	paceline   string // absolute
	action     string
	verbose    bool
	started    time.Time
	runs       int           // jobs so far: GITHUB_RUN_ID
	repeats    time.Duration // of jobs that were repeated, with the pauses
	rows       []row
	wrong      []string // jobs that ended otherwise than they should
	undecided  []string // jobs that this machine gave no chance to, with the evidence
}

// row is a job in the transcript.
type row struct {
	mode, commit, subject, job string
	verdict                    string
	exits                      []int // of each try
	seconds                    float64
}

func (d *drive) setUp(ctx context.Context, paceline, example, action string) (err error) {
	if d.paceline, err = filepath.Abs(paceline); err != nil {
		return err
	}
	if _, err := os.Stat(d.paceline); err != nil {
		return fmt.Errorf("no paceline to test: %w: run make build", err)
	}
	d.action = action
	if d.root, err = os.MkdirTemp("", "paceline-example-*"); err != nil {
		return err
	}
	d.repo = filepath.Join(d.root, "repository")
	_, err = command(ctx, ".", "bash", filepath.Join(example, "make-repo.sh"), d.repo)
	return err
}

// all drives both ways, then what must end otherwise, and prints the transcript.
func (d *drive) all(ctx context.Context) error {
	hs, err := d.history(ctx)
	if err != nil {
		return err
	}
	if err := d.commits(ctx, hs, mode{name: modeCache}); err != nil {
		return err
	}
	pulls := slices.DeleteFunc(slices.Clone(hs), func(c change) bool { return c.branch != "better-stories" })
	if err := d.commits(ctx, pulls, mode{name: modeAB}); err != nil {
		return err
	}
	s, err := d.startServer(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := d.commits(ctx, hs, mode{name: modeCoordinator, url: s.url, token: s.token}); err != nil {
		return err
	}
	last := hs[len(hs)-2] // the merge: what main is
	for _, m := range []mode{{name: modeCache}, {name: modeCoordinator, url: s.url, token: s.token}} {
		if err := d.unquiet(ctx, last, m); err != nil {
			return err
		}
	}
	if err := d.killedAgent(ctx, s, last); err != nil {
		return err
	}
	if err := d.overhead(ctx, last); err != nil {
		return err
	}
	d.transcript()
	if len(d.wrong) > 0 {
		return fmt.Errorf("%d jobs ended otherwise than they should:\n  %s", len(d.wrong), strings.Join(d.wrong, "\n  "))
	}
	if len(d.undecided) > 0 {
		return fmt.Errorf("%d jobs %w:\n  %s", len(d.undecided), errUnquiet, strings.Join(d.undecided, "\n  "))
	}
	return nil
}

// errUnquiet: nothing is wrong, and not everything could be shown: whatever was
// repeated, the machine was not quiet.
var errUnquiet = errors.New("could not be decided on this machine")

func (d *drive) transcript() {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\nBASELINE\tCOMMIT\tWHAT\tJOB\tVERDICT\tEXIT\tSECONDS")
	repeated := 0
	for _, r := range d.rows {
		exits := strings.Trim(strings.ReplaceAll(fmt.Sprint(r.exits), " ", ", then "), "[]")
		repeated += len(r.exits) - 1
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%.1f\n", r.mode, r.commit, r.subject, r.job, r.verdict, exits, r.seconds)
	}
	_ = w.Flush()
	fmt.Printf("%d jobs, %d repeated because the machine was not quiet; %.0f s in all\n", d.runs, repeated, time.Since(d.started).Seconds())
}

// add puts a row into the transcript and says it at once, because jobs take seconds.
func (d *drive) add(r row) {
	d.rows = append(d.rows, r)
	fmt.Printf("%-11s  %s  %-13s  exit %v  %s\n", r.mode, r.commit, r.verdict, r.exits, r.subject)
}

// command runs a program to its end and gives its standard output.
func command(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, out, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
