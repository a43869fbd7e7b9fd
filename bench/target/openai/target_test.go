package openai

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/bench/target/targettest"
)

func serve(t *testing.T, b targettest.Behaviour) (*targettest.Server, string) {
	t.Helper()
	s := targettest.NewServer(b)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}

func open(t *testing.T, o Options) *Target {
	t.Helper()
	tg, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tg.Close(); err != nil {
			t.Error(err)
		}
	})
	return tg
}

func TestConformance(t *testing.T) {
	for name, b := range map[string]targettest.Behaviour{
		"plain":               {},
		"role chunk first":    {Role: true, Empty: true, Comment: true},
		"CRLF byte by byte":   {CRLF: true, Bytes: true},
		"four tokens a chunk": {Bundle: 4},
		"vllm":                {OwnedBy: "vllm", Version: "0.9.1"},
	} {
		for _, api := range []string{"chat", "completion"} {
			t.Run(name+"/"+api, func(t *testing.T) {
				targettest.Run(t, targettest.Config{API: api, Text: "Write a short story about a robot.", Open: func(t *testing.T) target.Target {
					_, url := serve(t, b)
					tg, err := Open(t.Context(), Options{URL: url})
					if err != nil {
						t.Fatal(err)
					}
					return tg
				}})
			})
		}
	}
}

func ask(t *testing.T, tg *Target, change func(*target.Request)) (target.Reply, []target.Event, error) {
	t.Helper()
	r := target.Request{ID: "r", API: "chat", Text: "one two three", MaxTokens: 8, IgnoreEOS: true, TopP: 0.9, TopK: 5, Temperature: 0.7, Seed: 1 << 40, Stream: true, NoCache: true}
	if change != nil {
		change(&r)
	}
	var events []target.Event
	reply, err := tg.Do(t.Context(), r, func(e target.Event) { events = append(events, e) })
	return reply, events, err
}

// TestFirstTokenIsTheFirstText: a role alone and empty deltas are no content, however
// early they come.
func TestFirstTokenIsTheFirstText(t *testing.T) {
	const first, gap = 60 * time.Millisecond, 10 * time.Millisecond
	_, url := serve(t, targettest.Behaviour{Role: true, Empty: true, First: first, Gap: gap})
	before := time.Now()
	reply, events, err := ask(t, open(t, Options{URL: url}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 8 {
		t.Fatalf("%d events for 8 tokens", len(events))
	}
	if ttft := events[0].At.Sub(before); ttft < first {
		t.Errorf("the first token came after %v, and the server sent it after %v", ttft, first)
	}
	if reply.FirstByte.Before(reply.Written) || events[0].At.Before(reply.FirstByte.Add(first/2)) {
		t.Errorf("written %v, first byte %v, first token %v: the role's chunk is the first byte, not the first token", reply.Written, reply.FirstByte, events[0].At)
	}
	if last := events[7].At.Sub(events[0].At); last < 7*gap {
		t.Errorf("seven gaps of %v took %v", gap, last)
	}
}

// TestBundledTokens: events are not tokens; the server's usage counts.
func TestBundledTokens(t *testing.T) {
	_, url := serve(t, targettest.Behaviour{Bundle: 3})
	reply, events, err := ask(t, open(t, Options{URL: url}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 3 || reply.Tokens.Usage == nil || *reply.Tokens.Usage != 8 || reply.Prompt != 3 || reply.Tokens.Engine != nil {
		t.Errorf("%d events, %+v", len(events), reply)
	}
}

func TestNotStreamed(t *testing.T) {
	_, url := serve(t, targettest.Behaviour{})
	tg := open(t, Options{URL: url})
	streamed, _, err := ask(t, tg, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, events, err := ask(t, tg, func(r *target.Request) { r.Stream = false })
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || reply.Text != streamed.Text || !reply.DoneSeen || *reply.Tokens.Usage != 8 {
		t.Errorf("%d events, %+v", len(events), reply)
	}
}

// TestFaults: each is an error of the request that says what happened, or a stream
// that is told apart from a whole one.
func TestFaults(t *testing.T) {
	html := targettest.Behaviour{Status: http.StatusOK, StatusKind: "text/html", StatusBody: "<html>hello</html>"}
	for name, c := range map[string]struct {
		b      targettest.Behaviour
		says   string // empty: no error
		events int
		check  func(target.Reply) bool
	}{
		"reset":          {targettest.Behaviour{Fault: targettest.FaultReset, FaultAfter: 3}, "broke off", 3, nil},
		"half a stream":  {targettest.Behaviour{Fault: targettest.FaultEnd, FaultAfter: 3}, "", 3, func(r target.Reply) bool { return !r.DoneSeen }},
		"torn event":     {targettest.Behaviour{Fault: targettest.FaultTorn, FaultAfter: 3}, "no JSON", 3, nil},
		"error object":   {targettest.Behaviour{Fault: targettest.FaultError, FaultAfter: 3}, "out of memory in the middle", 3, nil},
		"garbage":        {targettest.Behaviour{Fault: targettest.FaultGarbage, FaultAfter: 3}, "no JSON", 3, nil},
		"silence":        {targettest.Behaviour{Fault: targettest.FaultSilence, FaultAfter: 3}, "silent for 500ms", 3, nil},
		"endless":        {targettest.Behaviour{Fault: targettest.FaultEndless}, "doesn't stop", eventsPerToken*8 + eventsMore, nil},
		"JSON, unasked":  {targettest.Behaviour{Fault: targettest.FaultJSON}, "text/event-stream belongs", 0, nil},
		"no usage":       {targettest.Behaviour{NoUsage: true}, "", 8, func(r target.Reply) bool { return r.Tokens.Usage == nil && r.DoneSeen }},
		"no end marker":  {targettest.Behaviour{NoDone: true}, "", 8, func(r target.Reply) bool { return !r.DoneSeen }},
		"late to answer": {targettest.Behaviour{First: time.Minute}, "awaiting response headers", 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := serve(t, c.b)
			reply, events, err := ask(t, open(t, Options{URL: url, Silence: 500 * time.Millisecond, FirstByte: 500 * time.Millisecond}), nil)
			switch {
			case (err == nil) != (c.says == ""), err != nil && !strings.Contains(err.Error(), c.says):
				t.Errorf("error %v, want %q", err, c.says)
			case len(events) != c.events:
				t.Errorf("%d events, want %d", len(events), c.events)
			case c.check != nil && !c.check(reply):
				t.Errorf("reply %+v", reply)
			}
		})
	}
	t.Run("HTML", func(t *testing.T) {
		_, url := serve(t, html)
		if _, err := Open(t.Context(), Options{URL: url}); err == nil || !strings.Contains(err.Error(), "<html>hello") {
			t.Errorf("error %v", err)
		}
	})
}

// TestRefusals: a status is named with the server's own words, and the next request
// is a new one: nothing is repeated behind the harness's back.
func TestRefusals(t *testing.T) {
	for _, status := range []int{429, 500, 503, 401, 308} {
		s, url := serve(t, targettest.Behaviour{})
		tg := open(t, Options{URL: url})
		s2 := targettest.NewServer(targettest.Behaviour{Status: status, StatusTimes: 1})
		h := httptest.NewServer(s2)
		defer h.Close()
		tg.base = h.URL
		_, _, err := ask(t, tg, nil)
		var se *StatusError
		if !errors.As(err, &se) || se.Status != status || !strings.Contains(err.Error(), "programmed to fail") {
			t.Errorf("status %d: error %v", status, err)
		}
		if _, _, err := ask(t, tg, nil); err != nil || s2.Requests() != 1 || s.Requests() != 0 {
			t.Errorf("after status %d: %v, %d requests", status, err, s2.Requests())
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	_, url := serve(t, targettest.Behaviour{})
	_, failing := serve(t, targettest.Behaviour{Status: 500})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	for name, c := range map[string]struct {
		o    Options
		says []string
	}{
		"scheme":           {Options{URL: "ftp://h/"}, []string{"ftp", "http://HOST:PORT"}},
		"no host":          {Options{URL: "http://"}, []string{"host"}},
		"password":         {Options{URL: "http://me:secret@h"}, []string{"--api-key-env"}},
		"nothing there":    {Options{URL: gone.URL}, []string{gone.URL, "nothing listens", "refused"}},
		"fails for ever":   {Options{URL: failing}, []string{"500", "programmed to fail"}},
		"no list, no name": {Options{URL: none.URL}, []string{"--served-model"}},
		"other model":      {Options{URL: url, Model: "x"}, []string{`"x"`, "test-model"}},
		"dialect":          {Options{URL: url, Dialect: "vlm"}, []string{`"vlm"`, `did you mean "vllm"`}},
	} {
		_, err := Open(t.Context(), c.o)
		for _, s := range c.says {
			if err == nil || !strings.Contains(err.Error(), s) {
				t.Errorf("%s: error %v doesn't say %q", name, err, s)
			}
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the message tells the password: %v", name, err)
		}
	}
	if tg := open(t, Options{URL: none.URL + "/v1/", Model: "named"}); tg.base != none.URL {
		t.Errorf("base %q", tg.base)
	}
}

// TestDialects: what a server isn't known to understand is not sent, and that is said.
func TestDialects(t *testing.T) {
	for name, want := range map[string]struct{ sent, notes []string }{
		"plain":    {nil, []string{"ignore_eos", "top_k"}},
		"vllm":     {[]string{"ignore_eos", "min_tokens", "top_k"}, nil},
		"llamacpp": {[]string{"cache_prompt", "ignore_eos", "top_k"}, nil},
	} {
		s, url := serve(t, targettest.Behaviour{})
		tg := open(t, Options{URL: url, Dialect: name, APIKey: "k3y"})
		if _, _, err := ask(t, tg, nil); err != nil {
			t.Fatal(err)
		}
		var extra []string
		for _, k := range []string{"cache_prompt", "ignore_eos", "min_tokens", "top_k"} {
			if _, ok := s.Last().Body[k]; ok {
				extra = append(extra, k)
			}
		}
		if !slices.Equal(extra, want.sent) {
			t.Errorf("%s: sent %q, want %q", name, extra, want.sent)
		}
		notes := strings.Join(tg.Notes(), " ")
		for _, n := range want.notes {
			if !strings.Contains(notes, n) {
				t.Errorf("%s: notes %q don't name %s", name, notes, n)
			}
		}
		if want.notes == nil && notes != "" {
			t.Errorf("%s: notes %q", name, notes)
		}
		if seed, _ := s.Last().Body["seed"].(float64); seed < 0 || seed >= 1<<31 {
			t.Errorf("%s: seed %v", name, seed)
		}
		if s.Last().Authorization != "Bearer k3y" {
			t.Errorf("%s: authorization %q", name, s.Last().Authorization)
		}
	}
}

func TestRecognisesTheServer(t *testing.T) {
	for owner, want := range map[string]string{"vllm": "vllm", "llamacpp": "llamacpp", "sglang": "sglang", "somebody": "plain"} {
		_, url := serve(t, targettest.Behaviour{OwnedBy: owner, Version: "1.2.3"})
		id, err := open(t, Options{URL: url}).Identity(t.Context())
		if err != nil || id.Engine != want || id.ModelDigest != "served:test-model" {
			t.Errorf("%s: %+v, %v", owner, id, err)
		}
		if build := map[bool]string{true: "1.2.3", false: unknown}[want == "vllm"]; id.Build != build {
			t.Errorf("%s: build %q, want %q", owner, id.Build, build)
		}
	}
}

// TestConnectionsAreKept: one connection serves requests that follow one another.
func TestConnectionsAreKept(t *testing.T) {
	var opened atomic.Int64
	h := httptest.NewUnstartedServer(targettest.NewServer(targettest.Behaviour{}))
	h.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	h.Start()
	defer h.Close()
	tg := open(t, Options{URL: h.URL})
	for range 20 {
		if _, _, err := ask(t, tg, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for requests one after another", n)
	}
}

func TestCancelClosesTheConnection(t *testing.T) {
	gone := make(chan struct{})
	mux := http.NewServeMux()
	s := targettest.NewServer(targettest.Behaviour{Fault: targettest.FaultSilence, FaultAfter: 2})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		if strings.HasSuffix(r.URL.Path, "/completions") {
			close(gone)
		}
	})
	h := httptest.NewServer(mux)
	defer h.Close()
	tg := open(t, Options{URL: h.URL})
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err := tg.Do(ctx, target.Request{API: "chat", Text: "x", MaxTokens: 8, Stream: true}, func(target.Event) {
		if n++; n == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	<-gone // the server saw it
}

func TestBrokenUTF8IsNamed(t *testing.T) {
	a := newAnswer(target.Request{MaxTokens: 4}, func(target.Event) {})
	if err := a.chunk([]byte("{\"choices\":[{\"delta\":{\"content\":\"\xe3\x83\"}}]}"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.reply.Broken, "UTF-8") {
		t.Errorf("broken %q", a.reply.Broken)
	}
}

func TestErrorsOfAllShapes(t *testing.T) {
	for in, want := range map[string]string{
		`{"error":{"message":"a b"}}`:           "a b",
		`{"error":"text"}`:                      "text",
		`{"message":"m","object":"error"}`:      "m",
		`{"detail":[{"msg":"field required"}]}`: `[{"msg":"field required"}]`,
		"<html>\n<p>x":                          "<html> <p>x",
		"":                                      "",
	} {
		if got := says([]byte(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if len([]rune(clip(strings.Repeat("é", 1000)))) != 301 {
		t.Error("a long message is not clipped")
	}
}
