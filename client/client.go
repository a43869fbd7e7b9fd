// Package client is the typed client of a coordinator's HTTP API, version 1: for the
// command line, and for programs of users.
//
// It knows the API and nothing of how the coordinator works. Reads that wait (Wait,
// Watch) outlive a restart of the server; every other call is one request and says
// at once what went wrong. What results mean is judge's, how they are shown
// judge/format's.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options of a client; the zero value will do.
type Options struct {
	Token     string          // an API token; empty: the server has none (paceline up)
	TLS       *tls.Config     // nil: the system's roots; not used where HTTP is given
	HTTP      *http.Client    // nil: one of its own. A Timeout would end Watch and Wait
	UserAgent string          // empty: "paceline"
	Waiting   func(err error) // told once each time that Watch or Wait begins to wait for a server that doesn't answer

	RetryFrom time.Duration // first pause before a new try, 0: 200 ms; it doubles
	RetryTo   time.Duration // longest pause, 0: 5 s
	Silence   time.Duration // a stream that says nothing for so long is taken up anew; 0: 45 s, three of the server's heartbeats
}

// Client talks to one coordinator. Its methods may be called concurrently.
type Client struct {
	base string
	opts Options
}

// New makes a client of the coordinator at baseURL, such as http://127.0.0.1:7878.
// Nothing is asked yet.
func New(baseURL string, opts Options) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("address of the coordinator: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("address of the coordinator %q: want http://HOST:PORT or https://HOST:PORT", baseURL)
	}
	if opts.HTTP == nil {
		opts.HTTP = &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
				TLSClientConfig: opts.TLS, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: time.Minute,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "paceline"
	}
	if opts.RetryFrom <= 0 {
		opts.RetryFrom = 200 * time.Millisecond
	}
	if opts.RetryTo <= 0 {
		opts.RetryTo = 5 * time.Second
	}
	if opts.Silence <= 0 {
		opts.Silence = 45 * time.Second
	}
	return &Client{base: strings.TrimSuffix(u.String(), "/") + "/api/v1", opts: opts}, nil
}

// ErrUnreachable is wrapped by errors of a server that couldn't be asked or whose
// answer broke off; what was asked may have happened.
var ErrUnreachable = errors.New("the coordinator can't be reached")

// Error is an answer that says no: problem details (RFC 9457).
type Error struct {
	Status int           `json:"status"` // HTTP
	Title  string        `json:"title"`
	Detail string        `json:"detail"`
	Errors []ErrorDetail `json:"errors,omitempty"` // everything that is wrong with the request
	Fix    string        `json:"fix,omitempty"`    // what to do next

	body []byte // the answer as it came
}

// ErrorDetail is one mistake of a request.
type ErrorDetail struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty"` // "body.rounds", "query.limit"
}

// Error names everything that is wrong, a line each, and what to do next.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Detail)
	for _, d := range e.Errors {
		b.WriteString("\n  ")
		if d.Location != "" && d.Location != "body" && d.Location != "body.suite" {
			b.WriteString(d.Location + ": ")
		}
		b.WriteString(d.Message)
	}
	if e.Fix != "" {
		b.WriteString("\n" + e.Fix)
	}
	return b.String()
}

// Wrong says whether the request itself is at fault: asking again is of no use, and a
// command exits 2.
func (e *Error) Wrong() bool { return e.Status >= 400 && e.Status < 500 && !e.again() }

// again says whether the same request may succeed later.
func (e *Error) again() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// IsNotFound says whether there is no such thing.
func IsNotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// IsConflict says whether the thing isn't in a state in which that is possible: a run
// that is decided can't be cancelled.
func IsConflict(err error) bool { return hasStatus(err, http.StatusConflict) }

func hasStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// maxErrorBytes bounds what is read of an answer that says no.
const maxErrorBytes = 1 << 20

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 256 << 20

// send makes one request; the answer's status is 2xx, and its body must be closed.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any, header http.Header) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode a request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	to := c.base + path
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return nil, fmt.Errorf("make a request to the coordinator: %w", err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if c.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.opts.HTTP.Do(req)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp)
}

// broken is the error of a request that got no whole answer.
func (c *Client) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%w at %s: %w: is it running there (paceline up, paceline coordinator)?", ErrUnreachable, strings.TrimSuffix(c.base, "/api/v1"), err)
}

// refusal reads an answer that says no, whoever wrote it.
func refusal(resp *http.Response) *Error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	e := &Error{}
	if err != nil || json.Unmarshal(b, e) != nil || e.Detail == "" && e.Title == "" {
		e = &Error{Detail: fmt.Sprintf("%s from %s", resp.Status, resp.Request.URL.Redacted()), Fix: "is that the address of a Paceline coordinator?"}
	}
	e.Status, e.body = resp.StatusCode, b
	if e.Title == "" {
		e.Title = http.StatusText(resp.StatusCode)
	}
	if e.Detail == "" {
		e.Detail = e.Title
	}
	return e
}

// call makes one request and decodes its answer.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (out T, err error) {
	resp, err := c.send(ctx, method, path, query, in, nil)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return out, c.broken(ctx, err)
	}
	if len(b) > maxAnswerBytes {
		return out, fmt.Errorf("read the answer to %s %s: it is over %d bytes", method, path, maxAnswerBytes)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("read the answer to %s %s: %w: is that a Paceline coordinator of a matching version?", method, path, err)
	}
	return out, nil
}
