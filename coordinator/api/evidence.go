package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/format"
)

// writeWait bounds how long a reader of a stream may take none of it.
const writeWait = 30 * time.Second

// evidence has what stands behind a verdict: the report, the result file, samples.
func (a *api) evidence(h huma.API) {
	huma.Register(h, get("/runs/{id}/report", "get-report", "evidence", "Read a run's report", "The verdict with every step of it. While the run isn't decided, what stands so far.",
		http.StatusNotFound), func(ctx context.Context, in *RunID) (*body[format.Report], error) {
		rep, err := a.Core.Report(ctx, in.ID)
		if err != nil {
			return nil, a.fail("read the report of run "+in.ID, err)
		}
		return &body[format.Report]{rep}, nil
	})
	huma.Register(h, get("/runs/{id}/result", "get-result", "evidence", "Read a run's result file", "Everything but the samples, in the versioned format of result files.",
		http.StatusNotFound), func(ctx context.Context, in *RunID) (*body[result.Document], error) {
		doc, err := a.Core.Document(ctx, in.ID)
		if err != nil {
			return nil, a.fail("read the result of run "+in.ID, err)
		}
		doc.Rounds = orEmpty(doc.Rounds)
		return &body[result.Document]{doc}, nil
	})
	op := get("/runs/{id}/samples", "get-samples", "evidence", "Read a run's samples", "Every request as far as it is delivered, one JSON object a line. A stream that breaks off is not whole.", http.StatusNotFound)
	huma.Register(h, streamed(op, "application/jsonl", "Samples, JSON Lines"), func(ctx context.Context, in *RunID) (*huma.StreamResponse, error) {
		if _, err := a.Runs.Get(ctx, in.ID); err != nil {
			return nil, a.fail("read the samples of run "+in.ID, err)
		}
		return a.samples(in.ID), nil
	})
}

// samples streams them. An error after the first byte ends the connection without
// the end of the stream, which a reader notices.
func (a *api) samples(run string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(h huma.Context) {
		g := humagin.Unwrap(h)
		g.Header("Content-Type", "application/jsonl")
		w := bufio.NewWriterSize(newPatient(g.Writer), 64<<10)
		enc := json.NewEncoder(w)
		err := a.Core.Samples(g.Request.Context(), run, func(s result.Sample) error { return enc.Encode(&s) })
		if err == nil {
			err = w.Flush()
		}
		if err != nil {
			if g.Request.Context().Err() == nil {
				a.Log.Warn("samples broke off", "run", run, "error", err)
			}
			panic(http.ErrAbortHandler)
		}
	}}
}

// patient is a response that takes as long as its reader goes on reading: the
// server's limits of time are for a whole answer, these are for each piece.
type patient struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func newPatient(w http.ResponseWriter) *patient {
	p := &patient{w, http.NewResponseController(w)}
	_ = p.rc.SetReadDeadline(time.Time{}) // without support there is no limit to lift
	return p
}

// Write gives the reader writeWait for this piece.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(writeWait))
	return p.ResponseWriter.Write(b)
}

// Unwrap lets an http.ResponseController find the connection.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }
