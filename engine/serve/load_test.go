//go:build native

package serve

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/engine"
)

// slow is an engine whose every step takes 10 ms longer, so that requests are still under way when
// something happens to them.
func slow(t *testing.T) *engine.Engine {
	t.Helper()
	return robots(t, engine.Options{MaxContext: 1024, Faults: []engine.Fault{{Kind: engine.FaultStall, Factor: 0.01, Every: 1}}})
}

const long = `{"prompt":"Once","max_tokens":1000,"ignore_eos":true,"stream":true}`

// begin starts a request and reads its first line.
func begin(t *testing.T, ctx context.Context, url string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions", strings.NewReader(long))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); resp.StatusCode != 200 || err != nil || !strings.HasPrefix(line, "data: ") {
		t.Fatalf("%d %q %v", resp.StatusCode, line, err)
	}
	return resp, in
}

// TestDisconnectAndQueue: a server that is full says when to come back, and a client that hangs
// up makes room: its request ends in the engine, long before its last token.
func TestDisconnectAndQueue(t *testing.T) {
	e := slow(t)
	s, err := New(e, Options{Name: "robots", MaxRequests: 1})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 8)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		done <- struct{}{}
	}))
	defer h.Close()
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	begin(t, ctx, h.URL)

	resp, err := http.Post(h.URL+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "queue_full") {
		t.Errorf("a request too many: %d, Retry-After %q, %s", resp.StatusCode, resp.Header.Get("Retry-After"), body)
	}
	<-done

	hangUp()
	<-done // the first request's handler: its place is free
	st := e.Stats()
	if st.Cancelled != 1 || st.PagesUsed != 0 {
		t.Errorf("after the client hung up: %+v, want 1 request cancelled and no page in use", st)
	}
	if st.OutputTokens > 500 {
		t.Errorf("%d tokens were made for a client that read one and hung up", st.OutputTokens)
	}
	resp, err = http.Post(h.URL+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"a","max_tokens":2}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the next request: %d", resp.StatusCode)
	}
	if after := e.Stats(); after.OutputTokens > st.OutputTokens+2 {
		t.Errorf("%d tokens after the cancelled request's %d and 2 more: it went on", after.OutputTokens, st.OutputTokens)
	}
}

// TestTogether: requests at once get what each gets alone, and leave nothing behind.
func TestTogether(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	ask := func(i int) string {
		return `{"prompt":"Once upon","max_tokens":24,"seed":` + string(rune('0'+i)) + `}`
	}
	var want [8]string
	for i := range want {
		want[i] = text(s.whole("/v1/completions", ask(i)))
	}
	var wg sync.WaitGroup
	for range 4 {
		for i := range want {
			wg.Go(func() {
				resp, err := http.Post(s.url+"/v1/completions", "application/json", strings.NewReader(ask(i)))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if quoted, _ := encode(want[i]); err != nil || !strings.Contains(string(b), strings.TrimSpace(string(quoted))) {
					t.Errorf("together %s, alone %q", b, want[i])
				}
			})
		}
	}
	wg.Wait()
	if st := s.engine.Stats(); st.PagesUsed != 0 || st.Requests != 40 || s.places.used.Load() != 0 {
		t.Errorf("%+v, %d places taken", st, s.places.used.Load())
	}
}

// TestShutdown: requests under way end by themselves while there is time, and are cut off
// after it.
func TestShutdown(t *testing.T) {
	for name, c := range map[string]struct {
		drain time.Duration
		cut   bool
	}{"lets them end": {time.Minute, false}, "cuts them off": {0, true}} {
		t.Run(name, func(t *testing.T) {
			e := robots(t, engine.Options{MaxContext: 128, Faults: []engine.Fault{{Kind: engine.FaultStall, Factor: 0.01, Every: 1}}})
			s, err := New(e, Options{Name: "robots"})
			if err != nil {
				t.Fatal(err)
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(ctx, ln, c.drain) }()
			resp, err := http.Post("http://"+ln.Addr().String()+"/v1/completions", "application/json",
				strings.NewReader(`{"prompt":"Once","max_tokens":60,"ignore_eos":true,"stream":true}`))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			stop()
			b, err := io.ReadAll(resp.Body)
			if done := strings.HasSuffix(string(b), "[DONE]\n\n"); done == c.cut || (err != nil) != c.cut {
				t.Errorf("end marker %v, error %v", done, err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
				t.Error("it still listens")
			}
		})
	}
}

// TestClosedEngine: a request that the engine's end cuts off says so inside its stream, and
// later ones by their status.
func TestClosedEngine(t *testing.T) {
	e := slow(t)
	s := newServer(t, e, Options{})
	_, in := begin(t, t.Context(), s.url)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(rest), `"shutting_down"`) || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("%v: the stream ends with %s", err, rest[max(0, len(rest)-300):])
	}
	if status, body := s.post("/v1/completions", `{"prompt":[1]}`); status != 503 || !strings.Contains(body, "shutting_down") {
		t.Errorf("a request to a closed engine: %d %s", status, body)
	}
	if status, body := s.post("/v1/completions", `{"prompt":"a"}`); status != 503 {
		t.Errorf("a text for a closed engine: %d %s", status, body)
	}
}

// TestClientThatNeverReads: it costs one place for as long as patience goes, and no more.
func TestClientThatNeverReads(t *testing.T) {
	e := robots(t, engine.Options{MaxContext: 4096})
	s, err := New(e, Options{Name: "robots", Patience: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		s.ServeHTTP(w, r)
	}))
	h.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4096) // so that the kernel doesn't take the whole answer
		return ctx
	}
	h.Start()
	defer h.Close()
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	body := `{"prompt":"a","max_tokens":4000,"ignore_eos":true,"stream":true}`
	if _, err := io.WriteString(conn, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: "+
		strconv.Itoa(len(body))+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		t.Fatal("the request of a client that never reads goes on for ever")
	}
	if st := e.Stats(); st.PagesUsed != 0 || s.places.used.Load() != 0 {
		t.Errorf("%d pages in use, %d places taken", st.PagesUsed, s.places.used.Load())
	}
}

// TestSlowBody: a request that doesn't come to its end takes no place, and is given up.
func TestSlowBody(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{MaxContext: 128}), Options{MaxRequests: 1, Patience: 20 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if status, body := s.post("/v1/completions", `{"prompt":"a","max_tokens":1}`); status != 200 {
		t.Errorf("beside a slow body: %d %s", status, body)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("a body that doesn't end: %d", resp.StatusCode)
	}
}

// TestMetrics: every line is OpenMetrics, and the counts are the engine's.
func TestMetrics(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{MaxContext: 128}), Options{})
	s.whole("/v1/completions", `{"prompt":"Once","max_tokens":5,"ignore_eos":true}`)
	s.post("/v1/completions", `{"prompt":"Once","n":0}`)
	_, body := s.get("/metrics")
	line := regexp.MustCompile(`^(# (TYPE|HELP|UNIT) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+|# EOF)$`)
	for _, l := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
		if !line.MatchString(l) {
			t.Errorf("no line of OpenMetrics: %q", l)
		}
	}
	if !strings.HasSuffix(body, "\n# EOF\n") {
		t.Error("no end marker")
	}
	for _, want := range []string{
		"paceline_output_tokens_total 5\n", "paceline_first_token_seconds_count 1\n", "paceline_requests_in_flight 0\n",
		`paceline_http_requests_total{path="/v1/completions",status="200"} 1` + "\n",
		`paceline_http_requests_total{path="/v1/completions",status="400"} 1` + "\n",
		`paceline_request_seconds_bucket{le="+Inf"} 1` + "\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestNewChecksItsOptions(t *testing.T) {
	e := robots(t, engine.Options{MaxContext: 128})
	for _, o := range []Options{{}, {Name: "a", MaxBody: -1}, {Name: "a", MaxRequests: -1}} {
		if _, err := New(e, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	var f *failure
	if err := error(failureOf(errors.New("x"))); !errors.As(err, &f) || f.status != 500 {
		t.Errorf("an error of no known kind: %v", err)
	}
}
