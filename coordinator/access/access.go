// Package access says who may do what: it makes tokens, recognises them, and decides
// whether one reaches for what is asked.
//
// It is pure but for the tokens that it reads and writes through ledger.Tokens. Which
// right a route needs is said where the route is, in coordinator/api; who an agent is
// on the bus is internal/bus's.
package access

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

// Scope is a right of an API token. Each holds what stands before it.
type Scope string

// Scopes, from the least to the most.
const (
	Read   Scope = "read"   // look at everything
	Submit Scope = "submit" // and start and cancel runs, and measure on the calling machine
	Admin  Scope = "admin"  // and make tokens, retire agents, decide about baselines
)

// Scopes lists them, the least first.
func Scopes() []Scope { return []Scope{Read, Submit, Admin} }

// ParseScope reads a scope's name.
func ParseScope(s string) (Scope, error) {
	if scope := Scope(s); slices.Contains(Scopes(), scope) {
		return scope, nil
	}
	return "", fmt.Errorf("unknown scope %q: want read, submit or admin", s)
}

// Holds says whether s reaches for need.
func (s Scope) Holds(need Scope) bool {
	have, want := slices.Index(Scopes(), s), slices.Index(Scopes(), need)
	return have >= 0 && want >= 0 && have >= want
}

// A token's text is a prefix that says what it is, so that scanners for leaked
// secrets and people recognise it, and 160 random bits.
const (
	prefixAPI   = "plt_"
	prefixEnrol = "ple_"
	secretBytes = 20
)

// maxToken bounds the text of a token before anything is done with it.
const maxToken = 200

// New makes the text of a token and its hash.
func New(random io.Reader, kind ledger.TokenKind) (secret string, hash ledger.TokenHash, err error) {
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", hash, fmt.Errorf("make a token: %w", err)
	}
	secret = prefixAPI
	if kind == ledger.TokenEnrol {
		secret = prefixEnrol
	}
	secret += strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
	return secret, Hash(secret), nil
}

// Hash is what is kept of a token.
func Hash(secret string) ledger.TokenHash { return sha256.Sum256([]byte(secret)) }

// Errors that callers test for.
var (
	// ErrUnknown: no token, a malformed one, or one that nobody made here.
	ErrUnknown = errors.New("the token is not known here")
	// ErrEnded: the token has expired or was revoked.
	ErrEnded = errors.New("the token has ended")
	// ErrScope: the token is good for less than what is asked.
	ErrScope = errors.New("the token does not reach that far")
)

// Caller is who asks.
type Caller struct {
	Token string // its id
	Name  string // for people: in the audit log and beside a run
	Scope Scope  // the highest it holds
}

// Check says who a token's record is at a moment, and whether that is enough.
func Check(t ledger.Token, now time.Time, need Scope) (Caller, error) {
	switch {
	case t.Kind != ledger.TokenAPI:
		return Caller{}, fmt.Errorf("an enrolment token makes an agent and opens nothing else: %w", ErrUnknown)
	case !t.Revoked.IsZero():
		return Caller{}, fmt.Errorf("it was revoked at %s: %w", t.Revoked.UTC().Format(time.RFC3339), ErrEnded)
	case !now.Before(t.Expires):
		return Caller{}, fmt.Errorf("it expired at %s: %w", t.Expires.UTC().Format(time.RFC3339), ErrEnded)
	}
	c := Caller{Token: t.ID, Name: t.Name}
	if c.Name == "" {
		c.Name = "token " + t.ID
	}
	for _, s := range t.Scopes {
		if scope := Scope(s); scope.Holds(Read) && !c.Scope.Holds(scope) {
			c.Scope = scope
		}
	}
	if !c.Scope.Holds(need) {
		return c, fmt.Errorf("its scope is %q, and this needs %q: %w", c.Scope, need, ErrScope)
	}
	return c, nil
}

// Doors checks tokens against what the ledger keeps.
type Doors struct {
	Tokens ledger.Tokens
	Now    func() time.Time

	// Local is a secret that only who may read the coordinator's data folder knows: it
	// holds every scope, so that the first token can be made. Empty: there is none.
	Local string
}

// Enter says who holds the secret and whether that is enough for need.
func (d *Doors) Enter(ctx context.Context, secret string, need Scope) (Caller, error) {
	if secret == "" || len(secret) > maxToken {
		return Caller{}, ErrUnknown
	}
	if d.Local != "" && Hash(secret) == Hash(d.Local) { // hashes: how far they agree tells nobody anything
		return Caller{Token: "local", Name: "this machine", Scope: Admin}, nil
	}
	if !strings.HasPrefix(secret, prefixAPI) && !strings.HasPrefix(secret, prefixEnrol) {
		return Caller{}, ErrUnknown
	}
	t, err := d.Tokens.Find(ctx, Hash(secret))
	if errors.Is(err, ledger.ErrNotFound) {
		return Caller{}, ErrUnknown
	}
	if err != nil {
		return Caller{}, err
	}
	now := d.Now()
	c, err := Check(t, now, need)
	if err != nil || now.Sub(t.LastUsed) < time.Minute { // noted to the minute: most requests write nothing
		return c, err
	}
	return c, d.Tokens.Used(ctx, t.ID)
}
