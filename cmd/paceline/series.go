package main

import (
	"context"
	"os"

	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/coordinator/series/influx"
)

// influxToken names the environment variable that holds InfluxDB's token: flags are
// seen by everybody on the machine.
const influxToken = "PACELINE_INFLUX_TOKEN"

// openSeries opens the store that trends are exported to, where one is wanted.
func (l *local) openSeries(_ context.Context, address string) (series.Writer, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // no store is a choice
	}
	cfg, err := influx.ParseAddress(address)
	if err != nil {
		return nil, fail(exitRequest, "--series: %w", err)
	}
	if cfg.Token = os.Getenv(influxToken); cfg.Token == "" {
		return nil, fail(exitRequest, "--series %s: the token is missing: put it into %s", address, influxToken)
	}
	store, err := influx.New(cfg)
	if err != nil {
		return nil, fail(exitRequest, "--series: %w", err)
	}
	l.onClose(func() { _ = store.Close() })
	l.trends = store
	return store, nil
}
