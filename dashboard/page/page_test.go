package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/paceline/paceline/coordinator/ledger"
)

func (w *world) get(path string) (int, string) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil))
	if csp := rec.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		w.t.Errorf("%s: policy %q", path, csp)
	}
	return rec.Code, rec.Body.String()
}

// address finds the first link that begins so.
func address(t *testing.T, body, begin string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `href="`+begin)
	if !ok {
		t.Fatalf("no link to %s", begin)
	}
	end, _, _ := strings.Cut(rest, `"`)
	return begin + strings.ReplaceAll(end, "&amp;", "&")
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.running("live-1")
	_, first := w.get("/")
	trend := address(t, first, "/trend?series=")
	for _, c := range []struct {
		name, path string
		code       int
		has        []string
	}{
		{"overview", "/", 200, []string{"1 regression", "−23.", "worse", "≥ ", "29.9 tok/s", "<polyline", "fault-injected", "robot-stories"}},
		{"overview, filtered to nothing", "/?branch=other", 200, []string{"No series fits"}},
		{"runs", "/runs", 200, []string{"slow-2f81", "▼ fail", "exit 1", "◌ running", "fault: slow=1.43"}},
		{"runs, filtered to nothing", "/runs?suite=none", 200, []string{"fits these filters"}},
		{"run", "/runs/slow-2f81", 200, []string{"▼ fail", "exit 1", "29.9 tok/s", "(10)", "z ", "3 rounds", "noise of logs", "kernel", "6.12.1", "6.12.0", "paceline run ci --seed 7", "first 200 of 230", "&lt;ready&gt;", "data-ended", "run base-10"}},
		{"run that moves", "/runs/live-1", 200, []string{`data-live="/runs/live-1/live"`, "◌ running", "cancel this run", "No verdict yet"}},
		{"trend", trend, 200, []string{"data-option", "trend-option", "fails below", "Candle adapter", "slow-2f81", "llama.cpp 20–40 tok/s"}},
		{"trend, logarithmic", trend + "&y=log&from=zero", 200, []string{`"type":"log"`, "logarithmic ✓"}},
		{"trends", "/trend", 200, []string{"output_rate", "ttft.p50"}},
		{"csv", strings.Replace(trend, "/trend?", "/trend.csv?", 1), 200, []string{"time,value,spread,unit", "29.9,", "tok/s"}},
		{"document", "/runs/slow-2f81.json", 200, []string{`"schema": 1`, "slow-2f81"}},
		{"samples", "/runs/slow-2f81/samples.jsonl", 200, []string{`"events_ns"`}},
		{"unknown run", "/runs/nobody", 404, []string{"Not found", `href="/runs"`}},
		{"unknown series", "/trend?series=00", 404, []string{"Not found"}},
		{"unknown page", "/nowhere", 404, []string{"There is no page at /nowhere"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, body := w.get(c.path)
			if code != c.code {
				t.Fatalf("status %d, want %d: %.600s", code, c.code, body)
			}
			for _, h := range c.has {
				if !strings.Contains(body, h) {
					t.Errorf("%s lacks %q", c.path, h)
				}
			}
			for _, bad := range []string{" style=\"", "<script>", "onclick", "ZgotmplZ", "<no value>", "%!"} {
				if strings.Contains(body, bad) {
					t.Errorf("%s has %q", c.path, bad)
				}
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	w := newWorld(t)
	for path, has := range map[string]string{"/": "paceline run ci", "/runs": "paceline run ci", "/trend": "paceline run ci"} {
		if code, body := w.get(path); code != 200 || !strings.Contains(body, has) {
			t.Errorf("%s: status %d, lacks %q", path, code, has)
		}
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	w.running("live-1")
	post := func(site string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/runs/live-1/cancel", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		return rec.Code
	}
	state := func() ledger.RunState {
		r, err := w.ledger.Runs().Get(t.Context(), "live-1")
		w.must(err)
		return r.State
	}
	if code := post("cross-site"); code != http.StatusForbidden || state() != ledger.RunOpen {
		t.Errorf("from another site: status %d, the run is %s", code, state())
	}
	if code := post("same-origin"); code != http.StatusSeeOther || state() != ledger.RunCancelled {
		t.Errorf("from this site: status %d, the run is %s", code, state())
	}
}
