package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/proc"
	"github.com/paceline/paceline/internal/wire"
)

// maxLogLines bounds what one worker may add to the attempt's log.
const maxLogLines = 2000

// rounds runs every round of the order, each in a fresh worker between two readings
// of the machine probe.
func (a *Agent) rounds(ctx context.Context, o wire.Order, s *spool, wake chan<- struct{}) error {
	waiting := &round{agent: a, order: o, index: o.FirstRound}
	unlock, err := lockHost(ctx, a.cfg.HostLock, func() { waiting.progress(&wire.Progress{Phase: "waiting for another measurement on this host"}) })
	if err != nil {
		return err
	}
	defer unlock()
	if ref, ok := strings.CutPrefix(o.Subject.Build, KindGit+":"); ok {
		waiting.progress(&wire.Progress{Phase: fmt.Sprintf("building %.12s", ref)})
	}
	subject, err := a.provide(ctx, o, waiting.logLine)
	waiting.spool, waiting.wake = s, wake
	if lerr := waiting.addLog(); err == nil {
		err = lerr
	}
	if err != nil {
		return fmt.Errorf("measure target %s, build %s: %w", targetName(o.Subject), o.Subject.Build, orCause(ctx, err))
	}
	for i := range o.Rounds {
		r := &round{agent: a, order: o, index: o.FirstRound + i, spool: s, wake: wake, subject: subject}
		if err := r.run(ctx); err != nil {
			return fmt.Errorf("round %d: %w", r.index, err)
		}
	}
	return nil
}

// round is one start of the subject.
type round struct {
	agent *Agent
	order wire.Order
	index int
	spool *spool
	wake  chan<- struct{}

	subject provided
	greeted bool // the worker said hello

	log []string // the worker's standard error
}

func (r *round) run(ctx context.Context) error {
	r.progress(&wire.Progress{Phase: "machine probe"})
	env, before, err := r.probe(ctx, "before")
	if err != nil {
		return err
	}
	res, err := r.worker(ctx)
	if lerr := r.addLog(); err == nil {
		err = lerr
	}
	if err != nil {
		return err
	}
	_, after, err := r.probe(ctx, "after")
	if err != nil {
		return err
	}
	if env != nil {
		if res.Environment, err = environment(*env, res.Environment); err != nil {
			return err
		}
	}
	r.subject.identify(&res.Subject)
	res.Probes = append(append(before, after...), res.Probes...)
	records, err := lines([]result.Round{*res})
	if err != nil {
		return err
	}
	return r.add(wire.StreamRounds, records)
}

// probe reads the machine's own speed in a child of this program. Without a probe
// there is nothing to say.
func (r *round) probe(ctx context.Context, when string) (*result.Environment, []result.Probe, error) {
	if len(r.agent.cfg.Probe) == 0 {
		return nil, nil, nil
	}
	child, err := proc.Start(ctx, proc.Options{Args: r.agent.cfg.Probe})
	if err != nil {
		return nil, nil, fmt.Errorf("machine probe: %w", err)
	}
	f, rerr := wire.ReadFrame(bufio.NewReader(child.Stdout))
	if err := child.Stop(5 * time.Second); err != nil {
		return nil, nil, fmt.Errorf("machine probe: %w", orCause(ctx, err))
	}
	if rerr != nil {
		return nil, nil, fmt.Errorf("machine probe: %w", rerr)
	}
	for i := range f.Probes {
		f.Probes[i].When = when
	}
	return f.Env, f.Probes, nil
}

// stopGrace is how long a worker may take to end once its input has: more than it
// gives the server that it started.
const stopGrace = 15 * time.Second

// worker runs one worker process and gives the round that it measured.
func (r *round) worker(ctx context.Context) (*result.Round, error) {
	spawned := time.Now()
	// Not under ctx, which would kill the worker at once: the end of its input lets it
	// end what it started.
	child, err := proc.Start(context.WithoutCancel(ctx), proc.Options{Args: r.subject.worker, Log: r.logLine})
	if err != nil {
		class := wire.ClassMachine
		if r.subject.hash != "" && r.subject.target == nil { // a build that was asked for
			class = wire.ClassSubject
		}
		return nil, &wire.Error{Class: class, Message: fmt.Sprintf("the worker doesn't start: %v", err)}
	}
	defer context.AfterFunc(ctx, func() { _ = child.Stop(stopGrace) })()
	res, rerr := r.converse(child, spawned)
	werr := child.Stop(stopGrace)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("worker: %w", context.Cause(ctx))
	}
	var we *wire.Error
	switch {
	case errors.As(rerr, &we):
		return nil, rerr
	case werr != nil && !r.greeted && r.subject.hash != "" && r.subject.target == nil:
		return nil, &wire.Error{Class: wire.ClassSubject, Message: fmt.Sprintf(
			"build %s ended before it said a word as a worker (is it a native build of Paceline?): %v", r.order.Subject.Build, werr)}
	case werr != nil:
		return nil, &wire.Error{Class: wire.ClassSubject, Message: "the worker ended: " + werr.Error()}
	case rerr != nil:
		return nil, &wire.Error{Class: wire.ClassSubject, Message: "the worker was not understood: " + rerr.Error()}
	}
	return res, nil
}

// converse speaks the worker protocol: hello, order, then frames until the round or
// an error. A worker that is silent for too long is killed.
func (r *round) converse(child *proc.Child, spawned time.Time) (*result.Round, error) {
	var killed atomic.Bool
	silent := time.AfterFunc(r.agent.cfg.Silence, func() {
		killed.Store(true)
		_ = child.Stop(stopGrace)
	})
	defer silent.Stop()
	in := bufio.NewReader(child.Stdout)
	hello, err := wire.ReadFrame(in)
	if err != nil {
		return nil, err
	}
	if hello.Hello == nil {
		return nil, errors.New("its first frame is no hello")
	}
	if v := hello.Hello.Protocol; v < 1 || v > wire.WorkerProtocol {
		return nil, &wire.Error{Class: wire.ClassRequest, Message: fmt.Sprintf(
			"the worker (%s) speaks protocol %d, this agent 1 to %d: update the older of the two", hello.Hello.Version, v, wire.WorkerProtocol)}
	}
	r.greeted = true
	if err := r.subject.greeted(hello.Hello); err != nil {
		return nil, err
	}
	order := wire.RoundOrder{
		Protocol: hello.Hello.Protocol, Run: r.order.Run, Attempt: r.order.Attempt, Round: r.index, Suite: r.order.Suite,
		Subject: r.order.Subject, ModelDir: r.subject.modelDir, Faults: r.order.Faults, Spawned: spawned, Target: r.subject.target, Device: r.agent.cfg.GPU,
	}
	if err := wire.WriteFrame(child.Stdin, &wire.Frame{Order: &order}); err != nil {
		return nil, err
	}
	for {
		f, err := wire.ReadFrame(in)
		if err != nil {
			switch {
			case killed.Load():
				err = fmt.Errorf("it said nothing for %v and was killed", r.agent.cfg.Silence)
			case errors.Is(err, io.EOF):
				err = errors.New("it ended without a result")
			}
			return nil, err
		}
		silent.Reset(r.agent.cfg.Silence)
		switch {
		case f.Progress != nil:
			r.progress(f.Progress)
		case f.Samples != nil:
			records, err := lines(f.Samples)
			if err != nil {
				return nil, err
			}
			if err := r.add(wire.StreamSamples, records); err != nil {
				return nil, &wire.Error{Class: wire.ClassMachine, Message: err.Error()}
			}
		case f.Error != nil:
			return nil, f.Error
		case f.Round != nil:
			return f.Round, nil
		}
	}
}

func (r *round) add(stream string, records []json.RawMessage) error {
	if err := r.spool.add(stream, records); err != nil {
		return err
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return nil
}

func (r *round) logLine(line string) {
	if len(r.log) < maxLogLines {
		r.log = append(r.log, line)
	}
}

func (r *round) addLog() error {
	records, err := lines(r.log)
	if err != nil || len(records) == 0 {
		return err
	}
	return r.add(wire.StreamLog, records)
}

// progress announces where the round stands; nobody may be listening.
func (r *round) progress(p *wire.Progress) {
	p.Run, p.Attempt, p.Agent = r.order.Run, r.order.Attempt, r.agent.cfg.ID
	p.Round, p.Rounds = r.index, r.order.FirstRound+r.order.Rounds-1
	p.At = time.Now()
	b, err := json.Marshal(p)
	if err != nil {
		return
	}
	if err := r.agent.cfg.Bus.Publish(context.Background(), wire.Live(p.Run), b); err != nil {
		r.agent.cfg.Log.Debug("progress not announced", "error", err)
	}
}

// orCause prefers why ctx ended to what that did to a child.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
