package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

// ErrStop ends Samples and Log early without an error.
var ErrStop = errors.New("stop")

// Wait returns the run once it is decided or cancelled.
func (c *Core) Wait(ctx context.Context, run string) (ledger.Run, error) {
	for {
		last, err := c.cfg.Ledger.Events().Last(ctx)
		if err != nil {
			return ledger.Run{}, err
		}
		r, err := c.cfg.Ledger.Runs().Get(ctx, run)
		if err != nil || r.State.Terminal() {
			return r, err
		}
		if err := c.cfg.Ledger.Events().Wait(ctx, last); err != nil {
			return r, err
		}
	}
}

// Follow calls f with every event after the cursor, of one run or, if run is empty,
// of all, until ctx ends or f fails.
func (c *Core) Follow(ctx context.Context, cursor int64, run string, f func(ledger.Event) error) error {
	for {
		last, err := c.cfg.Ledger.Events().Last(ctx)
		if err != nil {
			return err
		}
		es, err := c.cfg.Ledger.Events().After(ctx, cursor, run, 0)
		if err != nil {
			return err
		}
		for _, e := range es {
			cursor = e.ID
			if err := f(e); err != nil {
				return err
			}
		}
		if len(es) > 0 {
			continue
		}
		cursor = max(cursor, last) // events up to there are of other runs
		if err := c.cfg.Ledger.Events().Wait(ctx, cursor); err != nil {
			return err
		}
	}
}

// Live calls f with a run's progress as it is published, from one goroutine. It is
// for people who look on: nothing of it is stored, and some may be lost.
func (c *Core) Live(run string, f func(wire.Progress)) (stop func(), err error) {
	return c.cfg.Bus.Subscribe(wire.Live(run), func(_ string, data []byte) {
		var p wire.Progress
		if err := json.Unmarshal(data, &p); err != nil {
			c.cfg.Log.Debug("progress not read", "run", run, "error", err)
			return
		}
		f(p)
	})
}

// Samples calls f with every sample of a run as far as it is delivered, attempt by
// attempt in order of arrival. They are decoded as they are read.
func (c *Core) Samples(ctx context.Context, run string, f func(result.Sample) error) error {
	as, err := c.cfg.Ledger.Attempts().OfRun(ctx, run)
	if err != nil {
		return err
	}
	for _, a := range as {
		if err := each(ctx, c.cfg.Ledger, a.ID, wire.StreamSamples, f); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return fmt.Errorf("read samples of attempt %s: %w", a.ID, err)
		}
	}
	return nil
}

// Log calls f with every line that the workers of an attempt wrote.
func (c *Core) Log(ctx context.Context, attempt string, f func(string) error) error {
	if err := each(ctx, c.cfg.Ledger, attempt, wire.StreamLog, f); err != nil && !errors.Is(err, ErrStop) {
		return fmt.Errorf("read the log of attempt %s: %w", attempt, err)
	}
	return nil
}

// each decodes the records of a stream.
func each[T any](ctx context.Context, l ledger.Ledger, attempt, stream string, f func(T) error) error {
	return l.Batches().Each(ctx, attempt, stream, func(seq uint64, body []byte) error {
		records, err := wire.DecodeBody(body)
		if err != nil {
			return fmt.Errorf("batch %d: %w", seq, err)
		}
		for i, rec := range records {
			var v T
			if err := json.Unmarshal(rec, &v); err != nil {
				return fmt.Errorf("batch %d, record %d: %w", seq, i+1, err)
			}
			if err := f(v); err != nil {
				return err
			}
		}
		return nil
	})
}

// Document is the result file of a run: the run, its rounds, and the report
// (judge/format.Report) where it is decided.
func (c *Core) Document(ctx context.Context, run string) (result.Document, error) {
	r, err := c.cfg.Ledger.Runs().Get(ctx, run)
	if err != nil {
		return result.Document{}, err
	}
	d := result.Document{Schema: result.SchemaVersion, Run: r.Run}
	rounds, err := c.cfg.Ledger.Rounds().OfRun(ctx, run)
	if err != nil {
		return d, err
	}
	for _, x := range rounds {
		d.Rounds = append(d.Rounds, x.Round)
	}
	if r.State != ledger.RunDecided {
		return d, nil
	}
	d.Verdict, err = c.Report(ctx, run)
	return d, err
}
