package worker

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/paceline/paceline/bench/harness"
	"github.com/paceline/paceline/bench/target"
	targetengine "github.com/paceline/paceline/bench/target/engine"
	"github.com/paceline/paceline/bench/target/openai"
	"github.com/paceline/paceline/bench/target/server"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/internal/wire"
)

// opener starts a round's subject.
type opener func(context.Context, harness.Order) (harness.Opened, error)

// ownEngine says that the subject is this process's engine.
func ownEngine(t *wire.Target) bool { return t == nil || t.Driver == wire.DriverEngine }

// engineOf opens this process's engine, or the variant of it that the order names. What it opens is added to opened.
func engineOf(faults []engine.Fault, gpu *device, opened *[]*targetengine.Target) opener {
	return func(ctx context.Context, o harness.Order) (harness.Opened, error) {
		variant, ok := wire.EngineVariants()[o.Subject.Target]
		if !ok && o.Subject.Target != wire.DriverEngine && o.Subject.Target != "" {
			return harness.Opened{}, &wire.Error{Class: wire.ClassMachine, Message: fmt.Sprintf("this worker's engine has no variant %q: update it", o.Subject.Target)}
		}
		if (variant.Backend == "cuda") != (gpu != nil) {
			return harness.Opened{}, &wire.Error{Class: wire.ClassRequest, Message: fmt.Sprintf("target %s computes elsewhere than the run's own: measure it in a run of its own", o.Subject.Target)}
		}
		t, err := targetengine.Open(ctx, engine.Options{
			ModelDir: o.ModelDir, Backend: variant.Backend, Device: gpu.id(), Faults: faults, ContextHint: contextOf(o.Cells), Weights: variant.Weights, Speculate: variant.Speculate,
		})
		if err != nil {
			return harness.Opened{}, err
		}
		if err := fits(o.Cells, t.Context()); err != nil {
			return harness.Opened{}, errors.Join(err, t.Close())
		}
		if err := gpu.opened(ctx); err != nil {
			return harness.Opened{}, errors.Join(err, t.Close())
		}
		*opened = append(*opened, t)
		return harness.Opened{Target: t, Tokenizer: t.Tokenizer()}, nil
	}
}

// lost is the error of a round whose engine could not be used to its end: the machine's, whatever was measured.
func lost(opened []*targetengine.Target) error {
	for _, t := range opened {
		if err := t.Fault(); err != nil {
			return &wire.Error{Class: wire.ClassMachine, Message: fmt.Sprintf("the engine was lost in the middle of the round, which is worth nothing: %v", err)}
		}
	}
	return nil
}

// serverOf opens a server: one that runs, or one that is started for this round.
func serverOf(o *wire.RoundOrder) (opener, error) {
	request := func(format string, args ...any) error {
		return &wire.Error{Class: wire.ClassRequest, Message: fmt.Sprintf(format, args...)}
	}
	t := o.Target
	switch {
	case t.Driver != wire.DriverOpenAI:
		return nil, &wire.Error{Class: wire.ClassMachine, Message: fmt.Sprintf("this worker can't drive %q: it can drive %s and %s", t.Driver, wire.DriverEngine, wire.DriverOpenAI)}
	case len(o.Faults) > 0:
		return nil, request("planted defects (%v) are of Paceline's own engine: a server has none", o.Faults)
	case (t.URL == "") == (t.Launch == nil):
		return nil, request("target %s needs either a URL or a launch recipe", o.Subject.Target)
	}
	options := openai.Options{URL: t.URL, Dialect: t.Dialect, Model: t.Served}
	if t.APIKeyEnv != "" {
		if options.APIKey = os.Getenv(t.APIKeyEnv); options.APIKey == "" {
			return nil, request("the variable %s, which is to hold the server's API key, is empty or not set", t.APIKeyEnv)
		}
	}
	var tok target.Tokenizer
	if o.ModelDir != "" {
		own, err := targetengine.OpenTokenizer(o.ModelDir)
		if err != nil {
			return nil, request("%v", err)
		}
		tok, options.TokenizerDigest = own, own.Digest()
		options.ModelDigest = func() (string, error) { return modelDigest(o.ModelDir) }
	}
	return func(ctx context.Context, _ harness.Order) (harness.Opened, error) {
		connect := func(ctx context.Context, url string) (target.Target, error) {
			options.URL = url
			return openai.Open(ctx, options)
		}
		if t.Launch == nil {
			running, err := connect(ctx, t.URL)
			return harness.Opened{Target: running, Tokenizer: tok}, err
		}
		started, err := server.Start(ctx, server.Options{
			Recipe: server.Recipe{
				Args: t.Launch.Args, Env: t.Launch.Env, URL: t.Launch.URL, Ready: t.Launch.Ready,
				ReadyTimeout: t.Launch.ReadyTimeout, Values: t.Launch.Values,
			},
			Connect: connect,
			Log:     func(line string) { fmt.Fprintln(os.Stderr, line) }, // the agent keeps it as the attempt's log
		})
		if err != nil {
			return harness.Opened{}, err
		}
		return harness.Opened{Target: started, Tokenizer: tok, Spawned: started.Started()}, nil
	}, nil
}

// modelDigest is that of the checkpoint in a folder; "" where the folder has only a
// tokenizer.
func modelDigest(dir string) (_ string, err error) {
	c, err := model.Open(dir)
	if errors.Is(err, model.ErrNotFound) || errors.Is(err, model.ErrUnsupported) {
		return "", nil // what the server serves needn't be a format that our engine reads
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Digest()
}
