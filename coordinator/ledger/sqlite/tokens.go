package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

// Tokens implements ledger.Tokens.
func (l *Ledger) Tokens() ledger.Tokens { return tokens{l} }

type tokens struct{ l *Ledger }

const tokenColumns = `id, kind, name, scopes, agent, made_by, created_ns, expires_ns, used_ns, spent_ns, revoked_ns`

func scanToken(s scanner) (ledger.Token, error) {
	var t ledger.Token
	var scopes string
	var created, expires, used, spent, revoked int64
	if err := s.Scan(&t.ID, &t.Kind, &t.Name, &scopes, &t.Agent, &t.By, &created, &expires, &used, &spent, &revoked); err != nil {
		return t, err
	}
	if err := json.Unmarshal([]byte(scopes), &t.Scopes); err != nil {
		return t, fmt.Errorf("decode scopes of token %s: %w", t.ID, err)
	}
	t.Created, t.Expires, t.LastUsed, t.Spent, t.Revoked = at(created), at(expires), at(used), at(spent), at(revoked)
	return t, nil
}

// Add implements ledger.Tokens.
func (s tokens) Add(ctx context.Context, k ledger.Token, hash ledger.TokenHash) (out ledger.Token, err error) {
	err = s.l.write(ctx, "write a token", func(t *txn) error {
		if k.ID == "" || k.Kind != ledger.TokenAPI && k.Kind != ledger.TokenEnrol {
			return fmt.Errorf("a token needs an id and a kind: %w", ledger.ErrInvalid)
		}
		if !k.Expires.After(t.now) {
			return fmt.Errorf("a token must expire, and not before now: %w", ledger.ErrInvalid)
		}
		scopes, err := text(k.Scopes)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO token (id, hash, kind, name, scopes, agent, made_by, created_ns, expires_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ID, hash[:], string(k.Kind), k.Name, scopes, k.Agent, k.By, t.now.UnixNano(), k.Expires.UnixNano()); err != nil {
			if unique(err) {
				return ledger.ErrExists
			}
			return err
		}
		if err := t.audit(ledger.AuditEntry{Who: k.By, Action: "token.create", Object: k.ID, Detail: string(k.Kind) + " " + scopes + " " + k.Name}); err != nil {
			return err
		}
		out, err = scanToken(t.tx.QueryRowContext(t.ctx, `SELECT `+tokenColumns+` FROM token WHERE id = ?`, k.ID))
		return err
	})
	return out, err
}

// Find implements ledger.Tokens.
func (s tokens) Find(ctx context.Context, hash ledger.TokenHash) (ledger.Token, error) {
	t, err := scanToken(s.l.reads.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM token WHERE hash = ?`, hash[:]))
	if err != nil {
		return t, fmt.Errorf("find a token: %w", classify(err))
	}
	return t, nil
}

// Used implements ledger.Tokens.
func (s tokens) Used(ctx context.Context, id string) error {
	return s.l.write(ctx, "note the use of token "+id, func(t *txn) error {
		_, err := t.exec(`UPDATE token SET used_ns = ? WHERE id = ? AND used_ns < ?`, t.now.UnixNano(), id, t.now.Add(-time.Minute).UnixNano())
		return err
	})
}

// List implements ledger.Tokens.
func (s tokens) List(ctx context.Context) ([]ledger.Token, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+tokenColumns+` FROM token ORDER BY seq DESC`)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Token
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, fmt.Errorf("list tokens: %w", err)
		}
		out = append(out, t)
	}
	return out, classify(rows.Err())
}

// Revoke implements ledger.Tokens.
func (s tokens) Revoke(ctx context.Context, id, by string) (out ledger.Token, err error) {
	err = s.l.write(ctx, "revoke token "+id, func(t *txn) error {
		out, err = scanToken(t.tx.QueryRowContext(t.ctx, `SELECT `+tokenColumns+` FROM token WHERE id = ?`, id))
		if err != nil || !out.Revoked.IsZero() {
			return err
		}
		if _, err := t.exec(`UPDATE token SET revoked_ns = ? WHERE id = ?`, t.now.UnixNano(), id); err != nil {
			return err
		}
		out.Revoked = at(t.now.UnixNano())
		return t.audit(ledger.AuditEntry{Who: by, Action: "token.revoke", Object: id})
	})
	return out, err
}

// Enrol implements ledger.Tokens.
func (s tokens) Enrol(ctx context.Context, hash ledger.TokenHash, a ledger.Agent) (out ledger.Agent, err error) {
	err = s.l.write(ctx, "enrol agent "+a.Name, func(t *txn) error {
		k, err := scanToken(t.tx.QueryRowContext(t.ctx, `SELECT `+tokenColumns+` FROM token WHERE hash = ?`, hash[:]))
		if err != nil {
			return err
		}
		// An answer that was lost: the same machine asks again.
		have, err := scanAgent(t.tx.QueryRowContext(t.ctx, `SELECT `+agentColumns+` FROM agent WHERE name = ? AND public_key = ?`, a.Name, a.Key))
		if err == nil && a.Key != "" && !k.Spent.IsZero() && !have.Enrolled.Before(k.Created) && k.Revoked.IsZero() {
			out = have
			return nil
		}
		if why := unspendable(k, a.Name, t.now); why != "" {
			return fmt.Errorf("%s: %w", why, ledger.ErrState)
		}
		if a.Key == "" {
			return fmt.Errorf("an agent enrols with its public key: %w", ledger.ErrInvalid)
		}
		if _, err := t.exec(`UPDATE token SET spent_ns = ?, used_ns = ? WHERE id = ?`, t.now.UnixNano(), t.now.UnixNano(), k.ID); err != nil {
			return err
		}
		if out, err = t.enrolOrRekey(a, k.Agent == a.Name); err != nil {
			return err
		}
		return t.audit(ledger.AuditEntry{Who: "token " + k.ID, Action: "agent.enrol", Object: out.ID, Detail: out.Name})
	})
	return out, err
}

// unspendable says why an enrolment token makes no agent of that name now, or "".
func unspendable(k ledger.Token, name string, now time.Time) string {
	switch {
	case k.Kind != ledger.TokenEnrol:
		return "it is no enrolment token"
	case !k.Revoked.IsZero():
		return "the token was revoked"
	case !k.Spent.IsZero():
		return "the token was used before"
	case !now.Before(k.Expires):
		return "the token expired at " + k.Expires.Format(time.RFC3339)
	case k.Agent != "" && k.Agent != name:
		return fmt.Sprintf("the token is for the agent %q only", k.Agent)
	}
	return ""
}

// enrolOrRekey writes the agent, or, where the token names it, gives the one that is
// there its new key: a machine that was set up anew.
func (t *txn) enrolOrRekey(a ledger.Agent, named bool) (ledger.Agent, error) {
	have, err := scanAgent(t.tx.QueryRowContext(t.ctx, `SELECT `+agentColumns+` FROM agent WHERE name = ?`, a.Name))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return t.enrol(a)
	case err != nil:
		return a, err
	case !named || have.Local:
		return a, ledger.ErrExists
	}
	labels, err := text(a.Labels)
	if err != nil {
		return a, err
	}
	if _, err := t.exec(`UPDATE agent SET public_key = ?, labels = ?, state = CASE state WHEN 'retired' THEN 'idle' ELSE state END WHERE id = ?`,
		a.Key, labels, have.ID); err != nil {
		if unique(err) {
			return a, ledger.ErrExists
		}
		return a, err
	}
	if err := t.event("", "agent.enrolled", map[string]any{"agent": have.ID, "name": have.Name}); err != nil {
		return a, err
	}
	return t.agent(have.ID)
}

// Caller implements ledger.Tokens.
func (s tokens) Caller(ctx context.Context, a ledger.Agent) (out ledger.Agent, err error) {
	err = s.l.write(ctx, "enrol the calling machine "+a.Name, func(t *txn) error {
		if a.Key == "" {
			return fmt.Errorf("an agent enrols with its public key: %w", ledger.ErrInvalid)
		}
		a.Caller = true
		out, err = t.enrol(a)
		return err
	})
	return out, err
}

// ByKey implements ledger.Tokens.
func (s tokens) ByKey(ctx context.Context, public string) (ledger.Agent, error) {
	if public == "" {
		return ledger.Agent{}, fmt.Errorf("find an agent by its key: %w", ledger.ErrNotFound)
	}
	a, err := scanAgent(s.l.reads.QueryRowContext(ctx, `SELECT `+agentColumns+` FROM agent WHERE public_key = ?`, public))
	if err != nil {
		return a, fmt.Errorf("find an agent by its key: %w", classify(err))
	}
	return a, nil
}
