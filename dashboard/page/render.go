package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/dashboard/view"
)

//go:embed templates/*.html
var files embed.FS

// pages are the parsed templates by name.
type pages map[string]*template.Template

func parse() (pages, error) {
	base, err := view.Templates()
	if err != nil {
		return nil, err
	}
	if base, err = base.ParseFS(files, "templates/layout.html"); err != nil {
		return nil, err
	}
	out := pages{}
	for _, name := range []string{"overview", "runs", "run", "trend", "missing", "signin"} {
		t, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if out[name], err = t.ParseFS(files, "templates/"+name+".html"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Page is what the layout shows around a page.
type Page struct {
	Title   string
	Nav     string // which entry is current
	Version string
	Style   string // addresses of assets; ECharts' is empty where the build has none
	Script  string
	ECharts string
	Charts  bool   // the page has charts
	Live    string // address of its stream; empty: it doesn't move
	Banner  string
	SignOut bool // there is a token to forget
	Now     time.Time
	Main    any
}

// When is a time on a page.
func (p Page) When(t time.Time) view.When { return view.At(p.Now, t) }

// show is what a page's function gives.
type show struct {
	name   string // of its template
	status int    // 0: 200
	Page
}

// page makes a handler of a page's function.
func (s *site) page(f func(r *http.Request) (show, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := f(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.render(w, r, p)
	}
}

// render writes a page whole or not at all.
func (s *site) render(w http.ResponseWriter, r *http.Request, p show) {
	p.Version, p.Now = s.Version, s.Now()
	p.Style, p.Script, p.ECharts = s.Assets.URL("style.css"), s.Assets.URL("app.js"), s.Assets.URL("echarts.min.js")
	p.SignOut = s.Door != nil && p.name != "signin"
	var b bytes.Buffer
	if err := s.pages[p.name].ExecuteTemplate(&b, "layout", p.Page); err != nil {
		http.Error(w, fmt.Sprintf("this page could not be made: %v", err), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	if p.status != 0 {
		w.WriteHeader(p.status)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // a reader that is gone misses nothing
	}
}

// fail shows an error as a page.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ledger.ErrNotFound) {
		s.notFound(w, r, err.Error()+".")
		return
	}
	s.render(w, r, show{name: "missing", status: http.StatusInternalServerError, Page: Page{
		Title: "Something is wrong", Main: trouble{Heading: "This page could not be read", Detail: err.Error()},
	}})
}

// trouble is a page that says what is wrong and what to do.
type trouble struct{ Heading, Detail string }

func (s *site) notFound(w http.ResponseWriter, r *http.Request, detail string) {
	s.render(w, r, show{name: "missing", status: http.StatusNotFound, Page: Page{
		Title: "Not found", Main: trouble{Heading: "Not found", Detail: detail},
	}})
}
