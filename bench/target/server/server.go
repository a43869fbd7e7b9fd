// Package server starts a server by its launch recipe, waits until it can be
// measured, and ends it with everything that it started. One start is one round.
//
// It measures nothing: what speaks to the server is given to Start, such as package
// openai's target.
package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/internal/proc"
)

// Options of a start.
type Options struct {
	Recipe Recipe
	// Connect opens what measures the server at its address.
	Connect func(ctx context.Context, url string) (target.Target, error)
	Log     func(line string) // every line that the server writes; may be nil
}

// Target is a started server. Close ends it, and so does the end of Start's context.
type Target struct {
	target.Target // what measures it

	child   *proc.Child
	out     *output
	hash    string
	started time.Time
	unwatch func() bool // the end of Start's context no longer ends the server
}

// grace is how long a server may take to end by itself once it is told to: one that
// runs in a container has to end that too.
const grace = 10 * time.Second

// Start starts the server and returns when it is ready. An error names what was
// started and the last lines that it wrote.
func Start(ctx context.Context, o Options) (*Target, error) {
	port, err := proc.FreePort()
	if err != nil {
		return nil, err
	}
	r, err := o.Recipe.filled(port)
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	path, err := exec.LookPath(r.Args[0])
	if err != nil {
		return nil, fmt.Errorf("start the server: %w: is the program installed, and its path right?", err)
	}
	t := &Target{out: &output{log: o.Log, over: make(chan struct{})}}
	if t.hash, err = proc.Digest(path); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	t.started = time.Now()
	// Not under ctx, whose end would kill it at once: it is told first.
	if t.child, err = proc.Start(context.WithoutCancel(ctx), proc.Options{Args: append([]string{path}, r.Args[1:]...), Env: r.Env, Log: t.out.line}); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	t.unwatch = context.AfterFunc(ctx, func() { t.child.Terminate(grace) })
	go t.out.read(t.child.Stdout)
	err = t.ready(ctx, r)
	if err == nil {
		t.Target, err = o.Connect(ctx, r.URL)
	}
	if err != nil {
		t.unwatch()
		t.child.Terminate(grace)
		return nil, fmt.Errorf("start the server %s: %w%s", r.Args[0], err, t.out.last())
	}
	return t, nil
}

// Started is when the server's process was started.
func (t *Target) Started() time.Time { return t.started }

// readyEvery is how often a server that isn't ready is asked again.
const readyEvery = 50 * time.Millisecond

// ready waits until the server answers 200 on its ready path. It gives up when the
// process ends, and after the recipe's time.
func (t *Target) ready(ctx context.Context, r Recipe) error {
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	limit := time.NewTimer(r.ReadyTimeout)
	defer limit.Stop()
	last := "it was not asked yet"
	for {
		ok, why := healthy(ctx, client, strings.TrimSuffix(r.URL, "/")+r.Ready)
		if ok {
			return nil
		}
		last = why
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.child.Ended():
			how := "it ended by itself"
			if err := t.child.Wait(); err != nil {
				how, _, _ = strings.Cut(err.Error(), ":") // its last lines follow anyway
			}
			return fmt.Errorf("it ended before it was ready (%s)", how)
		case <-limit.C:
			return fmt.Errorf("it is not ready after %v: GET %s: %s", r.ReadyTimeout, r.Ready, last)
		case <-time.After(readyEvery):
		}
	}
}

func healthy(ctx context.Context, client *http.Client, url string) (ok bool, why string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err.Error()
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return resp.StatusCode == http.StatusOK, "status " + resp.Status
}

// Do makes a request. Where it fails because the server is gone, the error says how
// that ended.
func (t *Target) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	reply, err := t.Target.Do(ctx, r, sink)
	if err == nil || ctx.Err() != nil {
		return reply, err
	}
	select {
	case <-t.child.Ended():
		return reply, fmt.Errorf("%w: the server has ended%s", err, t.out.last())
	default:
		return reply, err
	}
}

// Identity is that of the server, with the digest of the program that was started.
func (t *Target) Identity(ctx context.Context) (result.Identity, error) {
	id, err := t.Target.Identity(ctx)
	id.BinaryHash = t.hash
	return id, err
}

// Usage is the memory of the server's processes.
func (t *Target) Usage(context.Context) (target.Usage, error) {
	h := host.Open()
	rss, err := h.RSSPeakTree(t.child.Pid())
	if err != nil {
		return target.Usage{}, err
	}
	now, err := h.RSSTree(t.child.Pid())
	return target.Usage{ProcessRSSPeak: &rss, InUse: &now}, err
}

// Traits are those of what measures it.
func (t *Target) Traits() target.Traits { return target.TraitsOf(t.Target) }

// Notes are those of what measures it.
func (t *Target) Notes() []string { return target.NotesOf(t.Target) }

// Close ends the server and everything that it started.
func (t *Target) Close() error {
	err := t.Target.Close()
	t.unwatch()
	t.child.Terminate(grace)
	return err
}

// Limits of what is kept of a server's output.
const (
	keptLines = 12
	keptWidth = 300
)

// output hands a server's lines on and keeps the last ones.
type output struct {
	log  func(string)
	over chan struct{} // closed at the end of standard output

	mu   sync.Mutex // guards what follows
	kept []string
}

func (o *output) line(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		o.log(s)
	}
	if s = strings.TrimSpace(s); s == "" {
		return
	}
	if r := []rune(strings.ToValidUTF8(s, "\ufffd")); len(r) > keptWidth {
		s = string(r[:keptWidth]) + "…"
	}
	if o.kept = append(o.kept, s); len(o.kept) > keptLines {
		o.kept = o.kept[1:]
	}
}

// read takes standard output to its end, so that the server never waits for room.
func (o *output) read(r io.Reader) {
	defer close(o.over)
	in := bufio.NewReader(r)
	for {
		s, err := in.ReadSlice('\n')
		if len(s) > 0 {
			o.line(strings.TrimRight(string(s), "\r\n"))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// last gives the last lines for an error, once the process has ended.
func (o *output) last() string {
	select {
	case <-o.over:
	case <-time.After(time.Second): // a grandchild holds it open
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.kept) == 0 {
		return "; it wrote nothing"
	}
	return "; its last lines:\n  " + strings.Join(o.kept, "\n  ")
}
