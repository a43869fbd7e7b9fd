package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/internal/datadir"
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
// ends with its verdict.
func runThere(ctx context.Context, cmd *cobra.Command, owner datadir.Owner, q core.SubmitRequest, out *outputFlags) error {
	if owner.Command == "coordinator" {
		return fail(exitRequest, "a coordinator at %s owns the data folder, and it measures nothing itself: add --coordinator %s, and a token in %s", owner.URL, owner.URL, tokenVariable)
	}
	d := out.display(cmd)
	defer d.end()
	c, err := client.New(owner.URL, client.Options{Token: owner.Secret, Waiting: func(err error) { d.line("waiting for the coordinator: %v", err) }})
	if err != nil {
		return fail(exitRequest, "%w", err)
	}
	d.line("paceline %s at %s owns the data folder: submitting to it", owner.Command, owner.URL)
	s := submission(q)
	s.Subject.Model = q.Subject.Model // that process is on this machine: a path means the same there
	return followThere(ctx, cmd, c, s, out, d, true)
}

// submission is a request as the API takes it.
func submission(q core.SubmitRequest) client.Submission {
	return client.Submission{
		Suite: q.Suite, SuiteFile: q.SuiteFile, Rounds: q.Rounds, Branch: q.Branch, Commit: q.Commit, Parent: q.Parent, BaseRef: q.BaseRef,
		Lane: q.Lane, Faults: q.Faults, Repeat: q.Repeat, RequireBaseline: q.Options.RequireBaseline, Inconclusive: q.Options.Inconclusive,
		Subject: client.Subject{Target: q.Subject.Target, Build: q.Subject.Build, Model: modelName(q.Subject.Model), Flags: q.Subject.Flags}, CommitTime: q.Time,
		Baseline: q.Baseline, BaseSuite: q.BaseSuite, Ancestors: q.Ancestors, AncestorsCut: q.AncestorsCut, OtherRepository: q.OtherRepository,
	}
}

// followThere submits a run and, if it is to wait, follows it and ends with its
// verdict, also over restarts of the coordinator. The end of ctx cancels the run.
func followThere(ctx context.Context, cmd *cobra.Command, c *client.Client, s client.Submission, out *outputFlags, d *display, wait bool) error {
	run, err := c.Submit(ctx, s)
	if err != nil {
		return &exitError{code: remoteCode(err), err: err}
	}
	d.line("run %s · suite %s", run.ID, run.Suite)
	if !wait {
		d.line("it waits for a machine; --wait stays until the verdict")
		fmt.Fprintln(cmd.OutOrStdout(), run.ID)
		return nil
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go func() {
		// Its end says nothing that Wait doesn't say.
		_ = c.Watch(watching, run.ID, run.Cursor, nil, func(p wire.Progress) { d.update(p) })
	}()
	done, err := c.Wait(ctx, run.ID)
	stopWatching()
	if ctx.Err() != nil {
		return out.ended(cmd, remote{c}, run.ID, cancelThere(ctx, c, run.ID))
	}
	if err != nil {
		return &exitError{code: remoteCode(err), err: err}
	}
	d.end()
	if done.State == client.StateCancelled {
		return out.ended(cmd, remote{c}, run.ID, fail(exitCancelled, "run %s was cancelled: %s", run.ID, done.Reason))
	}
	return out.finish(cmd, remote{c}, run.ID, done.Exit)
}

// cancelThere cancels a run whose command was interrupted, and waits a moment until
// the machine has let go of it.
func cancelThere(ctx context.Context, c *client.Client, run string) error {
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, err := c.Cancel(stop, run, "interrupted"); err != nil && !client.IsConflict(err) {
		return fail(exitMachine, "cancel run %s: %w", run, err)
	}
	return fail(exitCancelled, "run %s is cancelled", run)
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
