package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/token"
)

// Options say what a server offers, and how much of it.
type Options struct {
	Name   string // the model's, in requests and answers
	Build  any    // what /version answers, as JSON; nil: an empty object
	APIKey string // what requests must bring as a bearer token; empty: nothing

	MaxBody     int64 // bytes of a request; 0: 1 MiB
	MaxTokens   int   // of one answer; 0: what the context leaves
	MaxRequests int   // under way and waiting in the engine's queue, each choice counted; more get 429; 0: 64

	// Patience is how long a client may take to send its request, and to take each part of
	// its answer; 0: 30 seconds. How long the engine computes is not bounded by it.
	Patience time.Duration

	Log *slog.Logger // nil: nothing is logged
}

// Defaults of Options.
const (
	DefaultMaxBody     = 1 << 20
	DefaultMaxRequests = 64
	defaultPatience    = 30 * time.Second
)

// Server answers requests for one engine, which it doesn't own. Its methods may be called
// concurrently.
type Server struct {
	o       Options
	engine  *engine.Engine
	tok     *token.Tokenizer
	context int // positions of one sequence
	created int64
	key     [sha256.Size]byte // of Options.APIKey

	places   places // one for each choice under way
	stopping atomic.Bool
	broken   atomic.Bool // the backend gave ErrFault: only a restart helps
	meter    meter
	handler  http.Handler
}

// New makes a server. The engine must have a tokenizer.
func New(e *engine.Engine, o Options) (*Server, error) {
	tok, err := e.Tokenizer()
	if err != nil {
		return nil, fmt.Errorf("serve the model %s: %w", o.Name, err)
	}
	if o.Name == "" {
		return nil, errors.New("serve a model: it has no name")
	}
	if o.MaxBody < 0 || o.MaxTokens < 0 || o.MaxRequests < 0 || o.Patience < 0 {
		return nil, fmt.Errorf("serve the model %s: a limit is negative", o.Name)
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = DefaultMaxRequests
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Build == nil {
		o.Build = struct{}{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		o: o, engine: e, tok: tok, context: e.Stats().Backend.MaxContext, created: time.Now().Unix(),
		key: sha256.Sum256([]byte(o.APIKey)), meter: newMeter(),
	}
	s.places.limit = int64(o.MaxRequests)
	s.handler = s.guarded(s.routes())
	return s, nil
}

// Context is how many tokens a prompt and its answer may have together.
func (s *Server) Context() int { return s.context }

// handle answers a request, or says why not.
type handle func(http.ResponseWriter, *http.Request) *failure

// route is one path of the API.
type route struct {
	method, path string
	open         bool // needs no key
	do           handle
}

func (s *Server) routes() []route {
	return []route{
		{http.MethodPost, "/v1/chat/completions", false, s.complete(chatAPI)},
		{http.MethodPost, "/v1/completions", false, s.complete(completionAPI)},
		{http.MethodGet, "/v1/models", false, s.models},
		{http.MethodGet, "/v1/models/{model...}", false, s.model},
		{http.MethodPost, "/tokenize", false, s.tokenize},
		{http.MethodGet, "/health", true, s.health},
		{http.MethodGet, "/metrics", false, s.metrics},
		{http.MethodGet, "/version", false, s.version},
	}
}

// guarded is the handler of all routes. A page in a browser that came from elsewhere may not
// use a server without a key: the browser says so, and is refused.
func (s *Server) guarded(routes []route) http.Handler {
	mux := http.NewServeMux()
	paths := make([]string, 0, len(routes))
	for _, r := range routes {
		paths = append(paths, r.path)
		mux.Handle(r.path, s.answering(r.path, func(w http.ResponseWriter, q *http.Request) *failure {
			switch {
			case q.Method != r.method && !(r.method == http.MethodGet && q.Method == http.MethodHead):
				w.Header().Set("Allow", r.method)
				return &failure{status: http.StatusMethodNotAllowed, kind: typeRequest, message: fmt.Sprintf("%s %s: want %s", q.Method, r.path, r.method)}
			case !r.open && !s.allowed(q):
				w.Header().Set("WWW-Authenticate", "Bearer")
				return &failure{status: http.StatusUnauthorized, kind: typeRequest, code: "invalid_api_key", message: "the API key is missing or wrong: send it as Authorization: Bearer KEY"}
			}
			return r.do(w, q)
		}))
	}
	mux.Handle("/", s.answering("other", func(_ http.ResponseWriter, q *http.Request) *failure {
		f := &failure{status: http.StatusNotFound, kind: typeRequest, code: "unknown_url", message: fmt.Sprintf("no %s here", shown([]byte(q.URL.Path)))}
		near := nearest(q.URL.Path, paths)
		if near == "" {
			near = nearest("/v1"+q.URL.Path, paths)
		}
		if near != "" {
			f.message += ": did you mean " + near + "?"
		}
		return f
	}))
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(s.answering("other", func(http.ResponseWriter, *http.Request) *failure {
		return &failure{status: http.StatusForbidden, kind: typeRequest, code: "cross_origin", message: "a web page of another origin may not use this server"}
	}))
	return protection.Handler(mux)
}

// allowed compares digests, so that the time it takes says nothing of the key.
func (s *Server) allowed(q *http.Request) bool {
	if s.o.APIKey == "" {
		return true
	}
	scheme, key, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(key))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], s.key[:]) == 1
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// answering writes failures and counts answers, under the route's name.
func (s *Server) answering(name string, do handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		seen := &watched{ResponseWriter: w}
		// A deadline outlives its request on a kept connection, so each sets its own.
		control := http.NewResponseController(w)
		// Where a connection has none there is nobody to wait for: a test's recorder. The read
		// deadline also holds for a body that nobody reads: net/http waits for its end.
		_ = control.SetWriteDeadline(began.Add(s.o.Patience))
		_ = control.SetReadDeadline(began.Add(s.o.Patience))
		f := do(seen, r)
		if f != nil && seen.status == 0 {
			_ = control.SetWriteDeadline(time.Now().Add(s.o.Patience))
			f.write(seen)
		}
		status := seen.status
		if r.Context().Err() != nil {
			status = statusGone
		}
		s.meter.answered(name, status)
		level, said := slog.LevelDebug, ""
		if f != nil {
			said = f.message
			if f.status >= http.StatusInternalServerError && f.code != codeStopping {
				level = slog.LevelError
			}
		}
		s.o.Log.Log(r.Context(), level, "answered", "path", name, "status", status, "took", time.Since(began), "error", said)
	})
}

// statusGone is how an answer is counted that its client didn't wait for.
const statusGone = 499

// watched remembers the status that was sent.
type watched struct {
	http.ResponseWriter
	status int // 0: nothing was sent yet
}

func (w *watched) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// read takes the whole body, within the limit of size and the deadline that answering set.
func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, *failure) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.o.MaxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, &failure{status: http.StatusRequestEntityTooLarge, kind: typeRequest, message: fmt.Sprintf("the body has more than %d bytes", s.o.MaxBody)}
	case err != nil:
		return nil, refuse("", "the body broke off: %v", err)
	}
	// What is read from now on tells only that the client left, however long the engine takes.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// enter takes n of the places for requests; leave gives them back.
func (s *Server) enter(n int) *failure {
	switch {
	case s.stopping.Load():
		return unavailable()
	case n > s.o.MaxRequests:
		return refuse("n", "n %d: this server takes %d at a time", n, s.o.MaxRequests)
	case s.places.take(n):
		return nil
	}
	return &failure{
		status: http.StatusTooManyRequests, kind: typeOverloaded, code: "queue_full", retry: time.Second,
		message: fmt.Sprintf("the server may have %d requests under way or waiting, each choice counted, and has no place for %d more: ask again later", s.o.MaxRequests, n),
	}
}

func (s *Server) leave(n int) { s.places.give(n) }

// Serve answers on ln until ctx ends. Then it takes no new request, lets those under way
// end for up to drain, and cuts off the rest, which frees the engine within a step. It closes
// ln. The error is nil if ctx ended it.
func (s *Server) Serve(ctx context.Context, ln net.Listener, drain time.Duration) error {
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: s.o.Patience, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := h.Shutdown(wait)
	if errors.Is(err, context.DeadlineExceeded) {
		s.o.Log.Warn("requests were cut off", "count", s.places.used.Load(), "after", drain)
		err = h.Close()
	}
	<-ended
	if err != nil {
		return fmt.Errorf("stop serving on %s: %w", ln.Addr(), err)
	}
	return nil
}
