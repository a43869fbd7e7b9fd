package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/client"
)

// updateGolden writes golden files anew.
func updateGolden() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write golden files anew")
	os.Exit(m.Run())
}

// bare are dependencies that are never asked.
func bare(t *testing.T) Deps { return newWorld(t).deps }

func TestOpenAPIIsCurrent(t *testing.T) {
	got, err := OpenAPI(bare(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("openapi.json")
	if updateGolden() {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code describes: see what changed, then go test ./coordinator/api -run OpenAPI -update", path)
	}
}

// TestOpenAPIHasEveryRoute: what is served is described, what is described is served.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	engine, o, err := build(bare(t))
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{"GET " + BasePath + "/docs": false, "GET " + BasePath + "/openapi.json": false}
	for path, item := range o.Paths {
		if item.Get != nil {
			described["GET "+routeOf(path)] = true
		}
		if item.Post != nil {
			described["POST "+routeOf(path)] = true
		}
	}
	served := map[string]bool{}
	for _, r := range engine.Routes() {
		served[r.Method+" "+r.Path] = true
	}
	got, want := slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(described))
	if !slices.Equal(got, want) {
		t.Errorf("served %v\ndescribed %v", got, want)
	}
	for _, s := range o.Components.Schemas.Map() {
		if s.Properties["fix"] != nil {
			return
		}
	}
	t.Error("no schema of problems with a fix")
}

// do sends a request as it stands.
func do(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// TestRoutesRefuse gives every route what it must not take.
func TestRoutesRefuse(t *testing.T) {
	w := newWorld(t)
	done := w.measured()
	base := "http://" + w.addr
	quote := func(s string) string {
		b, err := json.Marshal(s)
		w.must(err)
		return string(b)
	}
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     []string
	}{
		{"nothing there", "GET", "/api/v1/nothing", "", 404, []string{"no route"}},
		{"method", "POST", "/api/v1/agents", "{}", 405, []string{"has no method POST"}},
		{"no JSON", "POST", "/api/v1/runs", "{", 400, []string{"fix"}},
		{"no object", "POST", "/api/v1/runs", "[]", 422, []string{"expected object"}},
		{"neither suite", "POST", "/api/v1/runs", "{}", 400, []string{"either suite (YAML) or suite_name"}},
		{"both suites", "POST", "/api/v1/runs", `{"suite":"x","suite_name":"ci"}`, 400, []string{"either suite"}},
		{"unknown suite", "POST", "/api/v1/runs", `{"suite_name":"cii"}`, 400, []string{`no suite is named \"cii\"`, "throughput"}},
		{"everything wrong", "POST", "/api/v1/runs", `{"suite_name":"ci","rounds":1000,"lane":"fast","colour":"red"}`, 422, []string{"body.rounds", "body.lane", "body.colour", "/api/docs"}},
		{"request wrong twice", "POST", "/api/v1/runs", `{"suite_name":"ci","lane":"candidate","branch":"a\nb"}`, 400, []string{"base_ref", "control characters"}},
		{
			"suite wrong twice", "POST", "/api/v1/runs", `{"suite":` + quote(strings.NewReplacer("output_rate", "output_rat", "count: 2", "count: -7").Replace(suiteText)) + `}`, 400,
			[]string{`did you mean \"output_rate\"`, "suite:10:", "suite:12:"},
		},
		{"too large", "POST", "/api/v1/runs", `{"suite":"` + strings.Repeat("x", maxBodyBytes) + `"}`, 413, []string{"over the limit"}},
		{"filter misspelt", "GET", "/api/v1/runs?brunch=main", "", 422, []string{"brunch"}},
		{"filter wrong", "GET", "/api/v1/runs?lane=fast&limit=0&state=gone", "", 422, []string{"query.lane", "query.limit", "query.state"}},
		{"no such run", "GET", "/api/v1/runs/abc", "", 404, []string{"read run abc", "not found"}},
		{"id of no run", "GET", "/api/v1/runs/a*b", "", 422, []string{"path.id"}},
		{"cancel nothing", "POST", "/api/v1/runs/abc/cancel", "{}", 404, []string{"not found"}},
		{"cancel too late", "POST", "/api/v1/runs/" + done.ID + "/cancel", "{}", 409, []string{"state has changed"}},
		{"no report", "GET", "/api/v1/runs/abc/report", "", 404, nil},
		{"no result", "GET", "/api/v1/runs/abc/result", "", 404, nil},
		{"no samples", "GET", "/api/v1/runs/abc/samples", "", 404, nil},
		{"no events", "GET", "/api/v1/runs/abc/events", "", 404, nil},
		{"cursor of events", "GET", "/api/v1/events?after=x", "", 422, []string{"query.after"}},
		{"digest", "GET", "/api/v1/series/xyz/values", "", 422, []string{"path.digest"}},
		{"no such series", "GET", "/api/v1/series/" + strings.Repeat("0", 32) + "/values", "", 404, nil},
		{"time of values", "GET", "/api/v1/series/" + strings.Repeat("0", 32) + "/values?from=yesterday", "", 422, []string{"query.from"}},
		{"limit of series", "GET", "/api/v1/series?limit=1000000", "", 422, []string{"query.limit"}},
		{"unknown parameter of agents", "GET", "/api/v1/agents?x=1", "", 422, nil},
		{"unknown parameter of health", "GET", "/api/v1/health?x=1", "", 422, nil},
		{"unknown parameter of suites", "GET", "/api/v1/suites?x=1", "", 422, nil},
		{"no such suite", "GET", "/api/v1/suites/nope", "", 404, []string{"throughput"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, body := do(t, c.method, base+c.path, c.body)
			var p Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if resp.StatusCode != c.status || p.Status != c.status || resp.Header.Get("Content-Type") != problemType || p.Fix == "" || p.Detail == "" || len(body) > 20_000 {
				t.Errorf("%d %s: %.2000s; want %d", resp.StatusCode, resp.Header.Get("Content-Type"), body, c.status)
			}
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("%.2000s\nlacks %s", body, want)
				}
			}
		})
	}
}

func TestGuard(t *testing.T) {
	w := newWorld(t)
	w.deps.Hosts = []string{"paceline.test"}
	w.stop()
	w.start("127.0.0.1:0")
	_, port, _ := strings.Cut(w.addr, ":")
	submit := `{"suite_name":"ci"}`
	for _, c := range []struct {
		name, method string
		header       []string
		status       int
	}{
		{"plain", "GET", nil, 200},
		{"localhost", "GET", []string{"Host", "LocalHost:" + port}, 200},
		{"another loopback address", "GET", []string{"Host", "127.8.8.8"}, 200},
		{"six", "GET", []string{"Host", "[::1]:" + port}, 200},
		{"a name that is allowed", "GET", []string{"Host", "paceline.test:" + port}, 200},
		{"rebound name", "GET", []string{"Host", "evil.example:" + port}, 403},
		{"rebound name that looks like ours", "GET", []string{"Host", "localhost.evil.example"}, 403},
		{"address in a name", "GET", []string{"Host", "127.0.0.1.nip.io:" + port}, 403},
		{"no loopback", "GET", []string{"Host", "10.0.0.1"}, 403},
		{"submit", "POST", nil, 202},
		{"submit from our page", "POST", []string{"Origin", "http://" + w.addr, "Sec-Fetch-Site", "same-origin"}, 202},
		{"submit from another site", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"submit from another port", "POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"submit from another origin", "POST", []string{"Origin", "http://evil.example"}, 403},
		{"submit from a sandbox", "POST", []string{"Origin", "null"}, 403},
		{"submit by a form", "POST", []string{"Content-Type", "text/plain"}, 415},
		{"submit by a form that lies", "POST", []string{"Content-Type", "text/plain; application/json"}, 415},
		{"submit with a character set", "POST", []string{"Content-Type", "application/json; charset=utf-8"}, 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, body := "http://"+w.addr+"/api/v1/runs", ""
			if c.method == "POST" {
				body = submit
			}
			resp, text := do(t, c.method, url, body, c.header...)
			if resp.StatusCode != c.status {
				t.Errorf("%d %s, want %d", resp.StatusCode, text, c.status)
			}
			for _, h := range []string{"X-Content-Type-Options", "Content-Security-Policy", "Cross-Origin-Resource-Policy"} {
				if resp.Header.Get(h) == "" {
					t.Errorf("no %s", h)
				}
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("other origins may read")
			}
		})
	}
	l, err := w.ledger.Runs().List(t.Context(), ledgerAll)
	w.must(err)
	if len(l) != 3 {
		t.Errorf("%d runs were submitted, want 3", len(l))
	}
}

// TestGuardServesThisMachineOnly: whatever address the listener has.
func TestGuardServesThisMachineOnly(t *testing.T) {
	h := Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for remote, want := range map[string]int{"127.0.0.1:5": 204, "[::1]:5": 204, "[::ffff:127.0.0.1]:5": 204, "192.0.2.1:5": 403, "[2001:db8::1]:5": 403, "": 403, "@": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = remote
		rec := newRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != want {
			t.Errorf("from %q: %d, want %d", remote, rec.Code, want)
		}
	}
}

// TestDocsPage: from the program, without scripts, and nothing from elsewhere.
func TestDocsPage(t *testing.T) {
	w := newWorld(t)
	resp, page := do(t, "GET", "http://"+w.addr+"/api/docs", "")
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	csp := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy is %s", csp)
	}
	for _, no := range []string{"<script", "http://", "https://", "//unpkg"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %s", no)
		}
	}
	for _, want := range []string{"/api/v1/runs/{id}/cancel", "Submission", "queue_for_sec", "Last-Event-ID", "server-sent events", `href="/api/openapi.json"`} {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
			t.Errorf("the page lacks %s", want)
		}
	}
	resp, spec := do(t, "GET", "http://"+w.addr+"/api/openapi.json", "")
	var o struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(spec), &o); err != nil || !strings.HasPrefix(o.OpenAPI, "3.1") || len(o.Paths) == 0 || resp.StatusCode != 200 {
		t.Errorf("%d, version %s, %d paths, %v", resp.StatusCode, o.OpenAPI, len(o.Paths), err)
	}
}

// FuzzSubmit: whatever comes, the answer is a run or a problem that says what to do.
func FuzzSubmit(f *testing.F) {
	for _, s := range []string{`{"suite_name":"ci"}`, `{"suite":"a: b"}`, `{"rounds":-1}`, `[`, `{"suite":"\u0000","labels":{"":""}}`, `{"queue_for_sec":1e300}`, `{"commit_time":"x"}`, `null`, `{"suite_name":"../ci"}`} {
		f.Add([]byte(s))
	}
	h, err := New(fuzzDeps())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &world{t: t}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/api/v1/runs", bytes.NewReader(b))
		w.must(err)
		req.RemoteAddr = "127.0.0.1:1"
		req.Header.Set("Content-Type", "application/json")
		rec := newRecorder()
		h.ServeHTTP(rec, req)
		switch {
		case rec.Code == http.StatusAccepted:
			var r client.Run
			if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
				t.Errorf("%s: %v", rec.Body, err)
			}
		case rec.Code >= 400 && rec.Code < 500:
			var p Problem
			if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.Fix == "" || p.Status != rec.Code {
				t.Errorf("%d %s: %v", rec.Code, rec.Body, err)
			}
		default:
			t.Errorf("%q gives %d %s", b, rec.Code, rec.Body)
		}
	})
}
