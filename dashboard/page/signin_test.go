package page_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/paceline/paceline/dashboard/page"
)

// door knows a token that reads and one that may change things.
func door() *page.Door {
	return &page.Door{Secure: true, Enter: func(_ context.Context, token string, change bool) error {
		switch {
		case token == "all" || token == "reads" && !change:
			return nil
		case token == "reads":
			return errors.New(`its scope is "read" <only>`)
		}
		return errors.New("the token is not known here")
	}}
}

// browser asks as a person's browser does.
func (w *world) browser(method, path, token string, form url.Values) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "paceline_token", Value: token})
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

func TestDoorIsClosed(t *testing.T) {
	w := newWorldBehind(t, door())
	w.fill()
	for _, path := range []string{"/", "/runs", "/runs/slow-2f81", "/runs/slow-2f81.json", "/runs/slow-2f81/samples.jsonl", "/trend", "/trend.csv", "/live", "/runs/slow-2f81/live", "/nowhere"} {
		for _, token := range []string{"", "wrong"} {
			rec := w.browser(http.MethodGet, path, token, nil)
			if rec.Code != http.StatusUnauthorized || strings.Contains(rec.Body.String(), "29.9") || !strings.Contains(rec.Body.String(), "token create") {
				t.Errorf("%s with %q: %d %.200s", path, token, rec.Code, rec.Body)
			}
		}
	}
	if rec := w.browser(http.MethodGet, "/runs/slow-2f81", "reads", nil); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "sign out") {
		t.Errorf("with a token: %d", rec.Code)
	}
	// A script gets no page to fill in.
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/runs", nil))
	if rec.Code != http.StatusUnauthorized || strings.Contains(rec.Body.String(), "<form") {
		t.Errorf("a script: %d %.100s", rec.Code, rec.Body)
	}
}

func TestSignInAndOut(t *testing.T) {
	w := newWorldBehind(t, door())
	w.fill()
	rec := w.browser(http.MethodPost, "/signin", "", url.Values{"token": {" reads\n"}, "next": {"/runs?suite=ci"}})
	c := rec.Result().Cookies()
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/runs?suite=ci" || len(c) != 1 || c[0].Value != "reads" ||
		!c[0].HttpOnly || !c[0].Secure || c[0].SameSite != http.SameSiteLaxMode {
		t.Errorf("%d to %q, cookies %v", rec.Code, rec.Header().Get("Location"), c)
	}
	rec = w.browser(http.MethodPost, "/signin", "", url.Values{"token": {"wrong"}, "next": {"/runs"}})
	if rec.Code != http.StatusUnauthorized || len(rec.Result().Cookies()) != 0 || !strings.Contains(rec.Body.String(), "not known here") || !strings.Contains(rec.Body.String(), `value="/runs"`) {
		t.Errorf("a wrong token: %d %.300s", rec.Code, rec.Body)
	}
	if rec = w.browser(http.MethodPost, "/signin", "", url.Values{"token": {strings.Repeat("x", 1<<20)}}); rec.Code != http.StatusBadRequest {
		t.Errorf("a form of a megabyte: %d", rec.Code)
	}
	rec = w.browser(http.MethodPost, "/signout", "reads", url.Values{})
	if c := rec.Result().Cookies(); rec.Code != http.StatusSeeOther || len(c) != 1 || c[0].MaxAge >= 0 || c[0].Value != "" {
		t.Errorf("signing out: %d, %v", rec.Code, c)
	}
}

func TestReadersMayNotCancel(t *testing.T) {
	w := newWorldBehind(t, door())
	w.running("live-1")
	if rec := w.browser(http.MethodPost, "/runs/live-1/cancel", "reads", url.Values{}); rec.Code != http.StatusUnauthorized || !strings.Contains(rec.Body.String(), `its scope is "read"`) {
		t.Errorf("a reader cancels: %d %s", rec.Code, rec.Body)
	}
	if rec := w.browser(http.MethodPost, "/runs/live-1/cancel", "all", url.Values{}); rec.Code != http.StatusSeeOther {
		t.Errorf("who may cancel: %d %s", rec.Code, rec.Body)
	}
}

// TestNoSpringboard: signing in leads to this site only.
func TestNoSpringboard(t *testing.T) {
	w := newWorldBehind(t, door())
	for _, next := range []string{"https://elsewhere.example/", "//elsewhere.example/", "/\\elsewhere.example", "javascript:alert(1)", "", "/signin", "runs", "/%2f/elsewhere.example", "\t//elsewhere.example"} {
		rec := w.browser(http.MethodPost, "/signin", "", url.Values{"token": {"reads"}, "next": {next}})
		to, err := url.Parse(rec.Header().Get("Location"))
		if err != nil || to.Host != "" || to.Scheme != "" || strings.HasPrefix(rec.Header().Get("Location"), "//") {
			t.Errorf("next=%q leads to %q", next, rec.Header().Get("Location"))
		}
	}
}
