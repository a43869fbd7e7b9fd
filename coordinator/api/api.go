// Package api is the coordinator's HTTP API, version 1: one description of every
// route gives the handlers, the validation of what comes in, and OpenAPI 3.1.
//
// It decides nothing: runs are coordinator/core's, rows coordinator/ledger's, who may
// do what is coordinator/access's, and the pages are dashboard's. A server without
// tokens serves its own machine only (Guard). The typed client of this API is package client.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/level"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/format"
)

// Prefix is where version 1 lies; BasePath is above every version and has the
// OpenAPI document and the page that shows it.
const (
	BasePath = "/api"
	Prefix   = BasePath + "/v1"
)

// Coordinator does what requests ask for; coordinator/core's Core is one.
type Coordinator interface {
	Submit(ctx context.Context, q core.SubmitRequest) (ledger.Run, error)
	Cancel(ctx context.Context, run, reason string) (ledger.Run, error)
	Report(ctx context.Context, run string) (format.Report, error)
	Document(ctx context.Context, run string) (result.Document, error)
	Samples(ctx context.Context, run string, f func(result.Sample) error) error
	Follow(ctx context.Context, cursor int64, run string, f func(ledger.Event) error) error
	Live(run string, f func(wire.Progress)) (stop func(), err error)
}

// Runs reads runs.
type Runs interface {
	Get(ctx context.Context, id string) (ledger.Run, error)
	List(ctx context.Context, f ledger.RunFilter) ([]ledger.Run, error)
}

// Attempts reads a run's attempts.
type Attempts interface {
	OfRun(ctx context.Context, run string) ([]ledger.Attempt, error)
}

// Series reads series and their values.
type Series interface {
	Values(ctx context.Context, f ledger.ValueFilter) ([]ledger.Value, error)
	Series(ctx context.Context, f ledger.SeriesFilter) ([]ledger.Series, error)
	OneSeries(ctx context.Context, digest string) (ledger.Series, error)
}

// Agents reads agents, and lets calling machines go.
type Agents interface {
	Get(ctx context.Context, id string) (ledger.Agent, error)
	List(ctx context.Context) ([]ledger.Agent, error)
	SetState(ctx context.Context, id string, from []ledger.AgentState, to ledger.AgentState, reason string) error
}

// Events says how far the log of changes reaches.
type Events interface {
	Last(ctx context.Context) (int64, error)
}

// Deps is what the API stands on. All but Log and Hosts are needed.
type Deps struct {
	Core      Coordinator
	Runs      Runs
	Attempts  Attempts
	Series    Series
	Agents    Agents
	Events    Events
	Baselines Baselines
	Now       func() time.Time
	Version   string       // of the program, shown by health
	Log       *slog.Logger // nil: discarded
	Hosts     []string     // names besides the loopback's under which the server may be addressed

	// Doors checks tokens. nil: the server has none and serves its own machine only.
	Doors *access.Doors
	// Fleet lets machines in from elsewhere. nil: none can come.
	Fleet *Fleet
}

// From takes what the API needs of a coordinator and its ledger.
func From(c Coordinator, l ledger.Ledger) Deps {
	return Deps{
		Core: c, Runs: l.Runs(), Attempts: l.Attempts(), Series: l.Rounds(), Agents: l.Agents(), Events: l.Events(), Now: time.Now,
		Baselines: level.New(l, time.Now, ""),
	}
}

// api is the state behind the handlers.
type api struct {
	Deps
	streams   chan struct{} // one token for each open stream
	heartbeat time.Duration // between comments on a stream that has nothing to say
}

// New makes the handler of everything below BasePath. It guards itself: see Guard.
func New(d Deps) (http.Handler, error) {
	engine, _, err := build(d)
	if err != nil {
		return nil, err
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Doors != nil {
		return recovered(d.Log, Fence(engine)), nil
	}
	return recovered(d.Log, Guard(engine, d.Hosts...)), nil
}

// build makes the routes and their description.
func build(d Deps) (*gin.Engine, *huma.OpenAPI, error) {
	if d.Core == nil || d.Runs == nil || d.Attempts == nil || d.Series == nil || d.Agents == nil || d.Events == nil || d.Baselines == nil || d.Now == nil {
		return nil, nil, errors.New("make the API: coordinator, runs, attempts, series, agents, events, baselines and clock are needed")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	a := &api{Deps: d, streams: make(chan struct{}, maxStreams), heartbeat: 15 * time.Second}
	gin.SetMode(gin.ReleaseMode) // else it writes its routes to standard output
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.ContextWithFallback = true
	if err := engine.SetTrustedProxies(nil); err != nil {
		return nil, nil, fmt.Errorf("make the API: %w", err)
	}
	engine.NoRoute(func(c *gin.Context) {
		writeProblem(c.Writer, newProblem(http.StatusNotFound, fmt.Sprintf("no route %s %s", c.Request.Method, c.Request.URL.Path), "see "+BasePath+"/docs for the routes"))
	})
	engine.NoMethod(func(c *gin.Context) {
		writeProblem(c.Writer, newProblem(http.StatusMethodNotAllowed, fmt.Sprintf("%s has no method %s", c.Request.URL.Path, c.Request.Method), "see "+BasePath+"/docs for the routes"))
	})
	h := humagin.New(engine, a.config())
	h.UseMiddleware(a.enter)
	a.health(h)
	a.runs(h)
	a.evidence(h)
	a.events(h)
	a.series(h)
	a.fleet(h)
	a.enrolment(h)
	a.tokens(h)
	a.baselines(h)
	mend(h.OpenAPI())
	if err := document(engine, h.OpenAPI()); err != nil {
		return nil, nil, err
	}
	return engine, h.OpenAPI(), nil
}
