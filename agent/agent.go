package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/wire"
)

// Config is what an agent needs.
type Config struct {
	ID      string            // as enrolled
	Build   string            // version of this program
	Devices []string          // "cpu", GPU UUIDs
	Labels  map[string]string // measured and the operator's
	Spool   string            // folder for what is not yet acknowledged
	Bus     bus.Bus
	Worker  []string // command line of a worker of this very build
	Probe   []string // command line of the machine probe; empty: no bracket
	// HostLock is a file that all agents of this host share: one of them measures at
	// a time. Empty: this one may share the host.
	HostLock string
	// Model finds the folder of a model by its name in this machine's catalogue.
	// Its error is the person's to mend: it ends the attempt with ClassRequest.
	Model    func(name string) (dir string, err error)
	Subjects Subjects // what it can measure beside its own build
	Builds   string   // folder of what it has built; needed with Subjects.Git
	GPU      string   // index or UUID, for targets of its own engine on one; empty: the first that nobody uses
	Log      *slog.Logger

	ClaimEvery time.Duration // 0: wire.ClaimEvery
	Silence    time.Duration // a worker that says nothing for so long is killed; 0: 2 minutes
	Retry      time.Duration // between tries while the coordinator is away; 0: 1 second
}

// Agent runs attempts, one at a time.
type Agent struct {
	cfg   Config
	hints chan struct{} // a hint came: ask now
}

// New checks the configuration.
func New(cfg Config) (*Agent, error) {
	switch {
	case cfg.ID == "" || cfg.Bus == nil || cfg.Spool == "" || cfg.Model == nil || len(cfg.Worker) == 0:
		return nil, errors.New("make an agent: id, bus, spool, worker and model catalogue are needed")
	case cfg.Subjects.Git != nil && cfg.Builds == "":
		return nil, errors.New("make an agent: it can build revisions, and has no folder for them")
	case len(cfg.Devices) == 0:
		return nil, errors.New("make an agent: it has no device")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.ClaimEvery == 0 {
		cfg.ClaimEvery = wire.ClaimEvery
	}
	if cfg.Silence == 0 {
		cfg.Silence = 2 * time.Minute
	}
	if cfg.Retry == 0 {
		cfg.Retry = time.Second
	}
	return &Agent{cfg: cfg, hints: make(chan struct{}, 1)}, nil
}

// Run works until ctx ends. First it delivers what an earlier life left in the
// spool; then it claims, and between claims waits for a hint or for ClaimEvery with
// jitter, whichever comes first.
func (a *Agent) Run(ctx context.Context) error {
	stop, err := a.cfg.Bus.Subscribe(wire.Ctl(a.cfg.ID), func(string, []byte) { a.hint() })
	if err != nil {
		return fmt.Errorf("listen for hints: %w", err)
	}
	defer stop()
	a.deliverLeftovers(ctx)
	for ctx.Err() == nil {
		order, err := a.claim(ctx)
		if err != nil && ctx.Err() == nil {
			a.cfg.Log.Warn("claim failed; trying again", "error", err)
		}
		if order != nil {
			a.attempt(ctx, *order)
			continue // there may be more
		}
		a.wait(ctx, jitter(a.cfg.ClaimEvery))
	}
	return nil
}

func (a *Agent) hint() {
	select {
	case a.hints <- struct{}{}:
	default: // one is waiting already
	}
}

// wait ends with d, with a hint or with ctx.
func (a *Agent) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-a.hints:
	case <-t.C:
	}
}

// claim asks for work until it has an answer: the same claim_id gives the same
// answer, so that an order whose reply was lost isn't lost with it.
func (a *Agent) claim(ctx context.Context) (*wire.Order, error) {
	req := wire.ClaimRequest{
		Version: wire.Version, ClaimID: fmt.Sprintf("%s-%016x", a.cfg.ID, rand.Uint64()),
		Devices: a.cfg.Devices, Labels: a.cfg.Labels, Build: a.cfg.Build,
	}
	var reply wire.ClaimReply
	if err := a.askUntilAnswered(ctx, wire.Claim, req, &reply); err != nil {
		return nil, err
	}
	if reply.Error != nil {
		return nil, fmt.Errorf("claim work: %w", reply.Error)
	}
	return reply.Order, nil
}

// ask sends one request and decodes its answer.
func (a *Agent) ask(ctx context.Context, kind string, req, reply any) error {
	b, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", kind, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	b, err = a.cfg.Bus.Request(ctx, wire.RPC(a.cfg.ID, kind), b)
	if err != nil {
		return fmt.Errorf("ask %s: %w", kind, err)
	}
	if err := json.Unmarshal(b, reply); err != nil {
		return fmt.Errorf("ask %s: decode the answer: %w", kind, err)
	}
	return nil
}

// askUntilAnswered repeats the request with back-off and jitter until ctx ends.
// Every request of the protocol is idempotent.
func (a *Agent) askUntilAnswered(ctx context.Context, kind string, req, reply any) error {
	for pause := a.cfg.Retry; ; pause = min(2*pause, 15*a.cfg.Retry) {
		err := a.ask(ctx, kind, req, reply)
		if err == nil || ctx.Err() != nil {
			return err
		}
		a.cfg.Log.Debug("no answer; trying again", "kind", kind, "error", err)
		t := time.NewTimer(jitter(pause))
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}

// jitter spreads agents that were woken together: d × 0.75…1.25.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
}
