package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/internal/bus"
)

// whereFlags say which machine of a coordinator's fleet measures.
type whereFlags struct {
	reachFlags
	any   bool
	where []string
	wait  bool
	queue time.Duration
}

func (f *whereFlags) add(cmd *cobra.Command) {
	f.reachFlags.add(cmd, "submit to this coordinator")
	fl := cmd.Flags()
	fl.BoolVar(&f.any, "any", false, "with --coordinator: one machine of its fleet measures, not this one")
	fl.StringArrayVar(&f.where, "where", nil, "with --any: KEY=VALUE, a label that the machine must have (may be repeated)")
	fl.BoolVar(&f.wait, "wait", false, "with --any: stay until the verdict and end with its exit code")
	fl.DurationVar(&f.queue, "queue-for", 0, "with --any: how long the run may wait for a machine (default: the coordinator's, 24h)")
}

// check refuses what makes no sense together.
func (f *whereFlags) check(elsewhere bool) error {
	switch {
	case !elsewhere && (f.any || len(f.where) > 0 || f.wait || f.queue != 0):
		return fail(exitRequest, "--any, --where, --wait and --queue-for choose machines of a fleet: they go with --coordinator URL")
	case elsewhere && !f.any && (len(f.where) > 0 || f.queue != 0):
		return fail(exitRequest, "without --any this machine measures: --where and --queue-for go with --any")
	}
	return nil
}

// runElsewhere submits a run to a coordinator. Without --any this machine measures,
// with this program, as an agent for as long as the run lasts.
func (f *whereFlags) runElsewhere(ctx context.Context, cmd *cobra.Command, q core.SubmitRequest, here agentConfig, out *outputFlags) error {
	d := out.display(cmd)
	defer d.end()
	c, err := f.dial(func(err error) { d.line("waiting for the coordinator: %v", err) })
	if err != nil {
		return err
	}
	s := submission(q)
	if f.any {
		if s.Labels, err = parseLabels(f.where); err != nil {
			return err
		}
		s.QueueForSec = f.queue.Seconds()
		return followThere(ctx, cmd, c, s, out, d, f.wait)
	}
	if err := engineHere(); err != nil {
		return err
	}
	name, leave, err := f.callingAgent(ctx, c, q, here, out, cmd)
	if err != nil {
		return err
	}
	defer leave()
	s.Machine = name
	return followThere(ctx, cmd, c, s, out, d, true)
}

// callingAgent makes this process an agent that measures this command's run only.
func (f *whereFlags) callingAgent(ctx context.Context, c *client.Client, q core.SubmitRequest, here agentConfig, out *outputFlags, cmd *cobra.Command) (name string, leave func(), err error) {
	host, err := os.Hostname()
	if err != nil {
		host = "this-machine"
	}
	key, err := bus.NewKey()
	if err != nil {
		return "", nil, fail(exitMachine, "%w", err)
	}
	enrolled, err := c.EnrolCalling(ctx, host, key.Public)
	if err != nil {
		return "", nil, &exitError{code: remoteCode(err), err: err}
	}
	spool, err := os.MkdirTemp("", "paceline-run-*")
	if err != nil {
		return "", nil, fail(exitMachine, "make a folder for what is not yet delivered: %w", err)
	}
	log := out.logger(cmd)
	s := agentState{Name: enrolled.Agent.Name, ID: enrolled.Agent.ID, BusURL: enrolled.BusURL, Seed: key.Seed, CA: f.ca}
	connecting, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	b, err := s.connect(connecting, log)
	if b == nil {
		_ = os.RemoveAll(spool)
		if err == nil {
			err = fail(exitMachine, "the coordinator's messages at %s can't be reached from here: is that port open? (--bus-advertise of the coordinator says where it is)", s.BusURL)
		}
		return "", nil, err
	}
	a, err := newAgent(agentOptions{
		id: s.ID, spool: filepath.Join(spool, "spool"), bus: b, log: log, model: typedModel(q.Subject.Model),
		config: here, builds: filepath.Join(spool, "builds"),
	})
	if err != nil {
		_ = b.Close()
		_ = os.RemoveAll(spool)
		return "", nil, err
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(running); err != nil {
			log.Warn("agent ended", "error", err)
		}
	}()
	return s.Name, func() {
		end()
		<-done
		_ = b.Close()
		_ = os.RemoveAll(spool)
		leaving, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		if err := c.Leave(leaving, s.ID); err != nil {
			log.Warn("the coordinator was not told that this machine is gone", "error", err)
		}
	}, nil
}

// modelName is how a model is called where its path means nothing.
func modelName(model string) string {
	if filepath.IsAbs(model) {
		return filepath.Base(model)
	}
	return model
}

// typedModel finds the one model that the person at this machine asked for, by the name
// under which the run has it, and no other: the order comes from elsewhere.
func typedModel(typed string) func(name string) (string, error) {
	find := catalogue("")
	if typed == "" { // the suite names one
		return namedModels("")
	}
	return func(name string) (string, error) {
		if name != modelName(typed) {
			return "", fmt.Errorf("the coordinator asks for model %q, and this command was started for %q", name, modelName(typed))
		}
		return find(typed)
	}
}
