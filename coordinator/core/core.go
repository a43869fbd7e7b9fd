// Package core is the coordinator: it takes runs, serves the agents' protocol,
// judges what they deliver and tells whoever watches.
//
// It keeps no truth of its own. Everything that must survive lies in the ledger, and
// every step is a compare-and-set there, so that any number of coordinators may run
// over one ledger and any message may come twice. What it holds in memory is only
// what it has itself watched: beats that stay the same. The HTTP API is
// coordinator/api's, pages are dashboard's; which attempt goes where is
// coordinator/place's and what rounds mean is judge's.
package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/wire"
)

// Config is what a coordinator needs.
type Config struct {
	Ledger ledger.Ledger    // kept open by the caller
	Bus    bus.Bus          // kept open by the caller
	Now    func() time.Time // the only clock that is read
	Rand   io.Reader        // for ids: crypto/rand's Reader
	Log    *slog.Logger     // nil: discarded
	Series series.Writer    // nil: nothing is exported, and the tasks wait

	// Page gives the address of a run's page for reports; nil: there is none.
	Page func(run string) string

	Lease    time.Duration // unchanged beats observed for so long: lost; 0: wire.LeaseFor
	QueueFor time.Duration // an attempt that nobody took expires; 0: 24 h
	Tick     time.Duration // between looks at leases and due tasks; 0: 1 s
}

// Core is a coordinator. Make it with New.
type Core struct {
	cfg   Config
	watch *watch
}

// ErrRequest is wrapped by errors whose cause is the request: exit 2.
var ErrRequest = errors.New("bad request")

// New checks the configuration.
func New(cfg Config) (*Core, error) {
	if cfg.Ledger == nil || cfg.Bus == nil || cfg.Now == nil || cfg.Rand == nil {
		return nil, errors.New("make a coordinator: ledger, bus, clock and source of ids are needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Lease <= 0 {
		cfg.Lease = wire.LeaseFor
	}
	if cfg.QueueFor <= 0 {
		cfg.QueueFor = 24 * time.Hour
	}
	if cfg.Tick <= 0 {
		cfg.Tick = time.Second
	}
	return &Core{cfg: cfg, watch: newWatch(cfg.Lease)}, nil
}

// Start serves the agents' requests and begins to judge, to watch and to announce.
// Once it returns, agents are answered. stop ends all of that and waits; it may be
// called twice.
func (c *Core) Start(ctx context.Context) (stop func(), err error) {
	var ends []func()
	unserve := func() {
		for _, end := range ends {
			end()
		}
	}
	for kind, h := range map[string]handler{wire.Claim: c.claim, wire.Beat: c.beat, wire.Put: c.put, wire.End: c.end} {
		end, err := c.cfg.Bus.Serve(wire.RPC("*", kind), "coordinator", c.serve(h))
		if err != nil {
			unserve()
			return nil, fmt.Errorf("serve agents: %w", err)
		}
		ends = append(ends, end)
	}
	last, err := c.cfg.Ledger.Events().Last(ctx)
	if err != nil {
		unserve()
		return nil, fmt.Errorf("start the coordinator: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { c.announce(ctx, last) })
	loops.Go(func() { c.work(ctx, ledger.TaskJudge) })
	if c.cfg.Series != nil {
		loops.Go(func() { c.work(ctx, ledger.TaskExport) }) // apart: a verdict never waits for it
	}
	loops.Go(func() { c.look(ctx) })
	return sync.OnceFunc(func() {
		unserve()
		cancel()
		loops.Wait()
	}), nil
}

// announce publishes changed.<run> for every event that concerns a run. A failure to
// announce is nobody's loss: pages read the ledger by cursor.
func (c *Core) announce(ctx context.Context, cursor int64) {
	for {
		if err := c.cfg.Ledger.Events().Wait(ctx, cursor); err != nil {
			return // stopped, or the ledger is closed
		}
		es, err := c.cfg.Ledger.Events().After(ctx, cursor, "", 0)
		if err != nil {
			c.cfg.Log.Warn("events not read", "error", err)
			if !c.pause(ctx) {
				return
			}
			continue
		}
		told := map[string]bool{}
		for _, e := range es {
			cursor = e.ID
			if e.Run == "" || told[e.Run] {
				continue
			}
			told[e.Run] = true
			if err := c.cfg.Bus.Publish(ctx, wire.Changed(e.Run), nil); err != nil {
				c.cfg.Log.Debug("change not announced", "run", e.Run, "error", err)
			}
		}
	}
}

// pause waits for a tick; it is false when ctx ended.
func (c *Core) pause(ctx context.Context) bool {
	t := time.NewTimer(c.cfg.Tick)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// look watches beats and queues, once a tick.
func (c *Core) look(ctx context.Context) {
	for c.pause(ctx) {
		if err := c.Look(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("attempts not watched", "error", err)
		}
	}
}
