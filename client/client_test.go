package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func serve(t *testing.T, h http.HandlerFunc, o Options) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	o.RetryFrom, o.RetryTo = time.Millisecond, 5*time.Millisecond
	c, err := New(s.URL+"/", o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddresses(t *testing.T) {
	for address, good := range map[string]bool{
		"http://127.0.0.1:7878": true, "https://paceline.test/": true, "https://paceline.test/below": true, "http://[::1]:80": true,
		"127.0.0.1:7878": false, "localhost": false, "ftp://x": false, "http://": false, "http://u:p@x": false, "http://x?a=b": false, "": false, "http://x#y": false,
	} {
		if _, err := New(address, Options{}); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestAnswersOfOthers: a proxy, another program, a newer version.
func TestAnswersOfOthers(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"proxy", 502, "<html>bad gateway</html>", "502"},
		{"another program", 404, "404 page not found", "Paceline coordinator?"},
		{"redirect", 302, "", "302"},
		{"page", 200, "<html>", "matching version"},
		{"empty problem", 400, "{}", "400"},
		{"problem", 409, `{"status":200,"detail":"no","fix":"do this"}`, "do this"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://example.invalid/")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}, Options{})
			_, err := cl.Run(t.Context(), "a/b")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			var e *Error
			if errors.As(err, &e) && e.Status != c.status {
				t.Errorf("status %d, want %d", e.Status, c.status)
			}
		})
	}
}

// TestSilence: a stream that stands but says nothing is taken up anew.
func TestSilence(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if n.Add(1) > 1 {
			fmt.Fprint(w, "event: change\nid: 3\ndata: {\"id\":3,\"kind\":\"x\"}\n\n")
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, Options{Silence: 20 * time.Millisecond})
	err := c.Watch(t.Context(), "r", 0, func(e Change) error {
		if e.ID != 3 {
			t.Errorf("change %+v", e)
		}
		return ErrStop
	}, nil)
	if err != nil || n.Load() < 2 {
		t.Errorf("%v after %d streams", err, n.Load())
	}
}

// TestHealthNotReady: the answer that says so isn't mistaken for a proxy's.
func TestHealthNotReady(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"ready":false,"version":"v2","ledger":"closed","api":1}`)
	}, Options{})
	h, err := c.Health(t.Context())
	if err != nil || h.Ready || h.Ledger != "closed" || h.Version != "v2" {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestCallbackFails: its error comes back as it is, and nothing is asked again.
func TestCallbackFails(t *testing.T) {
	var n atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		fmt.Fprint(w, "event: change\nid: 1\ndata: {\"id\":1}\n\n")
	}, Options{})
	mine := errors.New("mine")
	if err := c.Watch(t.Context(), "r", 0, func(Change) error { return mine }, nil); !errors.Is(err, mine) || n.Load() != 1 {
		t.Errorf("%v after %d streams", err, n.Load())
	}
}

// TestGarbledStream ends a watch instead of going round for ever.
func TestGarbledStream(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "event: change\nid: 1\ndata: nonsense\n\n")
	}, Options{})
	if err := c.Watch(t.Context(), "r", 0, nil, nil); err == nil || !strings.Contains(err.Error(), "matching version") {
		t.Errorf("%v", err)
	}
}

// TestPauses grow, and end with the context.
func TestPauses(t *testing.T) {
	told := 0
	p := &patience{opts: Options{RetryFrom: time.Microsecond, RetryTo: 8 * time.Microsecond, Waiting: func(error) { told++ }}, next: time.Microsecond}
	for range 6 {
		if err := p.pause(t.Context(), ErrUnreachable); err != nil {
			t.Fatal(err)
		}
	}
	if p.next != 8*time.Microsecond || told != 1 {
		t.Errorf("next pause %s, told %d times", p.next, told)
	}
	if err := p.pause(t.Context(), &Error{Status: 404}); !IsNotFound(err) {
		t.Errorf("a wrong request gives %v", err)
	}
	if err := p.pause(t.Context(), &Error{Status: 503}); err != nil {
		t.Errorf("a server that stops gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.pause(ctx, ErrUnreachable); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
}

// FuzzEvents: whatever a server sends, reading it ends.
func FuzzEvents(f *testing.F) {
	f.Add("event: change\nid: 1\ndata: {\"id\":1}\n\n: x\n\ndata: a\ndata: b\n\n")
	f.Add("data\n\n\r\n:::\nevent:\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		err := events(strings.NewReader(s), func() {}, func(name, data string) error {
			n += len(name) + len(data)
			return nil
		})
		if err == nil || n > len(s) {
			t.Errorf("%v, %d bytes of %d", err, n, len(s))
		}
	})
}
