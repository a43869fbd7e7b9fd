package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/level"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/suites/spec"
)

// Problem is an error as it is sent (RFC 9457), with what to do next.
type Problem struct {
	Title  string              `json:"title"`
	Status int                 `json:"status"`
	Detail string              `json:"detail"`
	Errors []*huma.ErrorDetail `json:"errors,omitempty"`
	Fix    string              `json:"fix,omitempty"`
}

// Error makes *Problem an error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus gives the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is that of problem details.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

func newProblem(status int, detail, fix string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Fix: fix}
}

// writeProblem sends a problem where huma isn't yet in charge.
func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the peer is gone, else
}

// meanings says which status an error has and what to do about it: the one place
// where the program's errors become HTTP's. The first that matches holds.
func meanings() []struct {
	err    error
	status int
	fix    string
} {
	return []struct {
		err    error
		status int
		fix    string
	}{
		{core.ErrRequest, http.StatusBadRequest, "mend what errors names and send it again"},
		{level.ErrRequest, http.StatusBadRequest, ""},
		{baseline.ErrNotFile, http.StatusBadRequest, ""},
		{baseline.ErrFileVersion, http.StatusBadRequest, ""},
		{ledger.ErrNotFound, http.StatusNotFound, "check the id: GET " + Prefix + "/runs, /series and /suites list what there is"},
		{ledger.ErrState, http.StatusConflict, "read it again: it has moved on since"},
		{ledger.ErrExists, http.StatusConflict, "send the request again: it gets another id"},
		{ledger.ErrForeign, http.StatusForbidden, ""},
		{ledger.ErrInvalid, http.StatusBadRequest, "mend the request"},
		{ledger.ErrFull, http.StatusInsufficientStorage, "free space on the disk that has the data folder; nothing that was there is lost"},
		{ledger.ErrReadOnly, http.StatusServiceUnavailable, "give the coordinator the right to write to its data folder"},
		{ledger.ErrCorrupt, http.StatusInternalServerError, "the database is damaged: stop the coordinator and bring back a copy"},
		{ledger.ErrClosed, http.StatusServiceUnavailable, "the coordinator is stopping: try again once it is back"},
		{context.DeadlineExceeded, http.StatusGatewayTimeout, "try again, or ask for less at once"},
		{context.Canceled, http.StatusServiceUnavailable, "try again"},
	}
}

// fail turns an error into what is sent. What nobody foresaw goes to the log in full
// and to the caller without its text.
func (a *api) fail(doing string, err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	for _, m := range meanings() {
		if !errors.Is(err, m.err) {
			continue
		}
		p := newProblem(m.status, doing+": "+m.err.Error(), m.fix)
		if m.status == http.StatusBadRequest {
			p.Errors = causes(err)
		}
		if m.status >= http.StatusInternalServerError {
			a.Log.Error("request failed", "doing", doing, "error", err)
		}
		return p
	}
	a.Log.Error("request failed", "doing", doing, "error", err)
	return newProblem(http.StatusInternalServerError, doing+": the coordinator failed", "the coordinator's log says why")
}

// maxCauses bounds how many mistakes are named at once.
const maxCauses = 200

// causes names everything that is wrong with a request: each mistake of a suite with
// its place, and each error that was joined.
func causes(err error) []*huma.ErrorDetail {
	var out []*huma.ErrorDetail
	var walk func(error)
	walk = func(err error) {
		if err == core.ErrRequest || len(out) >= maxCauses {
			return
		}
		if ps, ok := err.(spec.Problems); ok {
			for _, p := range ps {
				if len(out) < maxCauses {
					out = append(out, &huma.ErrorDetail{Message: p.String(), Location: "body.suite"})
				}
			}
			return
		}
		switch u := err.(type) {
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				walk(e)
			}
			return
		case interface{ Unwrap() error }:
			inner := u.Unwrap()
			var ps spec.Problems
			if inner != core.ErrRequest && (errors.As(inner, &ps) || errors.Is(inner, core.ErrRequest)) {
				walk(inner)
				return
			}
		}
		message := strings.TrimPrefix(err.Error(), core.ErrRequest.Error()+": ")
		out = append(out, &huma.ErrorDetail{Message: message, Location: "body"})
	}
	walk(err)
	return out
}

// withFix says what to do about the errors that huma itself finds.
func withFix(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := &Problem{Title: m.Title, Status: m.Status, Detail: m.Detail, Errors: m.Errors}
	for _, e := range p.Errors {
		if s, ok := e.Value.(string); ok && len(s) > 200 {
			e.Value = strings.ToValidUTF8(s[:200], "") + "…" // never a whole suite
		} else if !ok {
			e.Value = nil
		}
	}
	switch p.Status {
	case http.StatusBadRequest:
		p.Fix = "send JSON as " + BasePath + "/docs describes it"
	case http.StatusUnprocessableEntity:
		p.Fix = "mend what errors names: " + BasePath + "/docs has every field and its limits"
	case http.StatusRequestEntityTooLarge:
		p.Fix = "send less: the body is over the limit"
	case http.StatusUnsupportedMediaType:
		p.Fix = "send Content-Type: application/json"
	case http.StatusRequestTimeout:
		p.Fix = "send the body faster"
	}
	return p, nil
}
