//go:build native

package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/model/robotstories"
	"github.com/paceline/paceline/engine/token"
)

// robots opens the shipped model.
func robots(t *testing.T, o engine.Options) *engine.Engine {
	t.Helper()
	o.ModelDir = filepath.Join(t.TempDir(), "robot-stories")
	if err := robotstories.Extract(o.ModelDir); err != nil {
		t.Fatal(err)
	}
	if o.MaxContext == 0 {
		o.MaxContext = 1024
	}
	e, err := engine.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// server is one under test, and where it is.
type server struct {
	*Server
	t   *testing.T
	url string
}

func newServer(t *testing.T, e *engine.Engine, o Options) *server {
	t.Helper()
	o.Name = "robots"
	s, err := New(e, o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return &server{s, t, h.URL}
}

// post gives the status and body of an answer.
func (s *server) post(path, body string) (int, string) {
	s.t.Helper()
	resp, err := http.Post(s.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.take(resp)
}

func (s *server) get(path string) (int, string) {
	s.t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.take(resp)
}

func (s *server) take(resp *http.Response) (int, string) {
	s.t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// whole asks for an answer that isn't streamed.
func (s *server) whole(path, body string) answer {
	s.t.Helper()
	status, got := s.post(path, body)
	var a answer
	if err := json.Unmarshal([]byte(got), &a); status != 200 || err != nil {
		s.t.Fatalf("%d %v: %s", status, err, got)
	}
	return a
}

// streamed asks for a stream, and gives its chunks.
func (s *server) streamed(path, body string) []answer {
	s.t.Helper()
	status, got := s.post(path, body)
	if status != 200 {
		s.t.Fatalf("%d: %s", status, got)
	}
	var out []answer
	events := strings.Split(strings.TrimSuffix(got, "\n\n"), "\n\n")
	for i, ev := range events {
		data, ok := strings.CutPrefix(ev, "data: ")
		if last := i == len(events)-1; !ok || last != (data == "[DONE]") {
			s.t.Fatalf("event %d of %d: %q", i, len(events), ev)
		}
		if data == "[DONE]" {
			break
		}
		var a answer
		if err := json.Unmarshal([]byte(data), &a); err != nil {
			s.t.Fatalf("event %d: %v", i, err)
		}
		out = append(out, a)
	}
	return out
}

// text joins what the choices say.
func text(list ...answer) string {
	var b strings.Builder
	for _, a := range list {
		for _, c := range a.Choices {
			for _, m := range []*turn{c.Message, c.Delta} {
				if m != nil && m.Content != nil {
					b.WriteString(*m.Content)
				}
			}
			if c.Text != nil {
				b.WriteString(*c.Text)
			}
		}
	}
	return b.String()
}

const story = `"messages":[{"role":"user","content":"Write a short story about a robot."}]`

// TestStreamIsTheWholeAnswer: with one seed, both give the same text, and count the same.
func TestStreamIsTheWholeAnswer(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{}), Options{})
	for name, c := range map[string]struct{ path, ask string }{
		"chat":       {"/v1/chat/completions", story + `,"max_tokens":60,"seed":11`},
		"completion": {"/v1/completions", `"prompt":"Once upon a time","max_tokens":60,"seed":11,"top_p":0.9,"top_k":40`},
		"to its end": {"/v1/chat/completions", story + `,"seed":5,"temperature":0.2`},
		"stop":       {"/v1/chat/completions", story + `,"seed":5,"stop":[" robot","never"]`},
		"ids":        {"/v1/completions", `"prompt":[257,283,78,320],"max_tokens":9,"ignore_eos":true,"min_tokens":9,"seed":3`},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			w := s.whole(c.path, `{`+c.ask+`}`)
			chunks := s.streamed(c.path, `{"stream":true,"stream_options":{"include_usage":true},`+c.ask+`}`)
			last, before := chunks[len(chunks)-1], chunks[len(chunks)-2]
			if got, want := text(chunks...), text(w); got != want || want == "" {
				t.Errorf("stream %q, whole %q", got, want)
			}
			if last.Usage != nil {
				last.Usage.Details = w.Usage.Details // the second finds the first in the prefix cache
			}
			if len(last.Choices) != 0 || last.Usage == nil || *last.Usage != *w.Usage || w.Usage.Total != w.Usage.Prompt+w.Usage.Completion {
				t.Errorf("usage of the stream %+v, of the whole %+v", last.Usage, w.Usage)
			}
			if got, want := *before.Choices[0].Finish, *w.Choices[0].Finish; got != want {
				t.Errorf("the stream ended by %q, the whole by %q", got, want)
			}
			for i, a := range chunks {
				if a.ID != last.ID || a.Model != "robots" || (a.Timings != nil) != (i == len(chunks)-1) || (a.Usage != nil) != (i == len(chunks)-1) {
					t.Errorf("chunk %d: %+v", i, a)
				}
				if i < len(chunks)-2 && a.Choices[0].Finish != nil {
					t.Errorf("chunk %d has a finish reason already", i)
				}
			}
			for _, tm := range []*timings{w.Timings, last.Timings} {
				if tm == nil || tm.Queued < 0 || tm.Prefill <= 0 || tm.Decode < 0 {
					t.Errorf("timings %+v", tm)
				}
			}
		})
	}
	s.t = t
	plain := s.streamed("/v1/completions", `{"stream":true,"prompt":"Once","max_tokens":3,"seed":1}`)
	if last := plain[len(plain)-1]; last.Usage != nil || last.Timings == nil || *last.Choices[0].Finish != "length" {
		t.Errorf("without include_usage the last chunk is %+v", last)
	}
}

// TestGreedyIsTheEngines: the server adds and changes nothing.
func TestGreedyIsTheEngines(t *testing.T) {
	e := robots(t, engine.Options{})
	tok, err := e.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := tok.Chat(token.Conversation{
		Messages: []token.Message{{Role: "user", Content: "Write a short story about a robot."}}, AddGenerationPrompt: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode(prompt, false)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := e.Submit(t.Context(), engine.Request{Prompt: ids, MaxTokens: 200})
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for ev := range stream.Events() {
		want.WriteString(ev.Text)
	}
	s := newServer(t, e, Options{})
	if got := text(s.whole("/v1/chat/completions", `{"temperature":0,"max_tokens":200,`+story+`}`)); got != want.String() || got == "" {
		t.Errorf("the server says %q, the engine %q", got, want.String())
	}
	status, body := s.post("/tokenize", `{`+story+`}`)
	var tokens struct {
		Count  int     `json:"count"`
		Tokens []int32 `json:"tokens"`
	}
	if err := json.Unmarshal([]byte(body), &tokens); status != 200 || err != nil || !slices.Equal(tokens.Tokens, ids) || tokens.Count != len(ids) {
		t.Errorf("tokenize: %d %s, want %v", status, body, ids)
	}
	a, b := s.whole("/v1/chat/completions", `{`+story+`,"max_tokens":40}`), s.whole("/v1/chat/completions", `{`+story+`,"max_tokens":40}`)
	if text(a) == text(b) || a.ID == b.ID {
		t.Error("two requests without a seed got one answer")
	}
}

// TestErrors: every refusal has OpenAI's shape and the right status.
func TestErrors(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{MaxContext: 128}), Options{MaxTokens: 50, MaxBody: 4096, Build: map[string]string{"version": "1.2.3"}})
	words := strings.Repeat("robot ", 200)
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
		says       string
	}{
		"other model":       {"/v1/completions", `{"prompt":"a","model":"gpt-9"}`, 404, "model_not_found", "robots"},
		"unknown parameter": {"/v1/completions", `{"prompt":"a","sed":1}`, 400, "unknown_parameter", "seed"},
		"too long a prompt": {"/v1/completions", `{"prompt":"` + words + `"}`, 400, "context_length_exceeded", "128 positions"},
		"too many tokens":   {"/v1/completions", `{"prompt":"a b c","max_tokens":128}`, 400, "context_length_exceeded", "leaves"},
		"above the limit":   {"/v1/completions", `{"prompt":"a","max_tokens":51}`, 400, "", "at most 50"},
		"min above default": {"/v1/completions", `{"prompt":"a","ignore_eos":true,"min_tokens":17}`, 400, "", "give max_tokens"},
		"id out of range":   {"/v1/completions", `{"prompt":[5,-1]}`, 400, "", "prompt[1]"},
		"stop id":           {"/v1/completions", `{"prompt":"a","stop_token_ids":[2048]}`, 400, "", "stop_token_ids[0]"},
		"too long a body":   {"/v1/completions", `{"prompt":"` + strings.Repeat("x", 4096) + `"}`, 413, "", "4096 bytes"},
		"template's error":  {"/v1/chat/completions", `{"messages":[{"role":"user","content":"` + words + `"}]}`, 400, "context_length_exceeded", "messages"},
		"tokenize":          {"/tokenize", `{"promt":"a"}`, 400, "unknown_parameter", "prompt"},
		"tokenize both":     {"/tokenize", `{"prompt":"a",` + story + `}`, 400, "", "either"},
		"no such path":      {"/v1/chat/completion", `{}`, 404, "unknown_url", "/v1/chat/completions?"},
		"path without v1":   {"/completions", `{}`, 404, "unknown_url", "/v1/completions?"},
		"wrong method":      {"/v1/models", `{}`, 405, "", "want GET"},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			status, body := s.post(c.path, c.body)
			var e struct {
				Error struct {
					Message, Type string
					Param, Code   *string
				}
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%d %q: %v", status, body, err)
			}
			code := ""
			if e.Error.Code != nil {
				code = *e.Error.Code
			}
			if status != c.status || code != c.code || e.Error.Type == "" || !strings.Contains(e.Error.Message, c.says) {
				t.Errorf("%d %s; want %d, code %q, %q", status, body, c.status, c.code, c.says)
			}
		})
	}
	s.t = t
	for path, want := range map[string]string{
		"/health": `"ok"`, "/version": "1.2.3", "/v1/models": `"max_model_len":128`, "/v1/models/robots": `"robots"`,
	} {
		if status, body := s.get(path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := s.get("/v1/models/other/one"); status != 404 || !strings.Contains(body, "model_not_found") {
		t.Errorf("another model: %d %s", status, body)
	}
	// The longest body of the default limit: one token after another, too many for the context.
	big := newServer(t, s.engine, Options{})
	if status, body := big.post("/v1/completions", `{"prompt":"`+strings.Repeat("robots ", (1<<20-20)/7)+`"}`); status != 400 || !strings.Contains(body, "context_length_exceeded") {
		t.Errorf("a prompt of 1 MB: %d %.200s", status, body)
	}
	st := s.engine.Stats()
	if st.Requests != 0 || st.PagesUsed != 0 {
		t.Errorf("refused requests reached the engine: %+v", st)
	}
}

func TestKeyAndOrigin(t *testing.T) {
	s := newServer(t, robots(t, engine.Options{MaxContext: 128}), Options{APIKey: "secret"})
	ask := func(path string, header ...string) int {
		t.Helper()
		method := http.MethodGet
		var body io.Reader
		if strings.HasSuffix(path, "completions") {
			method, body = http.MethodPost, bytes.NewReader([]byte(`{"prompt":"a","max_tokens":1}`))
		}
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		status, _ := s.take(resp)
		return status
	}
	for _, path := range []string{"/v1/completions", "/v1/models", "/metrics", "/version"} {
		if got := ask(path); got != 401 {
			t.Errorf("%s without a key: %d", path, got)
		}
		if got := ask(path, "Authorization", "Bearer secret2"); got != 401 {
			t.Errorf("%s with another key: %d", path, got)
		}
		if got := ask(path, "Authorization", "Bearer secret"); got != 200 {
			t.Errorf("%s with the key: %d", path, got)
		}
	}
	if got := ask("/health"); got != 200 {
		t.Errorf("health without a key: %d", got)
	}
	if got := ask("/v1/completions", "Authorization", "Bearer secret", "Origin", "http://elsewhere.example"); got != 403 {
		t.Errorf("a page of another origin: %d, want 403", got)
	}
}
