package targettest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Behaviour is what a Server does, exactly. The zero Behaviour is a good server: one
// token an event, as many as were asked for, usage and end marker.
type Behaviour struct {
	Model   string // in the list of models; empty: "test-model"
	OwnedBy string // as it calls itself there
	Version string // of GET /version; empty: there is none

	Role    bool          // a chunk with the role alone comes first, at once
	First   time.Duration // until the first token
	Gap     time.Duration // between events
	Bundle  int           // tokens an event; 0: 1
	Empty   bool          // an empty delta comes before every event with text
	CRLF    bool          // lines end so
	Comment bool          // a comment comes before every event
	Bytes   bool          // every byte is sent by itself
	NoUsage bool
	NoDone  bool
	Length  int                // tokens that are given, whatever was asked for; 0: as asked
	Token   func(i int) string // text of the i-th; nil: words of several scripts

	// After so many events with text, the answer ends so; 0 events: as soon as it began.
	Fault      Fault
	FaultAfter int

	Status      int    // answered in place of everything else, if not 0
	StatusTimes int    // so often; 0: for ever
	StatusKind  string // content type of that answer; empty: JSON with an error
	StatusBody  string
}

// Fault is how an answer ends before its end.
type Fault string

// Faults.
const (
	FaultReset   Fault = "reset"   // the connection is cut
	FaultEnd     Fault = "end"     // the stream ends in good order, but too early
	FaultTorn    Fault = "torn"    // it ends in the middle of an event
	FaultError   Fault = "error"   // an error object comes
	FaultSilence Fault = "silence" // nothing more comes
	FaultEndless Fault = "endless" // it never stops
	FaultGarbage Fault = "garbage" // an event that is no JSON
	FaultJSON    Fault = "json"    // the whole answer is JSON, though a stream was asked for
)

// Server is an OpenAI-compatible server of exactly programmed behaviour.
type Server struct {
	b        Behaviour
	refused  atomic.Int64
	requests atomic.Int64
	last     atomic.Pointer[Asked]
}

// Asked is what a request held.
type Asked struct {
	Path          string
	Authorization string
	Body          map[string]any
}

// NewServer gives a server's handler.
func NewServer(b Behaviour) *Server {
	if b.Model == "" {
		b.Model = "test-model"
	}
	if b.Bundle == 0 {
		b.Bundle = 1
	}
	if b.Token == nil {
		b.Token = func(i int) string {
			words := []string{"robot ", "schöne ", "ロボ ", "рад ", "🤖 ", "x"}
			return words[i%len(words)]
		}
	}
	return &Server{b: b}
}

// Requests is how many completions were asked for.
func (s *Server) Requests() int { return int(s.requests.Load()) }

// Last is the last completion asked for; nil: none was.
func (s *Server) Last() *Asked { return s.last.Load() }

// ServeHTTP answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/health":
		_, _ = io.WriteString(w, "ok")
	case s.refuse(w):
	case r.URL.Path == "/v1/models":
		reply(w, map[string]any{"object": "list", "data": []any{map[string]any{"id": s.b.Model, "owned_by": s.b.OwnedBy}}})
	case r.URL.Path == "/version" && s.b.Version != "":
		reply(w, map[string]any{"version": s.b.Version})
	case r.Method == http.MethodPost && (r.URL.Path == "/v1/chat/completions" || r.URL.Path == "/v1/completions"):
		s.complete(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) refuse(w http.ResponseWriter) bool {
	if s.b.Status == 0 || s.b.StatusTimes > 0 && int(s.refused.Add(1)) > s.b.StatusTimes {
		return false
	}
	kind, body := s.b.StatusKind, s.b.StatusBody
	if kind == "" {
		kind = "application/json"
	}
	if body == "" {
		body = `{"error":{"message":"programmed to fail","type":"test"}}`
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(s.b.Status)
	_, _ = io.WriteString(w, body)
	return true
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

// complete answers a completion.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	asked := &Asked{Path: r.URL.Path, Authorization: r.Header.Get("Authorization")}
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(raw, &asked.Body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.last.Store(asked)
	n := s.b.Length
	if m, ok := asked.Body["max_tokens"].(float64); ok && n == 0 {
		n = int(m)
	}
	a := &scripted{s: s, w: w, r: r, chat: strings.HasSuffix(r.URL.Path, "/chat/completions"), tokens: n, prompt: words(asked.Body)}
	if stream, _ := asked.Body["stream"].(bool); stream && s.b.Fault != FaultJSON {
		a.stream()
		return
	}
	a.whole()
}

// words counts those of the prompt: this server's tokens.
func words(body map[string]any) int {
	if p, ok := body["prompt"].(string); ok {
		return len(strings.Fields(p))
	}
	n := 0
	messages, _ := body["messages"].([]any)
	for _, m := range messages {
		if turn, ok := m.(map[string]any); ok {
			text, _ := turn["content"].(string)
			n += len(strings.Fields(text))
		}
	}
	return n
}

// scripted is one answer.
type scripted struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	chat   bool
	tokens int
	prompt int
}

func (a *scripted) usage() map[string]any {
	return map[string]any{"prompt_tokens": a.prompt, "completion_tokens": a.tokens, "total_tokens": a.prompt + a.tokens}
}

// choice is a chunk's only one.
func (a *scripted) choice(field, text string, finish any) map[string]any {
	c := map[string]any{"index": 0, "finish_reason": finish}
	if a.chat {
		c[field] = map[string]any{"content": text}
	} else {
		c["text"] = text
	}
	return c
}

func (a *scripted) text(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(a.s.b.Token(i))
	}
	return b.String()
}

func (a *scripted) whole() {
	v := map[string]any{"choices": []any{a.choice("message", a.text(0, a.tokens), "length")}}
	if !a.s.b.NoUsage {
		v["usage"] = a.usage()
	}
	reply(a.w, v)
}

func (a *scripted) stream() {
	b := a.s.b
	a.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	a.w.WriteHeader(http.StatusOK)
	if b.Role && a.chat {
		a.chunk(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": map[string]any{"role": "assistant", "content": ""}}}})
	}
	if !a.pause(b.First) {
		return
	}
	for i, events := 0, 0; i < a.tokens || b.Fault == FaultEndless; events++ {
		if b.Fault != "" && b.Fault != FaultEndless && events >= b.FaultAfter {
			a.fault()
			return
		}
		if events > 0 && !a.pause(b.Gap) {
			return
		}
		if b.Empty {
			a.chunk(map[string]any{"choices": []any{a.choice("delta", "", nil)}})
		}
		to := i + b.Bundle
		if b.Fault != FaultEndless {
			to = min(to, a.tokens)
		}
		a.chunk(map[string]any{"choices": []any{a.choice("delta", a.text(i, to), nil)}})
		i = to
	}
	a.chunk(map[string]any{"choices": []any{a.choice("delta", "", "length")}})
	if !b.NoUsage {
		a.chunk(map[string]any{"choices": []any{}, "usage": a.usage()})
	}
	if !b.NoDone {
		a.data("[DONE]")
	}
}

// pause waits; it is false when the client has gone.
func (a *scripted) pause(d time.Duration) bool {
	if d == 0 {
		return a.r.Context().Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-a.r.Context().Done():
		return false
	}
}

func (a *scripted) fault() {
	switch a.s.b.Fault {
	case FaultReset:
		panic(http.ErrAbortHandler)
	case FaultTorn:
		a.send(`data: {"choices":[{"index":0,"del`)
	case FaultError:
		a.data(`{"error":{"message":"out of memory in the middle","code":500}}`)
	case FaultGarbage:
		a.data(`{"choices":[}`)
	case FaultSilence:
		<-a.r.Context().Done()
	case FaultEnd, FaultEndless, FaultJSON: // the caller has done it
	}
}

func (a *scripted) chunk(v any) {
	j, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("targettest: %v", err))
	}
	a.data(string(j))
}

// data sends one event.
func (a *scripted) data(s string) {
	text := "data: " + s + "\n\n"
	if a.s.b.Comment {
		text = ": still here\n" + text
	}
	if a.s.b.CRLF {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	a.send(text)
}

func (a *scripted) send(s string) {
	flush := http.NewResponseController(a.w)
	if !a.s.b.Bytes {
		_, _ = io.WriteString(a.w, s) // the client went away: the context says so
		_ = flush.Flush()
		return
	}
	for i := range len(s) {
		_, _ = a.w.Write([]byte{s[i]})
		_ = flush.Flush()
	}
}
