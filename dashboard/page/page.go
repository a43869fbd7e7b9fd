// Package page serves the dashboard: the pages, the files behind them, and the stream
// that keeps them live.
//
// Everything is rendered on the server from the ledger and the trends, through their
// interfaces; a page works without its script, with every number in a table. What a
// run's page says is dashboard/view's, which reports share; charts are
// dashboard/chart's. The state of every view is in its address.
package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/dashboard/assets"
	"github.com/paceline/paceline/dashboard/live"
)

// Deps is what the pages read through. All are kept open by the caller.
type Deps struct {
	Ledger   ledger.Ledger
	Series   series.Reader // trends
	Fallback series.Reader // read where Series fails or lags; nil: there is no other
	// Lag says how many runs wait to be exported to Series and since when the oldest
	// does. nil: Series never lags.
	Lag      func(ctx context.Context) (runs int, since time.Time, err error)
	Progress live.Progress // heard by live pages
	Assets   *assets.Set   // nil: the embedded ones are loaded
	Now      func() time.Time
	Version  string

	// Document is a run's result file.
	Document func(ctx context.Context, run string) (result.Document, error)
	// Samples calls f with every sample of a run until f fails, and gives that error,
	// which may be wrapped.
	Samples func(ctx context.Context, run string, f func(result.Sample) error) error
	// Log calls f with every line of an attempt's workers, as Samples does.
	Log func(ctx context.Context, attempt string, f func(string) error) error
	// Cancel ends a run. nil: pages have no button for it.
	Cancel func(ctx context.Context, run, reason string) error
	// Door closes the pages to who has no token. nil: they are open to who can reach them.
	Door *Door
}

// Policy is the Content-Security-Policy of every page.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// site is the handler's state.
type site struct {
	Deps
	pages pages
}

// New makes the handler of all pages. It answers every path, those it doesn't know
// with a page that helps.
func New(d Deps) (http.Handler, error) {
	if d.Ledger == nil || d.Series == nil || d.Progress == nil || d.Now == nil || d.Document == nil || d.Samples == nil || d.Log == nil {
		return nil, errors.New("make the dashboard: ledger, series, progress, clock and the readers of documents, samples and logs are needed")
	}
	if d.Assets == nil {
		set, err := assets.Load()
		if err != nil {
			return nil, fmt.Errorf("make the dashboard: %w", err)
		}
		d.Assets = set
	}
	p, err := parse()
	if err != nil {
		return nil, fmt.Errorf("make the dashboard: %w", err)
	}
	s := &site{Deps: d, pages: p}
	m := http.NewServeMux()
	m.Handle("GET "+assets.Prefix, d.Assets)
	m.HandleFunc("GET /{$}", s.page(s.overview))
	m.HandleFunc("GET /runs", s.page(s.runs))
	m.HandleFunc("GET /runs/{id}", s.runOrFile)
	m.HandleFunc("GET /runs/{id}/samples.jsonl", s.samples)
	m.HandleFunc("POST /runs/{id}/cancel", s.cancel)
	m.HandleFunc("GET /trend", s.page(s.trend))
	m.HandleFunc("GET /trend.csv", s.trendCSV)
	m.Handle("GET /live", live.Feed{Events: d.Ledger.Events(), Progress: d.Progress, Subject: "live.*"})
	m.HandleFunc("GET /runs/{id}/live", func(w http.ResponseWriter, r *http.Request) {
		run, err := d.Ledger.Runs().Get(r.Context(), r.PathValue("id")) // a subject is made only of an id that exists
		if err != nil {
			s.fail(w, r, err)
			return
		}
		live.Feed{Events: d.Ledger.Events(), Progress: d.Progress, Subject: "live." + run.ID, Run: run.ID}.ServeHTTP(w, r)
	})
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.notFound(w, r, "There is no page at "+r.URL.Path+".") })
	if d.Door != nil {
		return guard(s.closed(m)), nil
	}
	return guard(m), nil
}

// guard sets the headers that every answer has.
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", Policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.ServeHTTP(w, r)
	})
}

// cancel ends a run at a person's wish. Only a form of this site may ask: a browser
// says where a request comes from, and another site's is refused.
func (s *site) cancel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if s.Cancel == nil {
		s.notFound(w, r, "Runs can't be cancelled here: use paceline runs cancel "+id+".")
		return
	}
	if !sameOrigin(r) {
		http.Error(w, "the request does not come from this site: open the run's page and cancel it there", http.StatusForbidden)
		return
	}
	err := s.Cancel(r.Context(), id, "cancelled on its page")
	if err != nil && !errors.Is(err, ledger.ErrState) { // decided meanwhile: its page shows it
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/runs/"+url.PathEscape(id), http.StatusSeeOther)
}

// sameOrigin says whether a browser made the request for a page of this site.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && u.Host == r.Host
}
