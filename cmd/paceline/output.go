package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	report  string
	out     string
	verbose bool
}

func (o *outputFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&o.format, "format", "human", "of the verdict: "+strings.Join(format.Names(), ", "))
	fl.StringVar(&o.report, "report", "", "write the run's page to this HTML file, which opens from disk")
	fl.StringVar(&o.out, "out", "", "write the result to this JSON file, its samples beside it")
	fl.BoolVarP(&o.verbose, "verbose", "v", false, "log what coordinator and agent do")
}

// check refuses what could only fail after minutes of measuring.
func (o *outputFlags) check() error {
	if !slices.Contains(format.Names(), o.format) {
		return fail(exitRequest, "unknown format %q: known are %s", o.format, strings.Join(format.Names(), ", "))
	}
	for _, path := range []string{o.report, o.out} {
		if path == "" {
			continue
		}
		if dir := filepath.Dir(path); !isFolder(dir) {
			return fail(exitRequest, "can't write %s: there is no folder %s", path, dir)
		}
		if isFolder(path) {
			return fail(exitRequest, "can't write %s: it is a folder", path)
		}
	}
	return nil
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// display shows progress on standard error.
func (o *outputFlags) display(cmd *cobra.Command) *display {
	w := cmd.ErrOrStderr()
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == "" {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			width = 80
		}
		return newDisplay(w, true, width)
	}
	return newDisplay(w, false, 0)
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
// verdict's exit code.
func (o *outputFlags) finish(cmd *cobra.Command, e evidence, run string, exit int) error {
	rep, err := e.Report(cmd.Context(), run)
	if err != nil {
		return fail(exitMachine, "read the verdict: %w", err)
	}
	w := cmd.OutOrStdout()
	if err := format.Write(w, o.format, &rep, format.Options{Colour: colour(w), All: o.verbose}); err != nil {
		return fail(exitMachine, "show the verdict: %w", err)
	}
	if err := o.files(cmd.Context(), e, rep); err != nil {
		return err
	}
	if exit != exitOK {
		return &exitError{code: exit}
	}
	return nil
}

// files writes the report and the result.
func (o *outputFlags) files(ctx context.Context, e evidence, rep format.Report) error {
	if o.report == "" && o.out == "" {
		return nil
	}
	doc, err := e.Document(ctx, rep.RunID)
	if err != nil {
		return fail(exitMachine, "read the result: %w", err)
	}
	var samples []result.Sample
	err = e.Samples(ctx, rep.RunID, func(s result.Sample) error {
		samples = append(samples, s)
		return nil
	})
	if err != nil {
		return fail(exitMachine, "read the samples: %w", err)
	}
	if o.out != "" {
		if err := result.Write(o.out, &doc, samples); err != nil {
			return fail(exitMachine, "%w: the run is stored in the data folder all the same", err)
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
		if err := writeReport(o.report, in); err != nil {
			return fail(exitMachine, "write report %s: %w: the run is stored in the data folder all the same", o.report, err)
		}
	}
	return nil
}

// writeReport writes the page beside path, then puts it in its place.
func writeReport(path string, in report.Input) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already where all went well
	err = report.Render(f, in)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// colour says whether text for w may have colours.
func colour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

func now() time.Time { return time.Now() }
