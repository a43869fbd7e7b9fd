package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/ledger"
)

// TokenAsked describes a token that is to be made.
type TokenAsked struct {
	Kind       string  `json:"kind" enum:"api,enrol" doc:"api opens this API; enrol makes one agent, once"`
	Name       string  `json:"name,omitempty" maxLength:"200" doc:"What it is for; shown beside what is done with it"`
	Scope      string  `json:"scope,omitempty" enum:"read,submit,admin" doc:"Of an API token; each holds what stands before it"`
	Agent      string  `json:"agent,omitempty" maxLength:"200" doc:"Of an enrolment token: the only name that it may enrol; a machine of that name that is there gets its new key"`
	ExpiresSec float64 `json:"expires_sec" minimum:"60" maximum:"31622400" doc:"From now"`
}

// TokenMade is a token with its text, which is shown this once.
type TokenMade struct {
	ledger.Token
	Secret string `json:"secret" doc:"The token. It is kept nowhere and can't be shown again"`
}

// TokenList is every token.
type TokenList struct {
	Tokens []ledger.Token `json:"tokens" doc:"Newest first, without their texts"`
}

func (a *api) tokens(h huma.API) {
	op := needs(access.Admin, operation(http.MethodPost, "/tokens", "create-token", "access", "Make a token", "Its text is in the answer and nowhere else.", http.StatusBadRequest, http.StatusNotImplemented))
	op.DefaultStatus = http.StatusCreated
	huma.Register(h, op, func(ctx context.Context, in *struct{ Body TokenAsked }) (*body[TokenMade], error) {
		if a.Doors == nil {
			return nil, noTokens()
		}
		made, err := a.makeToken(ctx, in.Body)
		if err != nil {
			return nil, a.fail("make a token", err)
		}
		return &body[TokenMade]{made}, nil
	})
	list := needs(access.Admin, get("/tokens", "list-tokens", "access", "List tokens", "What is known of each; never its text.", http.StatusNotImplemented))
	huma.Register(h, list, func(ctx context.Context, _ *struct{}) (*body[TokenList], error) {
		if a.Doors == nil {
			return nil, noTokens()
		}
		ts, err := a.Doors.Tokens.List(ctx)
		if err != nil {
			return nil, a.fail("list tokens", err)
		}
		return &body[TokenList]{TokenList{orEmpty(ts)}}, nil
	})
	revoke := needs(access.Admin, operation(http.MethodPost, "/tokens/{id}/revoke", "revoke-token", "access", "Revoke a token", "At once and for good; repeating it is harmless.", http.StatusNotFound, http.StatusNotImplemented))
	huma.Register(h, revoke, func(ctx context.Context, in *struct {
		ID string `path:"id" maxLength:"64"`
	},
	) (*body[ledger.Token], error) {
		if a.Doors == nil {
			return nil, noTokens()
		}
		t, err := a.Doors.Tokens.Revoke(ctx, in.ID, who(ctx))
		if err != nil {
			return nil, a.fail("revoke token "+in.ID, err)
		}
		return &body[ledger.Token]{t}, nil
	})
}

// noTokens answers where the server has none.
func noTokens() *Problem {
	return newProblem(http.StatusNotImplemented, "this server has no tokens: it serves its own machine only", "start `paceline coordinator` for a server that others reach")
}

func (a *api) makeToken(ctx context.Context, q TokenAsked) (TokenMade, error) {
	t := ledger.Token{Kind: ledger.TokenKind(q.Kind), Name: q.Name, By: who(ctx), Expires: a.Now().UTC().Add(time.Duration(q.ExpiresSec * float64(time.Second)))}
	switch {
	case t.Kind == ledger.TokenEnrol && q.Scope != "":
		return TokenMade{}, fmt.Errorf("an enrolment token has no scope: %w", ledger.ErrInvalid)
	case t.Kind == ledger.TokenEnrol:
		t.Agent = q.Agent
	case q.Agent != "":
		return TokenMade{}, fmt.Errorf("an API token is for no agent: %w", ledger.ErrInvalid)
	default:
		scope, err := access.ParseScope(q.Scope)
		if err != nil {
			return TokenMade{}, fmt.Errorf("%w: %w", ledger.ErrInvalid, err)
		}
		t.Scopes = []string{string(scope)}
	}
	secret, hash, err := access.New(rand.Reader, t.Kind)
	if err != nil {
		return TokenMade{}, err
	}
	if t.ID, err = newID(); err != nil {
		return TokenMade{}, err
	}
	if t, err = a.Doors.Tokens.Add(ctx, t, hash); err != nil {
		return TokenMade{}, err
	}
	return TokenMade{Token: t, Secret: secret}, nil
}
