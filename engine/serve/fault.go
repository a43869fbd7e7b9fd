package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
)

// Kinds of failure, as OpenAI names them.
const (
	typeRequest    = "invalid_request_error"
	typeServer     = "server_error"
	typeOverloaded = "rate_limit_error"
)

// codeStopping is the code of failures that the end of the server is the reason of.
const codeStopping = "shutting_down"

// failure is an answer that isn't what was asked for.
type failure struct {
	status  int
	message string
	kind    string
	param   string // "" for none: null in the answer
	code    string // likewise
	retry   time.Duration
}

func (f *failure) Error() string { return f.message }

// refuse is a request that must be changed before it is sent again. param names what.
func refuse(param, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, kind: typeRequest, param: param, message: fmt.Sprintf(format, args...)}
}

// unavailable is an answer while the server stops.
func unavailable() *failure {
	return &failure{
		status: http.StatusServiceUnavailable, kind: typeServer, code: codeStopping, retry: time.Second,
		message: "the server is shutting down: ask another, or again once it is back",
	}
}

// failureOf says who has to act on an error of the engine.
func failureOf(err error) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, engine.ErrClosed):
		return unavailable()
	case errors.Is(err, backend.ErrFault):
		return &failure{status: http.StatusServiceUnavailable, kind: typeServer, code: "engine_fault", message: "the engine's backend broke, restart the server: " + err.Error()}
	}
	return &failure{status: http.StatusInternalServerError, kind: typeServer, message: err.Error()}
}

// MarshalJSON gives OpenAI's shape of an error.
func (f *failure) MarshalJSON() ([]byte, error) {
	orNull := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	return json.Marshal(struct {
		Error inner `json:"error"`
	}{inner{f.message, f.kind, orNull(f.param), orNull(f.code)}})
}

// write answers a request with the failure.
func (f *failure) write(w http.ResponseWriter) {
	if f.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(f.retry.Seconds()))))
	}
	writeJSON(w, f.status, f)
}
