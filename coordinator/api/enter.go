package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/coordinator/access"
)

// callerKey is where a request's context has its access.Caller.
type callerKey struct{}

// who names the caller, for the audit log and beside a run.
func who(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(access.Caller); ok {
		return c.Name
	}
	return submitter
}

// enter lets an operation be reached by those whose token holds its scope.
func (a *api) enter(ctx huma.Context, next func(huma.Context)) {
	need, ok := ctx.Operation().Metadata[scopeKey].(access.Scope)
	switch {
	case a.Doors == nil || ok && need == public:
		next(ctx)
		return
	case !ok: // a route without a scope is closed, whoever asks
		a.Log.Error("an operation has no scope", "operation", ctx.Operation().OperationID)
		a.refuse(ctx, newProblem(http.StatusForbidden, "nobody may do that", ""))
		return
	}
	c, err := a.Doors.Enter(ctx.Context(), bearer(ctx.Header("Authorization")), need)
	if err != nil {
		a.refuse(ctx, a.refusal(err))
		return
	}
	next(huma.WithValue(ctx, callerKey{}, c))
}

// bearer is the token of an Authorization header, or "".
func bearer(header string) string {
	scheme, secret, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// refusal says why a token didn't open the door.
func (a *api) refusal(err error) *Problem {
	const make = "an admin makes one: paceline token create --scope submit"
	switch {
	case errors.Is(err, access.ErrUnknown):
		return newProblem(http.StatusUnauthorized, "no token that this coordinator knows: "+err.Error(),
			"send Authorization: Bearer TOKEN (the command line takes it from PACELINE_TOKEN); "+make)
	case errors.Is(err, access.ErrEnded):
		return newProblem(http.StatusUnauthorized, err.Error(), make)
	case errors.Is(err, access.ErrScope):
		return newProblem(http.StatusForbidden, err.Error(), "use a token of that scope")
	}
	a.Log.Error("token not checked", "error", err)
	return newProblem(http.StatusServiceUnavailable, "the token can't be checked", "the coordinator's log says why; try again")
}

func (a *api) refuse(ctx huma.Context, p *Problem) {
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", `Bearer realm="paceline"`)
	}
	ctx.SetHeader("Content-Type", problemType)
	ctx.SetStatus(p.Status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(p) // the peer is gone, else
}
