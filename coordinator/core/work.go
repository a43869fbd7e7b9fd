package core

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
)

// taskLease is how long a coordinator may take for a task before another one does it.
const taskLease = time.Minute

// work does tasks of a kind as they fall due. It ends with ctx.
func (c *Core) work(ctx context.Context, kind string) {
	for ctx.Err() == nil {
		last, err := c.cfg.Ledger.Events().Last(ctx)
		if err == nil {
			var did bool
			if did, err = c.Do(ctx, kind); did && err == nil {
				continue
			}
		}
		if err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("task not done", "kind", kind, "error", err)
		}
		// A task comes with an event; one that was put off falls due by itself.
		wait, cancel := context.WithTimeout(ctx, c.cfg.Tick)
		if err == nil {
			err = c.cfg.Ledger.Events().Wait(wait, last)
		}
		if err != nil {
			<-wait.Done()
		}
		cancel()
	}
}

// Do claims one task of a kind that is due and does it; did is false where none is.
// A task that fails is put off.
func (c *Core) Do(ctx context.Context, kind string) (did bool, err error) {
	t, ok, err := c.cfg.Ledger.Tasks().Claim(ctx, []string{kind}, taskLease)
	if err != nil || !ok {
		return false, err
	}
	switch kind {
	case ledger.TaskJudge:
		err = c.judge(ctx, t.Key)
	case ledger.TaskExport:
		err = c.export(ctx, t.Key)
	default:
		err = fmt.Errorf("a task of kind %q is not this program's", kind)
	}
	if err == nil {
		return true, c.cfg.Ledger.Tasks().Done(ctx, t)
	}
	if ctx.Err() != nil { // stopped in the middle: the next life takes it up at once
		if lerr := c.cfg.Ledger.Tasks().Later(context.WithoutCancel(ctx), t, t.Due, "interrupted"); lerr != nil {
			err = errors.Join(err, lerr)
		}
		return true, err
	}
	due := c.cfg.Now().Add(c.backoff(t.Tries, err))
	if lerr := c.cfg.Ledger.Tasks().Later(ctx, t, due, err.Error()); lerr != nil {
		return true, errors.Join(err, lerr)
	}
	return true, fmt.Errorf("%s %s, next try at %s: %w", t.Kind, t.Key, due.Format(time.RFC3339), err)
}

// Limits of the back-off.
const (
	firstWait = time.Second
	longest   = time.Minute
)

// backoff is what a store asks for, or else a random time below 1 s doubled with
// every try, up to a minute.
func (c *Core) backoff(tries int, err error) time.Duration {
	var r *series.RetryError
	if errors.As(err, &r) {
		return max(r.After, firstWait)
	}
	top := min(longest, firstWait<<min(tries, 10))
	var b [8]byte
	if _, err := io.ReadFull(c.cfg.Rand, b[:]); err != nil {
		return top
	}
	return firstWait/2 + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(top))
}

// exportGroup is how many points one write takes.
const exportGroup = 5000

// export writes every value of a run's rounds to the series store. Doing it again
// writes the same points.
func (c *Core) export(ctx context.Context, run string) error {
	rounds, err := c.cfg.Ledger.Rounds().OfRun(ctx, run)
	if err != nil {
		return err
	}
	known := map[string]ledger.Series{}
	var points []series.Point
	for _, r := range rounds {
		vs, err := c.cfg.Ledger.Rounds().ValuesOf(ctx, r.ID)
		if err != nil {
			return err
		}
		for _, v := range vs {
			s, ok := known[v.Series]
			if !ok {
				if s, err = c.cfg.Ledger.Rounds().OneSeries(ctx, v.Series); err != nil {
					return err
				}
				known[v.Series] = s
			}
			points = append(points, series.FromLedger(s, v))
		}
	}
	for len(points) > 0 {
		n := min(len(points), exportGroup)
		if err := c.writePoints(ctx, points[:n]); err != nil {
			return fmt.Errorf("export run %s: %w", run, err)
		}
		points = points[n:]
	}
	return nil
}

// writePoints writes a group; of one that is refused it finds the points at fault by
// halves, leaves them out and says so in the audit log.
func (c *Core) writePoints(ctx context.Context, ps []series.Point) error {
	err := c.cfg.Series.Write(ctx, ps)
	if !errors.Is(err, series.ErrRejected) {
		return err
	}
	if len(ps) == 1 {
		c.cfg.Log.Error("point left out of the trends", "series", ps[0].Series, "round", ps[0].Round, "error", err)
		return c.cfg.Ledger.Audit().Add(ctx, ledger.AuditEntry{
			Who: "coordinator", Action: "export.quarantine", Object: ps[0].Series + " " + ps[0].Round, Detail: err.Error(),
		})
	}
	return errors.Join(c.writePoints(ctx, ps[:len(ps)/2]), c.writePoints(ctx, ps[len(ps)/2:]))
}

// ExportLag says how many runs wait to be exported, and since when the oldest has
// been due: zero if none waits, or where nothing is exported.
func (c *Core) ExportLag(ctx context.Context) (runs int, oldest time.Time, err error) {
	if c.cfg.Series == nil {
		return 0, time.Time{}, nil
	}
	return c.cfg.Ledger.Tasks().Count(ctx, ledger.TaskExport)
}
