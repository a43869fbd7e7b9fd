package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/internal/wire"
)

// errMustStop is the cause of an attempt's end on the coordinator's word.
var errMustStop = errors.New("the coordinator said stop")

// attempt runs one order to its end. Whatever happens is reported; what can't be
// reported now stays in the spool for the agent's next life.
func (a *Agent) attempt(ctx context.Context, o wire.Order) {
	log := a.cfg.Log.With("attempt", o.Attempt, "run", o.Run)
	s, err := newSpool(a.cfg.Spool, o)
	if err != nil {
		log.Error("attempt ends before it began", "error", err)
		a.reportUnspooled(ctx, o, err)
		return
	}
	log.Info("attempt leased", "rounds", o.Rounds, "model", o.Model)

	work, stopWork := context.WithCancelCause(ctx)
	defer stopWork(nil)
	b := &beats{agent: a, attempt: o.Attempt, stop: stopWork, state: "leased"}
	if !b.first(ctx) {
		return // shut down before the lease was confirmed: the spool tells the next life
	}
	var background sync.WaitGroup
	beating, stopBeating := context.WithCancel(ctx)
	defer stopBeating()
	background.Go(func() { b.run(beating) })
	uploading, stopUploading := context.WithCancel(ctx)
	defer stopUploading()
	wake := make(chan struct{}, 1)
	background.Go(func() { a.upload(uploading, s, wake, stopWork) })

	b.set("running")
	err = a.rounds(work, o, s, wake)
	if ctx.Err() != nil { // shut down: the spool tells the next life
		stopUploading()
		stopBeating()
		background.Wait()
		return
	}
	outcome, problem := outcomeOf(err, context.Cause(work))
	if problem != nil {
		log.Error("attempt failed", "class", problem.Class, "error", problem.Message)
	}
	b.set("uploading")
	stopUploading()
	a.finish(ctx, s, outcome, problem)
	stopBeating()
	background.Wait()
}

// outcomeOf classifies how the rounds ended.
func outcomeOf(err, cause error) (string, *wire.Error) {
	if errors.Is(cause, errMustStop) {
		return wire.OutcomeCancelled, nil
	}
	if err == nil {
		return wire.OutcomeDone, nil
	}
	var we *wire.Error
	if errors.As(err, &we) {
		return wire.OutcomeError, &wire.Error{Class: we.Class, Message: err.Error()}
	}
	return wire.OutcomeError, &wire.Error{Class: wire.ClassMachine, Message: err.Error()}
}

// finish delivers the rest and closes the attempt. It gives up only with ctx or when
// the coordinator says that the attempt is over.
func (a *Agent) finish(ctx context.Context, s *spool, outcome string, problem *wire.Error) {
	for {
		if err := a.drain(ctx, s); err != nil {
			if isTerminal(err) {
				a.forget(s)
			}
			return
		}
		var reply wire.EndReply
		if err := a.askUntilAnswered(ctx, wire.End, s.end(outcome, problem), &reply); err != nil {
			return // shut down: the spool stays
		}
		switch {
		case reply.Error != nil:
			a.cfg.Log.Warn("the coordinator refused the attempt's end", "attempt", s.order.Attempt, "error", reply.Error)
			a.forget(s)
			return
		case len(reply.Missing) == 0:
			a.forget(s)
			return
		}
		if !s.has(reply.Missing) {
			a.cfg.Log.Error("the coordinator lacks batches that it acknowledged", "attempt", s.order.Attempt, "missing", reply.Missing)
			return // the spool stays for a person to look at
		}
	}
}

func (a *Agent) forget(s *spool) {
	if err := s.remove(); err != nil {
		a.cfg.Log.Warn("spool not removed", "error", err)
	}
}

// reportUnspooled ends an attempt for which there is no place on this disk.
func (a *Agent) reportUnspooled(ctx context.Context, o wire.Order, cause error) {
	var reply wire.EndReply
	req := emptySpool("", o).end(wire.OutcomeError, &wire.Error{Class: wire.ClassMachine, Message: cause.Error()})
	if err := a.askUntilAnswered(ctx, wire.End, req, &reply); err != nil {
		a.cfg.Log.Warn("attempt's end not reported", "attempt", o.Attempt, "error", err)
	}
}

// deliverLeftovers reports attempts that an earlier life of this agent began: what
// it measured is delivered, and the attempt ends as an error, since its worker is
// gone.
func (a *Agent) deliverLeftovers(ctx context.Context) {
	found, problems := openSpools(a.cfg.Spool)
	for _, err := range problems {
		a.cfg.Log.Error("a spool folder can't be read; it is left alone", "error", err)
	}
	for _, s := range found {
		a.cfg.Log.Info("delivering what an earlier life left", "attempt", s.order.Attempt)
		a.finish(ctx, s, wire.OutcomeError, &wire.Error{
			Class: wire.ClassMachine, Message: "the agent was restarted during the attempt: start the run again",
		})
	}
}

// beats renews an attempt's lease.
type beats struct {
	agent   *Agent
	attempt string
	stop    context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	n     uint64
	state string
	every time.Duration
}

// first beats until it is answered; false if ctx ended before.
func (b *beats) first(ctx context.Context) bool {
	for pause := b.agent.cfg.Retry; ; {
		if b.once(ctx) {
			return true
		}
		t := time.NewTimer(jitter(pause))
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
	}
}

// run beats at the coordinator's interval, and at once after a hint.
func (b *beats) run(ctx context.Context) {
	for {
		b.mu.Lock()
		every := b.every
		b.mu.Unlock()
		b.agent.wait(ctx, every)
		if ctx.Err() != nil {
			return
		}
		b.once(ctx)
	}
}

// once sends a beat; false if it got no answer.
func (b *beats) once(ctx context.Context) bool {
	b.mu.Lock()
	b.n++
	req := wire.BeatRequest{Attempt: b.attempt, N: b.n, State: b.state}
	b.mu.Unlock()
	var reply wire.BeatReply
	if err := b.agent.ask(ctx, wire.Beat, req, &reply); err != nil {
		b.agent.cfg.Log.Debug("beat not answered", "error", err)
		b.mu.Lock()
		b.every = max(b.every, b.agent.cfg.Retry)
		b.mu.Unlock()
		return false
	}
	b.mu.Lock()
	b.every = wire.BeatEvery
	if reply.BeatEvery > 0 {
		b.every = reply.BeatEvery
	}
	b.mu.Unlock()
	if reply.MustStop || reply.Error != nil {
		b.agent.cfg.Log.Info("told to stop", "attempt", b.attempt, "reason", reply.Reason)
		b.stop(errMustStop)
	}
	return true
}

func (b *beats) set(state string) {
	b.mu.Lock()
	b.state = state
	b.mu.Unlock()
}

// upload delivers batches as they come, until ctx ends.
func (a *Agent) upload(ctx context.Context, s *spool, wake <-chan struct{}, stop context.CancelCauseFunc) {
	for {
		if err := a.drain(ctx, s); isTerminal(err) {
			stop(errMustStop)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		}
	}
}

// drain delivers everything that waits. Its error is ctx's, or a terminal one.
func (a *Agent) drain(ctx context.Context, s *spool) error {
	for {
		req, err := s.next()
		if err != nil || req == nil {
			return err
		}
		var reply wire.BatchReply
		if err := a.askUntilAnswered(ctx, wire.Put, req, &reply); err != nil {
			return err
		}
		if reply.Error != nil {
			return fmt.Errorf("deliver batch %d of %s: %w", req.Seq, req.Stream, reply.Error)
		}
		if reply.HighWater < req.Seq {
			return fmt.Errorf("deliver batch %d of %s: acknowledged up to %d only", req.Seq, req.Stream, reply.HighWater)
		}
		if err := s.acknowledge(req.Stream, reply.HighWater); err != nil {
			return err
		}
	}
}

func isTerminal(err error) bool {
	var we *wire.Error
	return errors.As(err, &we) && we.Class == wire.ClassTerminal
}

// lines turns values to records of a batch.
func lines[T any](values []T) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(values))
	for i, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encode a record: %w", err)
		}
		out[i] = b
	}
	return out, nil
}
