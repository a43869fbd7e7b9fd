package main

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/coordinator/level"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/judge/baseline"
)

// levels are the baselines of a data folder, wherever its owner is.
type levels interface {
	List(ctx context.Context) ([]baseline.Summary, error)
	Show(ctx context.Context, w baseline.Which) (baseline.Shown, error)
	Accept(ctx context.Context, a baseline.Acceptance) (baseline.Acceptance, error)
	Pin(ctx context.Context, p baseline.Pin) (baseline.Pin, error)
	Unpin(ctx context.Context, p baseline.Pin) error
	Export(ctx context.Context, w baseline.Which) (*baseline.File, error)
	Import(ctx context.Context, f *baseline.File, by, from string) (baseline.Imported, error)
}

var (
	_ levels = (*level.Store)(nil)
	_ levels = remoteLevels{}
)

// remoteLevels are those of a coordinator in another process.
type remoteLevels struct{ c *client.Client }

func (r remoteLevels) List(ctx context.Context) ([]baseline.Summary, error) {
	return r.c.Baselines(ctx)
}

func (r remoteLevels) Show(ctx context.Context, w baseline.Which) (baseline.Shown, error) {
	return r.c.Baseline(ctx, w)
}

func (r remoteLevels) Accept(ctx context.Context, a baseline.Acceptance) (baseline.Acceptance, error) {
	return r.c.AcceptBaseline(ctx, a)
}

func (r remoteLevels) Pin(ctx context.Context, p baseline.Pin) (baseline.Pin, error) {
	return r.c.PinBaseline(ctx, p)
}

func (r remoteLevels) Unpin(ctx context.Context, p baseline.Pin) error {
	return r.c.UnpinBaseline(ctx, p)
}

func (r remoteLevels) Export(ctx context.Context, w baseline.Which) (*baseline.File, error) {
	return r.c.ExportBaseline(ctx, w)
}

func (r remoteLevels) Import(ctx context.Context, f *baseline.File, by, from string) (baseline.Imported, error) {
	return r.c.ImportBaseline(ctx, f, by, from)
}

// withLevels calls f with the levels of a data folder. Only with make is a folder made
// that isn't there.
func withLevels(ctx context.Context, f *levelFlags, makeIt bool, do func(levels) error) error {
	if f.elsewhere(f.data) {
		c, err := f.dial(nil)
		if err != nil {
			return err
		}
		return askLevels(c, do)
	}
	path := f.data
	if path == "" {
		var err error
		if path, err = datadir.Default(); err != nil {
			return fail(exitRequest, "%w", err)
		}
	}
	if !makeIt && !isFolder(path) {
		return fail(exitRequest, "there is no data folder at %s: nothing was measured there yet; name another with --data DIR", path)
	}
	dir, err := datadir.Open(path, datadir.Owner{PID: os.Getpid(), Command: "baseline", Since: now()})
	var held *datadir.HeldError
	if errors.As(err, &held) && held.Owner.URL != "" {
		c, err := reachOwner(held.Owner)
		if err != nil {
			return err
		}
		return askLevels(c, do)
	}
	if err != nil {
		return fail(exitRequest, "%w", err)
	}
	defer func() { _ = dir.Close() }()
	l, err := sqlite.Open(ctx, dir.Ledger(), time.Now)
	if err != nil {
		return fail(exitMachine, "%w", err)
	}
	err = do(level.New(l, time.Now, version))
	if cerr := l.Close(); err == nil && cerr != nil {
		return fail(exitMachine, "%w", cerr)
	}
	if errors.Is(err, level.ErrRequest) || errors.Is(err, baseline.ErrNotFile) {
		return withCode(err, exitRequest)
	}
	if err != nil {
		return withCode(err, exitMachine)
	}
	return nil
}

// askLevels works on the levels of a coordinator in another process.
func askLevels(c *client.Client, do func(levels) error) error {
	if err := do(remoteLevels{c}); err != nil {
		return withCode(err, remoteCode(err))
	}
	return nil
}

// withCode gives an error its exit code, unless it has one.
func withCode(err error, code int) error {
	var exit *exitError
	if errors.As(err, &exit) {
		return err
	}
	return &exitError{code: code, err: err}
}

// whoami is who decides, for the audit log: the user of this machine.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}
