package ledger

import (
	"context"
	"time"
)

// TokenKind says what a token is for.
type TokenKind string

// Kinds of tokens.
const (
	TokenAPI   TokenKind = "api"   // opens the HTTP API within its scopes
	TokenEnrol TokenKind = "enrol" // makes one agent, once
)

// TokenHash is the SHA-256 of a token's text. The text itself is kept nowhere: it is
// random enough that a fast hash gives nothing away.
type TokenHash [32]byte

// Token is what is known of a token.
type Token struct {
	ID       string    `json:"id"`
	Kind     TokenKind `json:"kind"`
	Name     string    `json:"name,omitempty"`   // for people: what it is used for
	Scopes   []string  `json:"scopes,omitempty"` // of an API token: "read", "submit", "admin"
	Agent    string    `json:"agent,omitempty"`  // of an enrolment token: the only name that it may enrol; empty: any that is free
	By       string    `json:"by,omitempty"`     // who made it
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	LastUsed time.Time `json:"last_used,omitzero"` // to the minute
	Spent    time.Time `json:"spent,omitzero"`     // of an enrolment token: when it made its agent
	Revoked  time.Time `json:"revoked,omitzero"`
}

// Tokens keeps tokens. It lies beside Ledger, whose callers have no business with it.
type Tokens interface {
	// Add writes a token; Created is the ledger's. ErrExists: the id or the hash is
	// taken. ErrInvalid: it never expires, or has expired already.
	Add(ctx context.Context, t Token, hash TokenHash) (Token, error)
	// Find reads the token that has the hash. ErrNotFound.
	Find(ctx context.Context, hash TokenHash) (Token, error)
	// Used notes that a token was used; at most once a minute is written.
	Used(ctx context.Context, id string) error
	// List gives all, newest first.
	List(ctx context.Context) ([]Token, error)
	// Revoke ends a token; repeating it is harmless. ErrNotFound.
	Revoke(ctx context.Context, id, by string) (Token, error)
	// Enrol spends an enrolment token for an agent, in one transaction. ErrNotFound:
	// no such token. ErrState: it is spent, expired, revoked, no enrolment token, or for
	// another name. ErrExists: the name is another agent's, and the token doesn't name
	// it. A token that names an agent gives it a new key. Asked again with the key that
	// the token was spent for, it gives the same agent: an answer may be lost.
	Enrol(ctx context.Context, hash TokenHash, a Agent) (Agent, error)
	// Caller writes the agent of a command that measures on its own machine, under the
	// rights of an API token. ErrExists: the id or the name is taken.
	Caller(ctx context.Context, a Agent) (Agent, error)
	// ByKey gives the agent with the public key. ErrNotFound.
	ByKey(ctx context.Context, public string) (Agent, error)
}
