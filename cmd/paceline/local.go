package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/datadir"
)

// local is a coordinator in this process, with this machine's agent: the fleet of one.
type local struct {
	data   *datadir.Dir
	ledger *sqlite.Ledger
	bus    bus.Bus
	core   *core.Core
	trends series.Reader // InfluxDB; nil: the ledger's own tables
	stops  []func()      // in order of starting
}

// localOptions say how coordinator and agent are made.
type localOptions struct {
	data  string // folder; empty: the user's own
	owner datadir.Owner
	bus   func(*sqlite.Ledger) (bus.Bus, error) // nil: the one of a single process
	idle  bool                                  // this machine measures nothing: no agent
	page  string                                // address of a run's page without its id; empty: there is none
	log   *slog.Logger
	lease time.Duration // 0: the protocol's

	seriesURL string      // InfluxDB for trends; empty: none
	config    agentConfig // what the agent can measure beside its own build
}

// openLocal takes the data folder and starts coordinator and agent. Close it.
func openLocal(ctx context.Context, o localOptions) (_ *local, err error) {
	l := &local{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	path := o.data
	if path == "" {
		if path, err = datadir.Default(); err != nil {
			return nil, fail(exitRequest, "%w", err)
		}
	}
	if l.data, err = datadir.Open(path, o.owner); err != nil {
		return nil, fail(exitRequest, "%w", err)
	}
	l.onClose(func() { _ = l.data.Close() })
	if l.ledger, err = sqlite.Open(ctx, l.data.Ledger(), time.Now); err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	l.onClose(func() { _ = l.ledger.Close() })
	l.bus = bus.NewLocal()
	if o.bus != nil {
		if l.bus, err = o.bus(l.ledger); err != nil {
			return nil, fail(exitMachine, "%w", err)
		}
	}
	l.onClose(func() { _ = l.bus.Close() })
	config := core.Config{Ledger: l.ledger, Bus: l.bus, Now: time.Now, Rand: rand.Reader, Log: o.log, Lease: o.lease}
	if o.page != "" {
		config.Page = func(run string) string { return o.page + run }
	}
	if config.Series, err = l.openSeries(ctx, o.seriesURL); err != nil {
		return nil, err
	}
	l.core, err = core.New(config)
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	stop, err := l.core.Start(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	l.onClose(stop)
	if o.idle {
		return l, nil
	}
	return l, l.startAgent(ctx, o)
}

// startAgent starts this machine's agent, where this build has an engine.
func (l *local) startAgent(ctx context.Context, o localOptions) error {
	log := o.log
	if engineHere() != nil {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this-machine"
	}
	row, err := l.core.EnrolLocal(ctx, host)
	if err != nil {
		return fail(exitMachine, "enrol this machine: %w", err)
	}
	a, err := newAgent(agentOptions{
		id: row.ID, spool: l.data.Spool(), bus: l.bus, log: log, model: catalogue(l.data.Models()),
		config: o.config, builds: filepath.Join(l.data.Path, "builds"),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	l.onClose(func() {
		cancel()
		if err := <-done; err != nil && log != nil {
			log.Warn("agent ended", "error", err)
		}
	})
	return nil
}

func (l *local) onClose(f func()) { l.stops = append(l.stops, f) }

// close ends everything in reverse order of starting.
func (l *local) close() {
	for _, stop := range slices.Backward(l.stops) {
		stop()
	}
	l.stops = nil
}

// cancel cancels a run and waits until its attempts have let go of the machine.
func (l *local) cancel(run, reason string) error {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	if _, err := l.core.Cancel(ctx, run, reason); err != nil && !errors.Is(err, ledger.ErrState) {
		return fmt.Errorf("cancel run %s: %w", run, err)
	}
	for {
		cursor, err := l.ledger.Events().Last(ctx)
		if err != nil {
			return err
		}
		attempts, err := l.ledger.Attempts().OfRun(ctx, run)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(attempts, func(a ledger.Attempt) bool { return a.State.Active() }) {
			return nil
		}
		if err := l.ledger.Events().Wait(ctx, cursor); err != nil {
			return fmt.Errorf("cancel run %s: the worker did not stop: %w", run, err)
		}
	}
}
