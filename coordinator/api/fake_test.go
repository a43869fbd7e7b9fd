package api

import (
	"context"
	"net/http/httptest"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/suites/spec"
)

var ledgerAll = ledger.RunFilter{}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// broken is a coordinator and ledger whose every call gives err; without one it
// takes every suite that can be parsed.
type broken struct{ err error }

func (b broken) Submit(_ context.Context, q core.SubmitRequest) (ledger.Run, error) {
	if b.err != nil {
		return ledger.Run{}, b.err
	}
	s, err := spec.Parse("suite", []byte(q.Suite))
	if err != nil {
		return ledger.Run{}, joined{core.ErrRequest, err}
	}
	return ledger.Run{Run: result.Run{ID: "a", Suite: s.Name}}, nil
}

// joined is an error of two.
type joined []error

func (j joined) Error() string   { return j[0].Error() }
func (j joined) Unwrap() []error { return j }

func (b broken) Cancel(context.Context, string, string) (ledger.Run, error) {
	return ledger.Run{}, b.err
}

func (b broken) Report(context.Context, string) (format.Report, error) {
	return format.Report{}, b.err
}

func (b broken) Document(context.Context, string) (result.Document, error) {
	return result.Document{}, b.err
}

func (b broken) Samples(_ context.Context, _ string, f func(result.Sample) error) error {
	for range 5000 {
		if err := f(result.Sample{Round: 1}); err != nil {
			return err
		}
	}
	return b.err
}

func (b broken) Follow(context.Context, int64, string, func(ledger.Event) error) error { return b.err }
func (b broken) Live(string, func(wire.Progress)) (func(), error)                      { return func() {}, b.err }
func (b broken) Get(_ context.Context, id string) (ledger.Run, error) {
	return ledger.Run{Run: result.Run{ID: id}}, nil
}
func (b broken) List(context.Context, ledger.RunFilter) ([]ledger.Run, error) { return nil, b.err }
func (b broken) OfRun(context.Context, string) ([]ledger.Attempt, error)      { return nil, b.err }
func (b broken) Last(context.Context) (int64, error)                          { return 0, b.err }
func (b broken) Values(context.Context, ledger.ValueFilter) ([]ledger.Value, error) {
	return nil, b.err
}

func (b broken) Series(context.Context, ledger.SeriesFilter) ([]ledger.Series, error) {
	return nil, b.err
}

func (b broken) OneSeries(context.Context, string) (ledger.Series, error) {
	return ledger.Series{}, b.err
}

// agents are the broken ledger's.
type agents struct{ broken }

func (a agents) Get(_ context.Context, id string) (ledger.Agent, error) {
	return ledger.Agent{ID: id, Caller: true}, a.err
}

func (a agents) SetState(context.Context, string, []ledger.AgentState, ledger.AgentState, string) error {
	return a.err
}

func (a agents) List(context.Context) ([]ledger.Agent, error) { return nil, a.err }

// levels are the broken ledger's.
type levels struct{ broken }

func (l levels) List(context.Context) ([]baseline.Summary, error) { return nil, l.err }

func (l levels) Show(context.Context, baseline.Which) (baseline.Shown, error) {
	return baseline.Shown{}, l.err
}

func (l levels) Accept(_ context.Context, a baseline.Acceptance) (baseline.Acceptance, error) {
	return a, l.err
}
func (l levels) Pin(_ context.Context, p baseline.Pin) (baseline.Pin, error) { return p, l.err }
func (l levels) Unpin(context.Context, baseline.Pin) error                   { return l.err }

func (l levels) Export(context.Context, baseline.Which) (*baseline.File, error) {
	return &baseline.File{Branch: "main", Suite: "ci", Exported: time.Now()}, l.err
}

func (l levels) Import(context.Context, *baseline.File, string, string) (baseline.Imported, error) {
	return baseline.Imported{}, l.err
}

func brokenDeps(err error) Deps {
	b := broken{err}
	return Deps{Core: b, Runs: b, Attempts: b, Series: b, Agents: agents{b}, Events: b, Baselines: levels{b}, Now: time.Now}
}

func fuzzDeps() Deps { return brokenDeps(nil) }
