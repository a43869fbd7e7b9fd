package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"

	"github.com/paceline/paceline/agent/build"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/proc"
	"github.com/paceline/paceline/internal/wire"
)

// provided is a subject that is ready to be started, as often as there are rounds.
type provided struct {
	worker   []string     // command line of the worker
	target   *wire.Target // what it measures; nil: its own engine
	variant  string       // of its own engine; empty: none
	modelDir string
	// What this agent knows of the build and a worker can't: it verified the file,
	// built the commit or chose the image.
	hash, revision, image string
}

// provide does what the order's subject takes: verifies a file, builds a revision.
func (a *Agent) provide(ctx context.Context, o wire.Order, log func(string)) (provided, error) {
	p, err := resolve(o.Subject, a.cfg.Subjects)
	if err != nil {
		return provided{}, err
	}
	out := provided{worker: a.cfg.Worker, image: p.image}
	if _, ok := wire.EngineVariants()[o.Subject.Target]; ok {
		out.variant = o.Subject.Target
	}
	if out.modelDir, err = a.modelOf(o.Model, p.target != nil); err != nil {
		return out, err
	}
	file := p.file
	switch p.kind {
	case KindSHA256:
		if err := verify(file, p.hash); err != nil {
			return out, err
		}
		out.hash = p.hash
	case KindGit:
		built, err := build.Revision(ctx, build.Recipe(*a.cfg.Subjects.Git), a.cfg.Builds, p.ref, log)
		if err != nil {
			return out, classOfBuild(err)
		}
		file, out.revision = built.Path, built.Commit
		if out.hash, err = proc.Digest(file); err != nil {
			return out, &wire.Error{Class: wire.ClassMachine, Message: err.Error()}
		}
	}
	if p.target == nil {
		if file != "" {
			out.worker = []string{file, "worker"}
		}
		return out, nil
	}
	t := p.target.Target
	if t.Launch != nil {
		launch := *t.Launch
		launch.Values = maps.Clone(launch.Values)
		if launch.Values == nil {
			launch.Values = map[string]string{}
		}
		for name, v := range map[string]string{"build": file, "image": p.run, "model": out.modelDir} {
			if v != "" {
				launch.Values[name] = v
			}
		}
		t.Launch = &launch
		if needs := (map[string]string{KindSHA256: "{build}", KindGit: "{build}", KindImage: "{image}"})[p.kind]; needs != "" && !mentions(launch, needs) {
			return out, notHere("the launch recipe of target %s has no %s, so that it can't start build %s", o.Subject.Target, needs, o.Subject.Build)
		}
	}
	out.target = &t
	return out, nil
}

func mentions(l wire.Launch, name string) bool {
	return strings.Contains(strings.Join(append(l.Args, l.Env...), "\x00"), name)
}

// modelOf finds a model's folder. A server may have its model from elsewhere: then
// there is no folder, and no tokenizer.
func (a *Agent) modelOf(name string, server bool) (string, error) {
	if server && (name == "" || name == "default" || name == ModelServed) {
		return "", nil
	}
	dir, err := a.cfg.Model(name)
	if err == nil {
		return dir, nil
	}
	class := wire.ClassRequest
	if errors.Is(err, syscall.ENOSPC) {
		class = wire.ClassMachine
	}
	return "", fmt.Errorf("find model %q on this machine: %w", name, &wire.Error{Class: class, Message: err.Error()})
}

// ModelServed is the model of a run that measures whatever a server serves.
const ModelServed = "served"

// verify compares a file with the digest under which it is known.
func verify(path, want string) error {
	got, err := proc.Digest(path)
	if err != nil {
		return notHere("build sha256:%.12s…: %v", want, err)
	}
	if got != want {
		return notHere("the file %s is not the build that the run asks for: it has sha256:%s, and the run wants sha256:%s: correct the machine's configuration", path, got, want)
	}
	return nil
}

// classOfBuild says who has to act when a revision couldn't be built.
func classOfBuild(err error) error {
	class := wire.ClassMachine
	switch {
	case errors.Is(err, build.ErrRevision):
		class = wire.ClassRequest
	case errors.Is(err, build.ErrFailed):
		class = wire.ClassSubject
	}
	return &wire.Error{Class: class, Message: err.Error()}
}

// greeted compares what a worker says of its program with what was to be started.
func (p *provided) greeted(h *wire.Hello) error {
	if p.target != nil {
		if h.Protocol < wire.TargetProtocol {
			return notHere("the worker (%s) speaks protocol %d and drives its own engine only; target driver %s needs protocol %d: update it", h.Version, h.Protocol, p.target.Driver, wire.TargetProtocol)
		}
		return nil
	}
	if needs := wire.EngineVariants()[p.variant].Protocol(); p.variant != "" && h.Protocol < needs {
		return notHere("the worker (%s) speaks protocol %d and has no such variant of its engine; target %s needs protocol %d: measure a newer build", h.Version, h.Protocol, p.variant, needs)
	}
	if p.hash != "" && h.BinaryHash != "" && h.BinaryHash != p.hash {
		return notHere("the worker that was started is sha256:%s, and the run wants sha256:%s: the file was replaced in between", h.BinaryHash, p.hash)
	}
	if p.revision != "" && h.Revision != "" && h.Revision != p.revision {
		return notHere("the build recipe was to build %.12s and built %.12s: it must build the tree that it is started in", p.revision, h.Revision)
	}
	return nil
}

// identify adds what this agent knows to what the worker observed.
func (p *provided) identify(id *result.Identity) {
	if p.revision != "" && id.Revision == "" {
		id.Revision = p.revision
	}
	if p.image != "" {
		id.Build, id.BinaryHash = p.image, "" // the program that was started is the container's runtime
	}
	if p.hash != "" && p.target != nil {
		id.BinaryHash = p.hash // of the build, which the recipe may start by a wrapper
	}
}
