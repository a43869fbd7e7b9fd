package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/format"
)

// remote reads runs of a coordinator in another process.
type remote struct{ *client.Client }

// Document implements evidence.
func (r remote) Document(ctx context.Context, run string) (result.Document, error) {
	doc, err := r.Result(ctx, run)
	if err != nil {
		return result.Document{}, err
	}
	return *doc, nil
}

// Samples implements evidence.
func (r remote) Samples(ctx context.Context, run string, f func(result.Sample) error) error {
	for s, err := range r.Client.Samples(ctx, run) {
		if err != nil {
			return err
		}
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// runThere submits to the coordinator that owns the data folder, follows the run and
// ends with its verdict. The end of ctx cancels the run.
func runThere(ctx context.Context, cmd *cobra.Command, url string, q core.SubmitRequest, out *outputFlags) error {
	d := out.display(cmd)
	defer d.end()
	c, err := client.New(url, client.Options{Waiting: func(err error) { d.line("waiting for the coordinator: %v", err) }})
	if err != nil {
		return fail(exitRequest, "%w", err)
	}
	d.line("paceline up at %s owns the data folder: submitting to it", url)
	run, err := c.Submit(ctx, client.Submission{
		Suite: q.Suite, SuiteFile: q.SuiteFile, Rounds: q.Rounds, Branch: q.Branch, Commit: q.Commit, Parent: q.Parent, BaseRef: q.BaseRef,
		Lane: q.Lane, Faults: q.Faults, Repeat: q.Repeat, RequireBaseline: q.Options.RequireBaseline, Inconclusive: q.Options.Inconclusive,
		Subject: client.Subject{Model: q.Subject.Model}, CommitTime: q.Time,
		Baseline: q.Baseline, BaseSuite: q.BaseSuite, Ancestors: q.Ancestors, AncestorsCut: q.AncestorsCut, OtherRepository: q.OtherRepository,
	})
	if err != nil {
		return &exitError{code: remoteCode(err), err: err}
	}
	d.line("run %s · suite %s", run.ID, run.Suite)
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go func() {
		// Its end says nothing that Wait doesn't say.
		_ = c.Watch(watching, run.ID, run.Cursor, nil, func(p wire.Progress) { d.update(p) })
	}()
	done, err := c.Wait(ctx, run.ID)
	stopWatching()
	if ctx.Err() != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if _, err := c.Cancel(stop, run.ID, "interrupted"); err != nil {
			return fail(exitMachine, "cancel run %s: %w", run.ID, err)
		}
		return fail(exitCancelled, "run %s is cancelled", run.ID)
	}
	if err != nil {
		return &exitError{code: remoteCode(err), err: err}
	}
	d.end()
	if done.State == client.StateCancelled {
		return fail(exitCancelled, "run %s was cancelled: %s", run.ID, done.Reason)
	}
	return out.finish(cmd, remote{c}, run.ID, done.Exit)
}

// remoteCode says who has to act on an answer that says no.
func remoteCode(err error) int {
	var e *client.Error
	if errors.As(err, &e) && e.Wrong() {
		return exitRequest
	}
	return exitMachine
}

// evidence is what a decided run can show.
type evidence interface {
	Report(ctx context.Context, run string) (format.Report, error)
	Document(ctx context.Context, run string) (result.Document, error)
	Samples(ctx context.Context, run string, f func(result.Sample) error) error
}

var (
	_ evidence = (*core.Core)(nil)
	_ evidence = remote{}
)
