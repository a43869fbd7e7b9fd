package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/internal/wire"
)

// ErrStop, returned by a callback of Watch, ends it without an error.
var ErrStop = errors.New("stop")

// Watch calls onChange with every change of a run after the cursor (Run.Cursor; 0:
// from the first), in order and each once, and onProgress with its progress as far as
// it comes by; of every run if run is empty, then without progress, and from now on if
// the cursor is 0. A stream that breaks is taken up where it ended, for as long as it
// takes. It returns when ctx ends, when onChange fails, or when the server says that
// the request is wrong (no such run). Either callback may be nil; they are called from
// one goroutine.
func (c *Client) Watch(ctx context.Context, run string, cursor int64, onChange func(Change) error, onProgress func(wire.Progress)) error {
	w := &watcher{Client: c, cursor: cursor, path: "/events", onChange: onChange, onProgress: onProgress}
	if run != "" {
		w.path = "/runs/" + url.PathEscape(run) + "/events"
	}
	p := c.patience()
	for {
		w.heard = false
		err := w.read(ctx)
		if w.failed != nil {
			if errors.Is(w.failed, ErrStop) {
				return nil
			}
			return w.failed
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if w.heard {
			p = c.patience() // it did answer: a new outage
		}
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}

// Wait returns the run once it is decided or cancelled. It outlives restarts of the
// server; Options.Waiting is told when it begins to wait for one.
func (c *Client) Wait(ctx context.Context, run string) (Run, error) {
	p := c.patience()
	for {
		r, err := c.Run(ctx, run)
		if err != nil {
			if err := p.pause(ctx, err); err != nil {
				return Run{}, err
			}
			continue
		}
		if r.Over() {
			return r, nil
		}
		p = c.patience()
		err = c.Watch(ctx, run, r.Cursor, func(e Change) error {
			if e.Kind == "run."+StateDecided || e.Kind == "run."+StateCancelled {
				return ErrStop
			}
			return nil
		}, nil)
		if err != nil {
			return r, err
		}
	}
}

// patience is one outage of the server: how long the next pause is, and whether
// anybody was told.
type patience struct {
	opts Options
	next time.Duration
	told bool
}

func (c *Client) patience() *patience { return &patience{opts: c.opts, next: c.opts.RetryFrom} }

// pause waits before another try. It gives the error back if trying again is of no
// use, and ctx's when that ends.
func (p *patience) pause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var e *Error
	if errors.As(err, &e) && !e.again() && e.Status < 500 || err != nil && e == nil && !errors.Is(err, ErrUnreachable) {
		return err
	}
	if err != nil && !p.told && p.opts.Waiting != nil {
		p.told = true
		p.opts.Waiting(err)
	}
	t := time.NewTimer(p.next/2 + rand.N(p.next/2+1)) // not all at once after a restart
	defer t.Stop()
	p.next = min(2*p.next, p.opts.RetryTo)
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watcher reads one stream after the other.
type watcher struct {
	*Client
	path       string
	cursor     int64
	onChange   func(Change) error
	onProgress func(wire.Progress)

	heard  bool  // something came by this stream
	failed error // of a callback
}

// maxEventBytes bounds one line of a stream.
const maxEventBytes = 4 << 20

// read takes up the stream and reads it until it ends.
func (w *watcher) read(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{"Accept": {"text/event-stream"}}
	if w.cursor > 0 {
		header.Set("Last-Event-ID", strconv.FormatInt(w.cursor, 10))
	}
	resp, err := w.send(ctx, http.MethodGet, w.path, nil, nil, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	silent := time.AfterFunc(w.opts.Silence, func() { cancel(fmt.Errorf("nothing came for %s", w.opts.Silence)) })
	defer silent.Stop()
	err = events(resp.Body, func() { w.heard = true; silent.Reset(w.opts.Silence) }, w.take)
	if w.failed == nil && err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("%w: the stream broke off: %w", ErrUnreachable, err)
	}
	return err
}

// take hands one event on. It fails only with w.failed set.
func (w *watcher) take(name, data string) error {
	switch name {
	case "change":
		var e Change
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			w.failed = fmt.Errorf("read a change: %w: is that a coordinator of a matching version?", err)
			return w.failed
		}
		if w.onChange != nil {
			if err := w.onChange(e); err != nil {
				w.failed = err
				return err
			}
		}
		w.cursor = e.ID
	case "progress":
		var p wire.Progress
		if err := json.Unmarshal([]byte(data), &p); err == nil && w.onProgress != nil { // a pity, but no more
			w.onProgress(p)
		}
	}
	return nil
}

// events reads server-sent events: beat is called for every line, f for every event
// with data.
func events(r io.Reader, beat func(), f func(name, data string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxEventBytes)
	var name string
	var data []string
	for lines.Scan() {
		beat()
		line := lines.Text()
		if line == "" {
			if len(data) > 0 {
				if err := f(name, strings.Join(data, "\n")); err != nil {
					return err
				}
			}
			name, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data = append(data, value)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
