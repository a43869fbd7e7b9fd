package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultEndpoint is the hub that is asked where HF_ENDPOINT is empty.
const DefaultEndpoint = "https://huggingface.co"

// client asks one hub.
type client struct {
	base  *url.URL
	token bool
	http  *http.Client // follows redirects
	wait  func(context.Context, time.Duration) error
	stall time.Duration
}

func newClient(o Options) (*client, error) {
	endpoint := o.Endpoint
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	base, err := url.Parse(strings.TrimRight(endpoint, "/"))
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, refuse("HF_ENDPOINT is no address of a hub: give one such as %s", DefaultEndpoint)
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, refuse("HF_ENDPOINT has a user, a query or a fragment: give the address alone, and a token in HF_TOKEN")
	}
	token := strings.TrimSpace(o.Token)
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, refuse("HF_TOKEN has characters that no token has: copy it again, without quotes and line breaks")
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: o.Stall,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // lengths and ranges count the bytes of the file
	}
	return &client{
		base: base, token: token != "", wait: o.Wait, stall: o.Stall,
		http: &http.Client{Transport: bearer{t, base, token}, CheckRedirect: checkRedirect},
	}, nil
}

// bearer adds the token to requests to the hub itself. It is no header of the request,
// so that no redirect can carry it to another host or port, or out of TLS.
type bearer struct {
	next  *http.Transport
	base  *url.URL
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "paceline")
	if b.token != "" && sameOrigin(r.URL, b.base) {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}

// CloseIdleConnections is what http.Client's method of that name calls.
func (b bearer) CloseIdleConnections() { b.next.CloseIdleConnections() }

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) }

func checkRedirect(r *http.Request, via []*http.Request) error {
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return errors.New("it leads from https to an address without TLS")
	}
	if len(via) >= 10 {
		return errors.New("it leads to 10 addresses one after the other")
	}
	return nil
}

func (c *client) asked(n Name, what string) asked {
	return asked{name: n, endpoint: c.base.String(), what: what, token: c.token}
}

func (c *client) listURL(n Name) string {
	return c.base.String() + "/api/models/" + n.ID() + "/revision/" + url.PathEscape(n.Revision)
}

func (c *client) fileURL(n Name, commit, file string) string {
	parts := strings.Split(file, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return c.base.String() + "/" + n.ID() + "/resolve/" + commit + "/" + strings.Join(parts, "/")
}

// list asks what the revision holds.
func (c *client) list(ctx context.Context, n Name) (l listing, err error) {
	err = c.retry(ctx, 3, func() error {
		a := c.asked(n, "the list of files")
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.listURL(n), nil)
		if err != nil {
			return refuse("%w", err)
		}
		resp, err := c.http.Do(r)
		if err != nil {
			return c.lost(err)
		}
		defer resp.Body.Close()
		if err := statusFault(resp.StatusCode, resp.Header, a, time.Now()); err != nil {
			return err
		}
		if isPage(resp.Header) {
			return broken("%s answered with a web page instead of a list of files: is HF_ENDPOINT a hub, and does a proxy want a login?", a.endpoint)
		}
		body := c.watch(resp.Body)
		defer body.Close()
		data, err := io.ReadAll(io.LimitReader(body, maxListing+1))
		if err != nil {
			return c.lost(err)
		}
		if len(data) > maxListing {
			return broken("%s answered with more than %d MB for the list of files", a.endpoint, maxListing>>20)
		}
		if l, err = parseListing(data); err != nil {
			return broken("%s gave a list of files of %s that can't be used: %w", a.endpoint, n.ID(), err)
		}
		return nil
	})
	return l, err
}

// describe asks for a file's size and digest. It follows redirects within the hub only:
// what a CDN says of the file isn't the hub's word.
func (c *client) describe(ctx context.Context, n Name, commit, file string) (f remote, err error) {
	err = c.retry(ctx, 3, func() error {
		direct := *c.http
		direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		var answers []http.Header
		for at := c.fileURL(n, commit, file); ; {
			r, err := http.NewRequestWithContext(ctx, http.MethodHead, at, nil)
			if err != nil {
				return broken("%s leads %s to an address that can't be used: %w", c.base, file, err)
			}
			r.Header.Set("Accept-Encoding", "identity") // the length is to be the file's
			resp, err := direct.Do(r)
			if err != nil {
				return c.lost(err)
			}
			resp.Body.Close()
			answers = append([]http.Header{resp.Header}, answers...)
			to, err := resp.Location()
			redirect := resp.StatusCode >= 300 && resp.StatusCode < 400 && err == nil
			if redirect && resp.Header.Get("X-Linked-Etag") == "" && sameOrigin(to, c.base) && len(answers) < 10 {
				at = to.String()
				continue
			}
			if !redirect || resp.Header.Get("X-Linked-Etag") == "" {
				if err := statusFault(resp.StatusCode, resp.Header, c.asked(n, file), time.Now()); err != nil {
					return err
				}
			}
			break
		}
		if f, err = describe(file, commit, answers); err != nil {
			return broken("%s describes %s of %s in a way that can't be used: %w", c.base, file, n.ID(), err)
		}
		return nil
	})
	return f, err
}

// lost is a connection that failed.
func (c *client) lost(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // its address may be signed, and is long
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return broken("%s can't be reached: %w; check the connection, HTTPS_PROXY and HF_ENDPOINT", c.base, err)
	}
	return passing("the connection to %s failed: %w; run this again and it goes on where it stopped", c.base, err)
}

// retry does it again while it fails in a way that may pass, up to n times.
func (c *client) retry(ctx context.Context, n int, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause, again := pauseAfter(err, try)
		if err == nil || !again || try == n {
			return err
		}
		if err := c.wait(ctx, pause); err != nil {
			return err
		}
	}
}

// pauseAfter says whether to try again after the try-th failure, and when. A hub that
// wants more than a minute of patience gets it from the person.
func pauseAfter(err error, try int) (time.Duration, bool) {
	var f *fault
	if !errors.As(err, &f) || !f.again || f.after > time.Minute {
		return 0, false
	}
	return max(f.after, time.Second<<min(try-1, 4)), true
}

// watched is a body that fails where nothing arrives for too long.
type watched struct {
	io.ReadCloser
	timer *time.Timer
	stall time.Duration
	late  atomic.Bool // the timer has closed the body
}

func (c *client) watch(body io.ReadCloser) *watched {
	w := &watched{ReadCloser: body, stall: c.stall}
	w.timer = time.AfterFunc(c.stall, func() {
		w.late.Store(true)
		_ = body.Close()
	})
	return w
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if w.late.Load() {
		return n, fmt.Errorf("nothing has arrived for %v", w.stall)
	}
	if n > 0 {
		w.timer.Reset(w.stall)
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	return w.ReadCloser.Close()
}
