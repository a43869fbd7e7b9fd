package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/api"
	"github.com/paceline/paceline/coordinator/level"
	"github.com/paceline/paceline/coordinator/series/sql"
	"github.com/paceline/paceline/dashboard/page"
)

// siteOptions say who may see and ask what.
type siteOptions struct {
	log   *slog.Logger
	tls   *tls.Config   // nil: connections are not encrypted
	doors *access.Doors // nil: this machine only, without tokens
	fleet *api.Fleet    // nil: no machine comes in from elsewhere
}

// serve starts the pages and the API on a listener; end stops them.
func (l *local) serve(ln net.Listener, o siteOptions) (end func(), err error) {
	deps := api.From(l.core, l.ledger)
	deps.Version, deps.Log, deps.Doors, deps.Fleet = version, o.log, o.doors, o.fleet
	deps.Baselines = level.New(l.ledger, time.Now, version)
	routes, err := api.New(deps)
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	shown, fence := l.pages(), func(h http.Handler) http.Handler { return api.Guard(h) }
	if o.doors != nil {
		shown.Door, fence = &page.Door{Enter: enterPages(o.doors), Secure: o.tls != nil}, api.Fence
	}
	pages, err := page.New(shown)
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(api.BasePath+"/", routes)
	mux.Handle("/", fence(pages))
	server := api.Server(mux)
	server.TLSConfig = o.tls
	return startServer(ln, server), nil
}

// enterPages lets readers see pages, and change things where they may.
func enterPages(doors *access.Doors) func(context.Context, string, bool) error {
	return func(ctx context.Context, token string, change bool) error {
		need := access.Read
		if change {
			need = access.Submit
		}
		_, err := doors.Enter(ctx, token, need)
		return err
	}
}

// pages is what the dashboard reads: trends from InfluxDB where there is one, else and
// while that lags from the ledger's own tables.
func (l *local) pages() page.Deps {
	own := sql.New(l.ledger.ReadDB())
	deps := page.Deps{
		Ledger: l.ledger, Series: own, Progress: l.bus, Now: time.Now, Version: version,
		Document: l.core.Document, Samples: l.core.Samples, Log: l.core.Log,
		Cancel: func(ctx context.Context, run, reason string) error {
			_, err := l.core.Cancel(ctx, run, reason)
			return err
		},
	}
	if l.trends != nil {
		deps.Series, deps.Fallback, deps.Lag = l.trends, own, l.core.ExportLag
	}
	return deps
}
