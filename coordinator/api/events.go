package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

// maxStreams bounds the streams of events that are open at once.
const maxStreams = 256

// Names of server-sent events.
const (
	eventChange   = "change"
	eventProgress = "progress"
)

// Position is where a stream begins. A browser that reconnects sends the header by
// itself, so that holds before the query.
type Position struct {
	LastEventID int64 `header:"Last-Event-ID" minimum:"0" doc:"Events after it; stronger than after"`
	After       int64 `query:"after" minimum:"-1" default:"-1" doc:"Events after it; -1: a run's from the first, all runs' from now"`
}

func (a *api) events(h huma.API) {
	reg := h.OpenAPI().Components.Schemas
	reg.Schema(reflect.TypeFor[ledger.Event](), true, "")
	reg.Schema(reflect.TypeFor[wire.Progress](), true, "")
	const what = "Server-sent events: `change` has the cursor as its id and a LedgerEvent as data; `progress` has a WireProgress, is never stored and may be missed"

	op := get("/runs/{id}/events", "watch-run", "events", "Watch a run", "Changes and progress of one run. The stream stays open after the run is decided.", http.StatusNotFound)
	huma.Register(h, streamed(op, "text/event-stream", what), func(ctx context.Context, in *struct {
		RunID
		Position
	},
	) (*huma.StreamResponse, error) {
		if _, err := a.Runs.Get(ctx, in.ID); err != nil {
			return nil, a.fail("watch run "+in.ID, err)
		}
		return a.stream(ctx, in.ID, in.Position)
	})
	op = get("/events", "watch-all", "events", "Watch everything", "Changes of every run; no progress.")
	huma.Register(h, streamed(op, "text/event-stream", what), func(ctx context.Context, in *Position) (*huma.StreamResponse, error) {
		return a.stream(ctx, "", *in)
	})
}

// from is the cursor that a stream begins after. One that the ledger hasn't reached
// is another ledger's: then everything is new.
func (p Position) from(run string, last int64) int64 {
	after := p.After
	if p.LastEventID > 0 {
		after = p.LastEventID
	}
	switch {
	case after > last:
		return 0
	case after >= 0:
		return after
	case run == "":
		return last
	}
	return 0
}

// stream sends events until the reader goes or the server stops.
func (a *api) stream(ctx context.Context, run string, p Position) (*huma.StreamResponse, error) {
	last, err := a.Events.Last(ctx)
	if err != nil {
		return nil, a.fail("watch", err)
	}
	select {
	case a.streams <- struct{}{}:
	default:
		return nil, newProblem(http.StatusServiceUnavailable, fmt.Sprintf("%d streams are open, which is the limit", maxStreams), "close pages that nobody looks at")
	}
	live := make(chan wire.Progress, 64)
	unlive := func() {}
	if run != "" {
		unlive, err = a.Core.Live(run, func(p wire.Progress) {
			select {
			case live <- p:
			default: // the reader is slow: a newer one follows
			}
		})
		if err != nil {
			<-a.streams
			return nil, a.fail("watch run "+run, err)
		}
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer func() { unlive(); <-a.streams }()
		g := humagin.Unwrap(h)
		g.Header("Content-Type", "text/event-stream")
		w := newPatient(g.Writer)
		if err := a.follow(g.Request.Context(), w, run, p.from(run, last), live); err != nil {
			a.Log.Warn("stream ended", "run", run, "error", err)
		}
	}}, nil
}

// follow writes the stream. That the reader has gone is no error.
func (a *api) follow(ctx context.Context, w *patient, run string, cursor int64, live <-chan wire.Progress) error {
	ctx, cancel := context.WithCancel(ctx)
	changes, ended := make(chan ledger.Event), make(chan error, 1)
	go func() {
		ended <- a.Core.Follow(ctx, cursor, run, func(e ledger.Event) error {
			select {
			case changes <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	followed := false
	defer func() {
		cancel()
		if !followed {
			<-ended
		}
	}()
	quiet := time.NewTicker(a.heartbeat)
	defer quiet.Stop()
	text := ": paceline\nretry: 1000\n\n"
	for {
		if _, err := w.Write([]byte(text)); err != nil {
			return nil
		}
		if err := w.rc.Flush(); err != nil {
			return nil
		}
		var err error
		select {
		case e := <-changes:
			text, err = sse(eventChange, e.ID, e)
		case p := <-live:
			text, err = sse(eventProgress, 0, p)
		case <-quiet.C:
			text = ":\n\n"
		case <-stopping(ctx):
			return nil
		case <-ctx.Done():
			return nil
		case err = <-ended:
			followed = true
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow changes: %w", err)
		}
		if err != nil {
			return err
		}
	}
}

// sse is one server-sent event. JSON has no line breaks, so that data is one line.
func sse(name string, id int64, data any) (string, error) {
	b, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("encode an event: %w", err)
	}
	if id > 0 {
		return fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", name, id, b), nil
	}
	return fmt.Sprintf("event: %s\ndata: %s\n\n", name, b), nil
}
