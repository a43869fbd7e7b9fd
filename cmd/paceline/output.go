package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/dashboard/report"
	"github.com/paceline/paceline/judge/format"
)

// outputFlags are the flags that say how a run is shown and where it is written.
type outputFlags struct {
	format  string
	outputs []string // KIND=PATH
	ci      string
	report  string
	out     string
	verbose bool

	suite string // name or file of the suite, set by the command; for messages that point into it
	files []outputFile
	ready bool // checked: what was asked for can be written
	told  bool // a report was shown and written
}

// add adds the flags of a command that measures.
func (o *outputFlags) add(cmd *cobra.Command) {
	o.addShown(cmd, "show values without a rule too, and log what coordinator and agent do")
	fl := cmd.Flags()
	fl.StringVar(&o.report, "report", "", "write the run's page to this HTML file, which opens from disk")
	fl.StringVar(&o.out, "out", "", "write the result to this JSON file, its samples beside it")
}

// addShown adds the flags of a command that shows a verdict.
func (o *outputFlags) addShown(cmd *cobra.Command, verbose string) {
	fl := cmd.Flags()
	names := strings.Join(format.Names(), ", ")
	fl.StringVar(&o.format, "format", "human", "of the verdict on standard output: "+names)
	fl.StringArrayVar(&o.outputs, "output", nil, "also write the verdict to a file, as KIND=PATH with a kind of --format; may be repeated")
	fl.StringVar(&o.ci, "ci", "auto", "tell the CI system that runs this: auto (a GitHub job gets its summary, annotations and step outputs), none")
	fl.BoolVarP(&o.verbose, "verbose", "v", false, verbose)
}

// check refuses what could only fail after minutes of measuring.
func (o *outputFlags) check() error {
	if err := format.Check(o.format); err != nil {
		return fail(exitRequest, "--format: %w", err)
	}
	if o.ci != "auto" && o.ci != "none" {
		return fail(exitRequest, "--ci %q: wanted auto or none", o.ci)
	}
	if err := o.checkFiles(); err != nil {
		return err
	}
	o.ready = true
	return nil
}

// job is the CI job that is to be told.
func (o *outputFlags) job() githubJob {
	if o.ci == "none" {
		return githubJob{}
	}
	return githubFrom(os.Getenv)
}

// display shows progress on standard error.
func (o *outputFlags) display(cmd *cobra.Command) *display {
	w := cmd.ErrOrStderr()
	width := terminalWidth(w)
	return newDisplay(w, width > 0, width)
}

// terminalWidth is how many columns w has where lines can be redrawn; 0 elsewhere.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" || os.Getenv("CI") != "" {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// logger is silent unless asked: what matters to the person who waits is in the
// verdict.
func (o *outputFlags) logger(cmd *cobra.Command) *slog.Logger {
	if !o.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// finish shows a decided run and writes what was asked for. Its error carries the
// verdict's exit code: that something can't be written never hides it.
func (o *outputFlags) finish(cmd *cobra.Command, e evidence, run string, exit int) error {
	rep, err := e.Report(cmd.Context(), run)
	if err != nil {
		return o.ended(cmd, nil, run, fail(exitMachine, "read the verdict of run %s: %w", run, err))
	}
	errs := o.deliver(cmd, &rep, nil)
	errs = append(errs, o.writeEvidence(cmd.Context(), e, rep)...)
	if len(errs) == 0 {
		if exit != exitOK {
			return &exitError{code: exit}
		}
		return nil
	}
	code := exit
	if code == exitOK {
		code = exitMachine
	}
	return fail(code, "the verdict is %s (exit %d) and the run is stored in the data folder all the same, but not everything could be written:\n%w",
		strings.ToUpper(string(rep.Overall.Kind)), exit, indented(errs))
}

// deliver shows a report and writes it wherever it is wanted. cause is why there is no
// verdict; nil where there is one.
func (o *outputFlags) deliver(cmd *cobra.Command, rep *format.Report, cause error) (errs []error) {
	o.told = true
	job := o.job()
	o.locate(rep, job)
	w := cmd.OutOrStdout()
	as := job.annotations(rep, cause)
	var err error
	switch {
	case o.format == "github": // the same annotations, and these streams end in one log
		_, err = w.Write(format.Commands(as))
		as = nil
	case o.format != "human" || cause == nil: // else the message on standard error says it all
		err = format.Write(w, o.format, rep, format.Options{Colour: colour(w), All: o.verbose})
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("%s to standard output: %w", o.format, err))
	}
	for _, f := range o.files {
		if err := f.write(rep, o.verbose); err != nil {
			errs = append(errs, err)
		}
	}
	job.tell(cmd.ErrOrStderr(), rep, as)
	return errs
}

// indented writes errors one a line.
func indented(errs []error) error {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = "  " + err.Error()
	}
	return errors.New(strings.Join(lines, "\n"))
}

// writeEvidence writes the page and the result.
func (o *outputFlags) writeEvidence(ctx context.Context, e evidence, rep format.Report) (errs []error) {
	if o.report == "" && o.out == "" {
		return nil
	}
	doc, err := e.Document(ctx, rep.RunID)
	if err != nil {
		return []error{fmt.Errorf("read the result: %w", err)}
	}
	var samples []result.Sample
	err = e.Samples(ctx, rep.RunID, func(s result.Sample) error {
		samples = append(samples, s)
		return nil
	})
	if err != nil {
		return []error{fmt.Errorf("read the samples: %w", err)}
	}
	if o.out != "" {
		if err := result.Write(o.out, &doc, samples); err != nil {
			errs = append(errs, err)
		}
	}
	if o.report != "" {
		in := report.Input{Document: &doc, Report: &rep, Now: now(), Version: version, Samples: func(f func(result.Sample) error) error {
			for _, s := range samples {
				if err := f(s); err != nil {
					return err
				}
			}
			return nil
		}}
		if err := writeFile(o.report, func(w io.Writer) error { return report.Render(w, in) }); err != nil {
			errs = append(errs, fmt.Errorf("report to %s: %w", o.report, err))
		}
	}
	return errs
}

// colour says whether text for w may have colours.
func colour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

func now() time.Time { return time.Now() }
