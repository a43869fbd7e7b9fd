// Package live tells an open page that something changed, by server-sent events.
//
// Two kinds are sent: "change", whose id is the ledger's event cursor, so that
// a browser that reconnects misses nothing; and "progress", which is only shown and
// may be lost. What a page shows is read anew from the ledger (dashboard/page).
package live

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

// heartbeat keeps proxies from closing a quiet stream, and finds readers that left.
const heartbeat = 15 * time.Second

// Progress hears announcements of a subject; internal/bus has it.
type Progress interface {
	Subscribe(subject string, h func(subject string, data []byte)) (stop func(), err error)
}

// Feed streams the changes of one run, or of all where Run is empty.
type Feed struct {
	Events   ledger.Events
	Progress Progress
	Subject  string // of the progress
	Run      string
}

// ServeHTTP streams until the reader leaves. A Last-Event-ID header, which browsers
// send when they reconnect, or the query "after" sets the cursor; without one the
// stream begins now.
func (f Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	cursor, err := f.cursor(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // a stream has no end; not every writer has deadlines
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if out.Flush() != nil {
		return
	}

	progress := make(chan []byte, 16)
	stop, err := f.Progress.Subscribe(f.Subject, func(_ string, data []byte) {
		select {
		case progress <- data:
		default: // the page is slower than the run: the next one tells more
		}
	})
	if err == nil {
		defer stop()
	}
	changes := make(chan []ledger.Event)
	go f.watch(ctx, cursor, changes)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var werr error
		select {
		case <-ctx.Done():
			return
		case events, ok := <-changes:
			if !ok {
				return // the ledger is closed
			}
			werr = write(w, events)
		case data := <-progress:
			if json.Valid(data) {
				_, werr = fmt.Fprintf(w, "event: progress\ndata: %s\n\n", data)
			}
		case <-beat.C:
			_, werr = fmt.Fprint(w, ": here\n\n")
		}
		if werr != nil || out.Flush() != nil {
			return
		}
	}
}

func (f Feed) cursor(r *http.Request) (int64, error) {
	given := r.Header.Get("Last-Event-ID")
	if given == "" {
		given = r.URL.Query().Get("after")
	}
	if given == "" {
		return f.Events.Last(r.Context())
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("event cursor %q is no number: leave it out to begin now", given)
	}
	return n, nil
}

// watch hands on the events behind the cursor until ctx ends.
func (f Feed) watch(ctx context.Context, cursor int64, out chan<- []ledger.Event) {
	defer close(out)
	for {
		// The newest id is read first: what comes after it is not passed over.
		last, err := f.Events.Last(ctx)
		if err != nil {
			return
		}
		events, err := f.Events.After(ctx, cursor, f.Run, 0)
		if err != nil {
			return
		}
		if len(events) > 0 {
			cursor = events[len(events)-1].ID
			select {
			case out <- events:
			case <-ctx.Done():
				return
			}
			continue
		}
		// Events of other runs lie behind us: wait for what comes after all of them.
		cursor = max(cursor, last)
		if f.Events.Wait(ctx, cursor) != nil {
			return
		}
	}
}

// write sends one change for a burst of events; its id is the newest cursor.
func write(w http.ResponseWriter, events []ledger.Event) error {
	last := events[len(events)-1]
	b, err := json.Marshal(map[string]any{"run": last.Run, "kind": last.Kind})
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: change\ndata: %s\n\n", last.ID, b)
	return err
}
