// Package openai drives any server that speaks OpenAI's HTTP API: chat and
// completions, streamed or not.
//
// It reads the stream itself, because an event's instant is that of the read which
// brought it. Starting a server is package server's; what a request's instants mean
// is bench/target's.
package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/paceline/paceline/bench/target"
)

// Options of a target.
type Options struct {
	URL     string // of the server: http://host:port, with or without /v1
	Dialect string // name of a Dialect; empty: recognised by the server's list of models
	Model   string // as the server names it; empty: the only one that it lists
	APIKey  string // sent as a bearer token; empty: none
	// ModelDigest gives that of the checkpoint where its folder is known; it may take
	// seconds and is asked once nothing is measured. nil, or "": results are told apart
	// by the model's name.
	ModelDigest     func() (string, error)
	TokenizerDigest string

	FirstByte time.Duration // how long a server may take to begin its answer; 0: 5 minutes
	Silence   time.Duration // how long a stream may pause; 0: 2 minutes
}

// Defaults of Options.
const (
	defaultFirstByte = 5 * time.Minute
	defaultSilence   = 2 * time.Minute
)

// keptBuffer is the most that a stream's buffer may have grown to, in bytes, and be used again.
const keptBuffer = 64 << 10

// errClosed is the error of requests after Close.
var errClosed = errors.New("the target is closed")

// Target is a server under measurement. Close it.
type Target struct {
	o       Options
	base    string
	dialect Dialect
	client  *http.Client
	fresh   *http.Client // a connection for each request, of servers that don't keep them
	closed  atomic.Bool
	again   atomic.Int64 // requests sent again on a new connection
	buffers sync.Pool    // *[]byte, of streams that have ended

	mu    sync.Mutex // guards what follows
	notes []string
}

// CheckURL says what is wrong with the address of a server.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return fmt.Errorf("the address %q can't be read: %w: write http://HOST:PORT", address, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the address %q has no scheme http or https: write http://HOST:PORT", address)
	case u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("the address %q names no host: write http://HOST:PORT", address)
	case u.User != nil:
		return fmt.Errorf("the address of %s holds a password, and addresses are stored with results: give the key by --api-key-env", u.Hostname())
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("the address %q has a query or a fragment: write http://HOST:PORT", address)
	}
	return nil
}

// Open connects to the server and finds out which model it serves.
func Open(ctx context.Context, o Options) (*Target, error) {
	if err := CheckURL(o.URL); err != nil {
		return nil, fmt.Errorf("open a server: %w", err)
	}
	if o.FirstByte == 0 {
		o.FirstByte = defaultFirstByte
	}
	if o.Silence == 0 {
		o.Silence = defaultSilence
	}
	t := &Target{
		o: o, base: strings.TrimSuffix(strings.TrimSuffix(o.URL, "/"), "/v1"),
		client: client(o, true), fresh: client(o, false),
	}
	if err := t.recognise(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the server at %s: %w", t.base, err), t.Close())
	}
	return t, nil
}

func client(o Options, keep bool) *http.Client {
	t := transport(o)
	t.DisableKeepAlives = !keep
	return &http.Client{
		Transport: t,
		// A redirect would be measured with every request.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// transport keeps every connection, goes through no proxy and compresses nothing:
// what is measured is the server.
func transport(o Options) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  o.FirstByte,
		MaxIdleConnsPerHost:    1 << 16,
		IdleConnTimeout:        5 * time.Minute,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 1 << 20,
		ReadBufferSize:         16 << 10, // of each connection, of which there may be thousands
	}
}

// Do sends one request and reads its answer to the end marker.
func (t *Target) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	if t.closed.Load() {
		return target.Reply{}, fmt.Errorf("ask the server: %w", errClosed)
	}
	if err := ctx.Err(); err != nil {
		return target.Reply{}, err
	}
	path, sent, unsupported, err := t.dialect.request(t.o.Model, r)
	if err != nil {
		return target.Reply{}, err
	}
	t.note(unsupported)
	x := &exchange{target: t, path: path, stream: r.Stream, answer: newAnswer(r, sink)}
	x.err = x.run(ctx, sent)
	if ctx.Err() == nil && hungUp(x.err) && x.marks.unanswered() {
		// A server may close a kept connection whenever it likes, also while the request is
		// on its way. net/http sends only requests again that change nothing, by its rules.
		t.again.Add(1)
		t.client.CloseIdleConnections() // the others may be dead too
		x = &exchange{target: t, path: path, stream: r.Stream, answer: x.answer}
		x.err = x.run(ctx, sent)
	}
	reply := x.answer.reply
	reply.Text = x.answer.text.String()
	reply.Written, reply.FirstByte = x.marks.read()
	if reply.End.IsZero() {
		reply.End = time.Now()
	}
	if x.err != nil && ctx.Err() != nil {
		return reply, ctx.Err()
	}
	return reply, x.err
}

// hungUp says that the other side closed the connection. net/http has no name for the
// error of a connection that it found closed when it was to be used again.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		err != nil && strings.HasSuffix(err.Error(), "http: server closed idle connection")
}

// hangsUp is how many kept connections a server may close under a request before it
// is taken for one that keeps none, whatever it announces.
const hangsUp = 3

// sender is the client for the next request.
func (t *Target) sender() *http.Client {
	if t.again.Load() >= hangsUp {
		return t.fresh
	}
	return t.client
}

// exchange is one request under way.
type exchange struct {
	target *Target
	path   string
	stream bool
	answer *answer
	marks  marks
	err    error
}

func (x *exchange) run(outer context.Context, sent []byte) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, x.marks.trace()), http.MethodPost, x.target.base+x.path, bytes.NewReader(sent))
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	x.target.authorise(req)
	resp, err := x.target.sender().Do(req)
	if err != nil {
		return fmt.Errorf("POST %s: %w", x.path, plain(err))
	}
	defer resp.Body.Close()
	silence := x.target.o.Silence
	watch := &watchdog{src: resp.Body, limit: silence, timer: time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("the server was silent for %v in the middle of its answer", silence))
	})}
	defer watch.timer.Stop()
	err = x.read(outer, resp, watch)
	if cause := context.Cause(ctx); err != nil && cause != nil && outer.Err() == nil {
		err = cause // our own limit
	}
	if err != nil {
		return fmt.Errorf("POST %s: %w", x.path, err)
	}
	watch.drain()
	return nil
}

// read takes the answer from its body.
func (x *exchange) read(outer context.Context, resp *http.Response, from io.Reader) error {
	if resp.StatusCode != http.StatusOK {
		return refused(resp, from)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case x.stream && kind == "text/event-stream":
		return x.readStream(outer, from)
	case !x.stream && kind == "application/json":
		return x.readWhole(from)
	}
	head, _ := io.ReadAll(io.LimitReader(from, 1<<10))
	want := "application/json"
	if x.stream {
		want = "text/event-stream"
	}
	return fmt.Errorf("the server answered with %q where %s belongs: is this the address of the API? it begins: %s", kind, want, clip(string(head)))
}

func (x *exchange) readStream(outer context.Context, from io.Reader) error {
	var buf []byte
	if kept, ok := x.target.buffers.Get().(*[]byte); ok {
		buf = *kept
	}
	in := newSSEReader(from, time.Now, buf)
	defer func() {
		if len(in.buf) <= keptBuffer {
			x.target.buffers.Put(&in.buf)
		}
	}()
	for {
		ev, err := in.next()
		if err == nil && outer.Err() != nil {
			err = outer.Err() // cancelled while more lay ready
		}
		if errors.Is(err, io.EOF) {
			x.answer.reply.End = time.Now()
			return nil // without its end marker: DoneSeen says so
		}
		if err != nil {
			return fmt.Errorf("the stream broke off: %w", plain(err))
		}
		if done, err := x.answer.event(ev); done || err != nil {
			return err
		}
	}
}

func (x *exchange) readWhole(from io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(from, maxEventBytes+1))
	at := time.Now()
	switch {
	case err != nil:
		return fmt.Errorf("the answer broke off: %w", plain(err))
	case len(b) > maxEventBytes:
		return fmt.Errorf("%w: the answer has over %d bytes", errTooLong, maxEventBytes)
	}
	if err := x.answer.chunk(b, at); err != nil {
		return err
	}
	x.answer.reply.DoneSeen, x.answer.reply.End = true, at
	return nil
}

// StatusError is a request that the server refused.
type StatusError struct {
	Status  int
	Message string
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	switch {
	case e.Status == http.StatusTooManyRequests:
		s += " (its limit on requests)"
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		s += " (it wants a key: --api-key-env names the variable that holds it)"
	case e.Status >= 300 && e.Status < 400:
		s += " (a redirect: give the address that it leads to)"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

func refused(resp *http.Response, from io.Reader) error {
	b, _ := io.ReadAll(io.LimitReader(from, 4<<10))
	e := &StatusError{Status: resp.StatusCode, Message: says(b)}
	if at := resp.Header.Get("Location"); at != "" {
		e.Message = at
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" {
		e.Message = "an HTML page: is this the address of the API?"
	}
	return e
}

func (t *Target) authorise(req *http.Request) {
	if t.o.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+t.o.APIKey)
	}
}

// note keeps what requests ask for and the server can't be told, each once.
func (t *Target) note(unsupported []string) {
	if len(unsupported) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range unsupported {
		if !slices.Contains(t.notes, u) {
			t.notes = append(t.notes, u)
		}
	}
}

// Notes says what was asked for and not sent, and what had to be sent twice.
func (t *Target) Notes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	if len(t.notes) > 0 {
		out = append(out, fmt.Sprintf("not sent to the server: %s, which dialect %s doesn't have: outputs may be shorter than asked for",
			strings.Join(t.notes, ", "), t.dialect.Name))
	}
	switch n := t.again.Load(); {
	case n >= hangsUp:
		out = append(out, "the server closes connections that it says it keeps: each request has one of its own, and making it is part of its times")
	case n > 0:
		out = append(out, fmt.Sprintf("the server closed %d kept connections under a request, which was sent again on a new one", n))
	}
	return out
}

// Usage knows nothing of a server that somebody else started.
func (*Target) Usage(context.Context) (target.Usage, error) { return target.Usage{}, nil }

// Close lets go of the connections; the server runs on.
func (t *Target) Close() error {
	t.closed.Store(true)
	t.client.CloseIdleConnections()
	t.fresh.CloseIdleConnections()
	return nil
}

// plain takes the request's method and address off an error of net/http: the caller
// names them.
func plain(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
