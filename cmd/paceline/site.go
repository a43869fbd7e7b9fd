package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/paceline/paceline/coordinator/api"
	"github.com/paceline/paceline/coordinator/level"
	"github.com/paceline/paceline/coordinator/series/sql"
	"github.com/paceline/paceline/dashboard/page"
)

// serve starts the pages and the API on a listener; end stops them.
func (l *local) serve(ln net.Listener, log *slog.Logger) (end func(), err error) {
	deps := api.From(l.core, l.ledger)
	deps.Version, deps.Log = version, log
	deps.Baselines = level.New(l.ledger, time.Now, version)
	routes, err := api.New(deps)
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	pages, err := page.New(l.pages())
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(api.BasePath+"/", routes)
	mux.Handle("/", api.Guard(pages))
	return startServer(ln, api.Server(mux)), nil
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
