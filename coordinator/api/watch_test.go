package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/internal/wire"
)

// recorder is a transport that notes the header with which streams are taken up.
type recorder struct {
	http.RoundTripper
	resumed chan string
}

func (r recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	if strings.HasSuffix(q.URL.Path, "/events") {
		select {
		case r.resumed <- q.Header.Get("Last-Event-ID"):
		default:
		}
	}
	return r.RoundTripper.RoundTrip(q)
}

// TestWatchResumes: the connection is cut again and again while a run goes on; every
// change comes once and in order.
func TestWatchResumes(t *testing.T) {
	w := newWorld(t)
	rec := recorder{http.DefaultTransport, make(chan string, 1000)}
	c, err := client.New("http://"+w.addr, client.Options{HTTP: &http.Client{Transport: rec}, RetryFrom: time.Millisecond, RetryTo: 5 * time.Millisecond})
	w.must(err)
	r := w.submit()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var ids []int64
	var kinds []string
	ended := make(chan error, 1)
	cut := make(chan struct{}, 100)
	go func() {
		ended <- c.Watch(ctx, r.ID, 0, func(e client.Change) error {
			ids, kinds = append(ids, e.ID), append(kinds, e.Kind)
			cut <- struct{}{}
			if e.Kind == "run.decided" {
				return client.ErrStop
			}
			return nil
		}, nil)
	}()
	addr := w.addr
	restart := func() {
		<-cut
		w.must(w.server.Close()) // connections break off in the middle
		w.start(addr)
	}
	restart()
	o := w.claim()
	restart()
	w.deliver(o, 1, 10)
	restart()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	want := "run.created attempt.queued attempt.leased attempt.running round attempt.done run.judging run.decided"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("changes %s\nwant %s", got, want)
	}
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			t.Errorf("ids %v", ids)
		}
	}
	first, resumed := <-rec.resumed, ""
	for len(rec.resumed) > 0 {
		resumed = <-rec.resumed
	}
	if first != "" || resumed == "" {
		t.Errorf("taken up with Last-Event-ID %q, then %q", first, resumed)
	}
}

// TestWaitOutlivesARestart: the listener goes and comes back on the same port.
func TestWaitOutlivesARestart(t *testing.T) {
	w := newWorld(t)
	r := w.submit()
	type answer struct {
		run client.Run
		err error
	}
	waited := make(chan answer, 1)
	go func() {
		r, err := w.Wait(t.Context(), r.ID)
		waited <- answer{r, err}
	}()
	o := w.claim()
	for outage := range 2 {
		addr := w.addr
		w.stop()
		if outage == 0 {
			w.eventually("a word about waiting", func() bool { return w.outages() > 0 })
		} else {
			w.deliver(o, 1, 10) // decided while nobody serves
		}
		w.start(addr)
		w.eventually("its answer", func() bool { _, err := w.Health(t.Context()); return err == nil })
	}
	got := <-waited
	if got.err != nil || got.run.State != client.StateDecided {
		t.Errorf("waited for %+v, %v", got.run, got.err)
	}
	if n := w.outages(); n > 4 {
		t.Errorf("said %d times that it waits, in 2 outages", n)
	}
}

// TestWaitEndsWithItsContext: also while nobody serves.
func TestWaitEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	r := w.submit()
	w.stop()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := w.Wait(ctx, r.ID); ended <- err }()
	w.eventually("a word about waiting", func() bool { return w.outages() > 0 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	if n := w.outages(); n != 1 {
		t.Errorf("said %d times that it waits, in one outage", n)
	}
	w.start(w.addr) // for the world's end
}

// TestProgress: what an agent publishes comes to who watches its run, and is not
// taken for a change.
func TestProgress(t *testing.T) {
	w := newWorld(t)
	r := w.submit()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	progress := make(chan wire.Progress, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- w.Watch(ctx, r.ID, r.Cursor, nil, func(p wire.Progress) {
			select {
			case progress <- p:
			default:
			}
		})
	}()
	want := wire.Progress{Run: r.ID, Round: 1, Phase: "warm-up", Done: 0.5}
	b, err := json.Marshal(want)
	w.must(err)
	w.eventually("progress", func() bool {
		w.must(w.bus.Publish(ctx, wire.Live(r.ID), b)) // it may be lost before the stream stands
		select {
		case got := <-progress:
			same(t, "progress", want, got)
			return true
		default:
			return false
		}
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v", err)
	}
}

// TestWatchAll: from now on without a cursor, from there with one.
func TestWatchAll(t *testing.T) {
	w := newWorld(t)
	first := w.submit()
	for cursor, want := range map[int64]string{0: "run.created attempt.queued", first.Cursor: "run.created attempt.queued", 1: ""} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var got []string
		var last string
		ready := make(chan error, 1)
		started := make(chan struct{})
		go func() {
			ready <- w.Watch(ctx, "", cursor, func(e client.Change) error {
				select {
				case <-started:
				default:
					close(started)
				}
				got = append(got, e.Kind)
				last = e.Run
				if len(got) == 2 {
					return client.ErrStop
				}
				return nil
			}, nil)
		}()
		if cursor != 1 { // nothing comes until something happens; the stream may stand later than that
			w.eventually("changes", func() bool {
				w.submit()
				select {
				case <-started:
					return true
				default:
					return false
				}
			})
		}
		if err := <-ready; err != nil {
			t.Errorf("from %d: %v", cursor, err)
		}
		cancel()
		if cursor == 1 && last != first.ID {
			t.Errorf("from %d: changes of %s, want of the first run", cursor, last)
		}
		if cursor != 1 && (strings.Join(got, " ") != want || last == first.ID) {
			t.Errorf("from %d: %v of %s, want %s", cursor, got, last, want)
		}
	}
}

// TestStreamsAreLimited: with every place taken the next is refused, and a place is
// free again when its stream ends.
func TestStreamsAreLimited(t *testing.T) {
	w := newWorld(t)
	r := w.submit()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := func(ctx context.Context) *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.addr+"/api/v1/runs/"+r.ID+"/events", nil)
		w.must(err)
		resp, err := http.DefaultClient.Do(req)
		w.must(err)
		return resp
	}
	for range maxStreams {
		resp := open(ctx)
		defer resp.Body.Close()
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%s", resp.Status)
		}
	}
	resp := open(t.Context())
	resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("one more gives %s", resp.Status)
	}
	cancel()
	w.eventually("a free place", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp := open(ctx)
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

// TestPositionOfAnotherLedger: a cursor that isn't reached yet is no reason to be
// silent for ever.
func TestPositionOfAnotherLedger(t *testing.T) {
	for _, c := range []struct {
		run                 string
		header, after, want int64
	}{
		{"", 0, -1, 7}, {"r", 0, -1, 0}, {"", 0, 0, 0}, {"", 0, 5, 5}, {"", 6, 5, 6}, {"", 8, -1, 0}, {"r", 0, 9, 0}, {"r", 7, -1, 7},
	} {
		if got := (Position{LastEventID: c.header, After: c.after}).from(c.run, 7); got != c.want {
			t.Errorf("%+v gives %d", c, got)
		}
	}
}
