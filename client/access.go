package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Token is what is known of a token; never its text.
type Token struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"` // "api", "enrol"
	Name     string    `json:"name,omitempty"`
	Scopes   []string  `json:"scopes,omitempty"`
	Agent    string    `json:"agent,omitempty"` // of an enrolment token: the only name that it may enrol
	By       string    `json:"by,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	LastUsed time.Time `json:"last_used,omitzero"`
	Spent    time.Time `json:"spent,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// Ended says whether the token is of no use at a moment, and why: "revoked", "used",
// "expired"; "" while it is good.
func (t Token) Ended(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Spent.IsZero():
		return "used"
	case !now.Before(t.Expires):
		return "expired"
	}
	return ""
}

// TokenRequest describes a token that is to be made.
type TokenRequest struct {
	Kind       string  `json:"kind"` // "api", "enrol"
	Name       string  `json:"name,omitempty"`
	Scope      string  `json:"scope,omitempty"` // of an API token: "read", "submit", "admin"
	Agent      string  `json:"agent,omitempty"`
	ExpiresSec float64 `json:"expires_sec"` // from now, 60 to 366 days
}

// NewToken is a token with its text, which is told this once.
type NewToken struct {
	Token
	Secret string `json:"secret"`
}

// CreateToken makes a token; it needs the scope admin.
func (c *Client) CreateToken(ctx context.Context, t TokenRequest) (NewToken, error) {
	return call[NewToken](ctx, c, http.MethodPost, "/tokens", nil, t)
}

// Tokens lists tokens, newest first; it needs the scope admin.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	l, err := call[struct {
		Tokens []Token `json:"tokens"`
	}](ctx, c, http.MethodGet, "/tokens", nil, nil)
	return l.Tokens, err
}

// RevokeToken ends a token for good; it needs the scope admin.
func (c *Client) RevokeToken(ctx context.Context, id string) (Token, error) {
	return call[Token](ctx, c, http.MethodPost, "/tokens/"+url.PathEscape(id)+"/revoke", nil, struct{}{})
}

// Enrolment is a machine that wants to be an agent.
type Enrolment struct {
	Token     string            `json:"token"` // an enrolment token
	Name      string            `json:"name"`
	PublicKey string            `json:"public_key"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Enrolled is an agent and where it connects with its key.
type Enrolled struct {
	Agent  Agent  `json:"agent"`
	BusURL string `json:"bus_url"`
}

// Enrol spends an enrolment token for an agent.
func (c *Client) Enrol(ctx context.Context, e Enrolment) (Enrolled, error) {
	return call[Enrolled](ctx, c, http.MethodPost, "/agents/enrol", nil, e)
}

// EnrolCalling makes an agent for a command that measures on its own machine; it needs
// the scope submit. End it with Leave.
func (c *Client) EnrolCalling(ctx context.Context, host, publicKey string) (Enrolled, error) {
	return call[Enrolled](ctx, c, http.MethodPost, "/agents/calling", nil, struct {
		Host      string `json:"host"`
		PublicKey string `json:"public_key"`
	}{host, publicKey})
}

// Leave ends the agent of a calling machine.
func (c *Client) Leave(ctx context.Context, agent string) error {
	_, err := call[Agent](ctx, c, http.MethodPost, "/agents/"+url.PathEscape(agent)+"/leave", nil, struct{}{})
	return err
}
