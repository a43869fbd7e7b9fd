// Package worker is the measured child process: it is told one round, runs it with
// the embedded engine or a server, tells how it goes and what came out, and ends. One
// process is one start of the subject.
//
// It speaks the framed protocol of internal/wire on its standard input and output;
// the end of its input tells it to die. Supervision is package agent's, measuring
// bench/harness's. Only the native build links it.
package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/paceline/paceline/bench/harness"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/probe/nvml"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	targetengine "github.com/paceline/paceline/bench/target/engine"
	"github.com/paceline/paceline/bench/target/null"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites/spec"
)

// errInputEnded is the cause of a worker's end when its agent let go of it.
var errInputEnded = errors.New("standard input ended: the agent is gone")

// Self is what a worker says of its own program.
type Self struct {
	Version    string
	BinaryHash string // SHA-256 of the executable
	Revision   string
}

// Run speaks the protocol until the round has ended. Whatever goes wrong is told as
// the last frame; the error is that nothing could be told.
func Run(ctx context.Context, in io.Reader, out io.Writer, self Self) error {
	w := &writer{out: out}
	w.send(&wire.Frame{Hello: &wire.Hello{
		Protocol: wire.WorkerProtocol, Version: self.Version, BinaryHash: self.BinaryHash, Revision: self.Revision, Targets: []string{wire.DriverEngine, wire.DriverOpenAI},
	}})
	reader := bufio.NewReader(in)
	f, err := wire.ReadFrame(reader)
	if err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	if f.Order == nil {
		return errors.New("read the order: the first frame is none")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, reader) // nothing else is said: only the end matters
		cancel(errInputEnded)
	}()
	round, err := run(ctx, f.Order, self, w)
	if err != nil {
		w.send(&wire.Frame{Error: classify(err)})
		return w.err()
	}
	w.send(&wire.Frame{Round: round})
	return w.err()
}

// run measures the round that the order describes.
func run(ctx context.Context, o *wire.RoundOrder, self Self, w *writer) (*result.Round, error) {
	suite, err := spec.Parse("suite of run "+o.Run, []byte(o.Suite))
	if err != nil {
		return nil, &wire.Error{Class: wire.ClassRequest, Message: err.Error()}
	}
	var cells []spec.Cell
	for _, c := range suite.Expand() {
		if c.Target == o.Subject.Target {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return nil, &wire.Error{Class: wire.ClassRequest, Message: fmt.Sprintf("suite %s has nothing for target %q", suite.Name, o.Subject.Target)}
	}
	faults, err := parseFaults(o.Faults)
	if err != nil {
		return nil, &wire.Error{Class: wire.ClassRequest, Message: err.Error()}
	}
	gpu, err := deviceOf(ctx, o)
	if err != nil {
		return nil, err
	}
	defer gpu.close()
	samplers, err := openSamplers(gpu)
	if err != nil {
		return nil, err
	}
	defer closeSamplers(samplers)
	env, err := probe.Fingerprint(ctx, samplers)
	if err != nil {
		env.Software = map[string]string{"fingerprint": err.Error()} // what is known is still worth having
	}
	if err := gpu.class(&env); err != nil {
		return nil, err
	}
	var opened []*targetengine.Target
	open := engineOf(faults, gpu, &opened)
	order := harness.Order{
		Run: o.Run, Attempt: o.Attempt, Index: o.Round, Cells: cells, Subject: o.Subject, ModelDir: o.ModelDir,
		Faults: o.Faults, Spawned: o.Spawned,
	}
	if !ownEngine(o.Target) {
		if open, err = serverOf(o); err != nil {
			return nil, err
		}
		order.Spawned = time.Time{} // this process is not the subject
	}
	round, err := harness.RunRound(ctx, order, harness.Deps{
		Open:        open,
		Null:        func() target.Target { return null.New() },
		Samplers:    samplers,
		Environment: env,
		Foreign:     gpu.foreign(),
		Emit: harness.Emit{
			Progress: func(p harness.Progress) { w.send(&wire.Frame{Progress: progress(p)}) },
			Samples:  func(s []result.Sample) { w.send(&wire.Frame{Samples: s}) },
		},
	})
	if err := errors.Join(lost(opened), err); err != nil {
		return nil, err
	}
	if ownEngine(o.Target) {
		round.Subject.Build, round.Subject.BinaryHash, round.Subject.Revision = self.Version, self.BinaryHash, self.Revision
	}
	return &round, nil
}

func parseFaults(texts []string) ([]engine.Fault, error) {
	var out []engine.Fault
	for _, s := range texts {
		f, err := engine.ParseFault(s)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// openSamplers are the sources that this machine has; of its GPUs the subject's, where
// it has one.
func openSamplers(gpu *device) ([]probe.Sampler, error) {
	out := []probe.Sampler{host.Open()}
	if gpu != nil {
		s, err := nvml.Open(gpu.UUID)
		if err != nil {
			return nil, &wire.Error{Class: wire.ClassMachine, Message: err.Error()}
		}
		return append(out, s), nil
	}
	if s, err := nvml.Open(); err == nil {
		out = append(out, s)
	}
	return out, nil
}

func closeSamplers(samplers []probe.Sampler) {
	for _, s := range samplers {
		_ = s.Close() // the process ends soon
	}
}

func progress(p harness.Progress) *wire.Progress {
	return &wire.Progress{
		Workload: p.Workload, Point: p.Point, Phase: p.Phase, Done: p.Done, Rate: p.Rate, LeftSec: p.Left.Seconds(), At: time.Now(),
	}
}

// classify says who has to act.
func classify(err error) *wire.Error {
	var we *wire.Error
	if errors.As(err, &we) {
		return we
	}
	for _, request := range []error{model.ErrNotFound, model.ErrInvalid, model.ErrUnsupported} {
		if errors.Is(err, request) {
			return &wire.Error{Class: wire.ClassRequest, Message: err.Error()}
		}
	}
	if errors.Is(err, harness.ErrUnsupported) {
		return &wire.Error{Class: wire.ClassRequest, Message: err.Error()}
	}
	if errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrFault) || errors.Is(err, engine.ErrMemory) {
		return &wire.Error{Class: wire.ClassMachine, Message: err.Error()}
	}
	return &wire.Error{Class: wire.ClassSubject, Message: err.Error()}
}

// writer writes frames one at a time and keeps the first error.
type writer struct {
	mu    sync.Mutex // guards what follows
	out   io.Writer
	first error
}

func (w *writer) send(f *wire.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil {
		w.first = wire.WriteFrame(w.out, f)
	}
}

func (w *writer) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first
}
