package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

// watch is what this coordinator has itself seen of beats. That an agent is lost is
// observed and never computed from a stored time: after a restart, or with a clock
// that jumps, everybody has a whole lease again.
type watch struct {
	lease time.Duration

	mu   sync.Mutex // guards what follows
	seen map[string]sighting
	last time.Time
}

type sighting struct {
	beat    uint64
	watched time.Duration // for which it was seen unchanged
}

func newWatch(lease time.Duration) *watch {
	return &watch{lease: lease, seen: map[string]sighting{}}
}

// maxGap bounds what one look may add to what was watched: a coordinator that was
// stopped, or a clock that was set, has not watched in between.
const maxGap = 5 * time.Second

// observe takes the active attempts at a moment and gives those whose beat has stayed
// the same for a lease.
func (w *watch) observe(active []ledger.Attempt, now time.Time) []ledger.Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	gap := min(max(0, now.Sub(w.last)), maxGap)
	w.last = now
	next := make(map[string]sighting, len(active))
	var silent []ledger.Attempt
	for _, a := range active {
		s, known := w.seen[a.ID]
		if !known || s.beat != a.Beat {
			s = sighting{beat: a.Beat}
		} else {
			s.watched += gap
		}
		next[a.ID] = s
		if s.watched >= w.lease {
			silent = append(silent, a)
		}
	}
	w.seen = next
	return silent
}

// Look watches once: attempts whose beats stay away become lost, and queued ones that
// nobody took in time expire. Start calls it every tick.
func (c *Core) Look(ctx context.Context) error {
	active, err := c.cfg.Ledger.Attempts().InStates(ctx, ledger.AttemptQueued, ledger.AttemptLeased, ledger.AttemptRunning, ledger.AttemptUploading)
	if err != nil {
		return fmt.Errorf("watch attempts: %w", err)
	}
	now := c.cfg.Now()
	var held []ledger.Attempt
	for _, a := range active {
		if a.State != ledger.AttemptQueued {
			held = append(held, a)
			continue
		}
		if a.Expires.IsZero() || now.Before(a.Expires) {
			continue
		}
		p := wire.Error{Class: wire.ClassMachine, Message: fmt.Sprintf("no machine took attempt %s by %s: see which agents are there, and what the attempt asks for",
			a.ID, a.Expires.Format(time.RFC3339))}
		if err := c.cfg.Ledger.Attempts().Expire(ctx, a.ID, p); err != nil && !errors.Is(err, ledger.ErrState) {
			return err
		}
	}
	for _, a := range c.watch.observe(held, now) {
		p := wire.Error{Class: wire.ClassMachine, Message: fmt.Sprintf("agent %s was not heard for %s while it held attempt %s: is the machine up?",
			a.Agent, c.cfg.Lease, a.ID)}
		err := c.cfg.Ledger.Attempts().Lose(ctx, a.ID, a.Beat, p)
		if err != nil && !errors.Is(err, ledger.ErrState) {
			return err
		}
		if err == nil {
			c.cfg.Log.Warn("attempt lost", "attempt", a.ID, "agent", a.Agent)
		}
	}
	return nil
}
