package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/paceline/paceline/coordinator/ledger"
)

type agents struct{ l *Ledger }

const agentColumns = `id, name, state, reason, labels, devices, build, local, caller, public_key, enrolled_ns, seen_ns`

func scanAgent(s scanner) (ledger.Agent, error) {
	var a ledger.Agent
	var labels, devices string
	var enrolled, seen int64
	if err := s.Scan(&a.ID, &a.Name, &a.State, &a.Reason, &labels, &devices, &a.Build, &a.Local, &a.Caller, &a.Key, &enrolled, &seen); err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(labels), &a.Labels); err != nil {
		return a, fmt.Errorf("decode labels of agent %s: %w", a.ID, err)
	}
	if err := json.Unmarshal([]byte(devices), &a.Devices); err != nil {
		return a, fmt.Errorf("decode devices of agent %s: %w", a.ID, err)
	}
	a.Enrolled, a.LastSeen = at(enrolled), at(seen)
	return a, nil
}

func (t *txn) agent(id string) (ledger.Agent, error) {
	a, err := scanAgent(t.tx.QueryRowContext(t.ctx, `SELECT `+agentColumns+` FROM agent WHERE id = ?`, id))
	if err != nil {
		return a, fmt.Errorf("agent %s: %w", id, classify(err))
	}
	return a, nil
}

// Enrol implements ledger.Agents.
func (s agents) Enrol(ctx context.Context, a ledger.Agent) (out ledger.Agent, err error) {
	err = s.l.write(ctx, "enrol agent "+a.Name, func(t *txn) error {
		out, err = scanAgent(t.tx.QueryRowContext(t.ctx, `SELECT `+agentColumns+` FROM agent WHERE name = ?`, a.Name))
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		out, err = t.enrol(a)
		return err
	})
	return out, err
}

// enrol writes a new agent. ErrExists: its id, name or key is taken.
func (t *txn) enrol(a ledger.Agent) (ledger.Agent, error) {
	if a.ID == "" || a.Name == "" {
		return a, fmt.Errorf("an agent needs an id and a name: %w", ledger.ErrInvalid)
	}
	labels, err := text(a.Labels)
	if err != nil {
		return a, err
	}
	devices, err := text(a.Devices)
	if err != nil {
		return a, err
	}
	if _, err := t.exec(`INSERT INTO agent (id, name, state, labels, devices, build, local, caller, public_key, enrolled_ns) VALUES (?, ?, 'idle', ?, ?, ?, ?, ?, ?, ?)`,
		a.ID, a.Name, labels, devices, a.Build, a.Local, a.Caller, a.Key, t.now.UnixNano()); err != nil {
		if unique(err) {
			return a, ledger.ErrExists
		}
		return a, err
	}
	if err := t.event("", "agent.enrolled", map[string]any{"agent": a.ID, "name": a.Name}); err != nil {
		return a, err
	}
	return t.agent(a.ID)
}

// Get implements ledger.Agents.
func (s agents) Get(ctx context.Context, id string) (ledger.Agent, error) {
	a, err := scanAgent(s.l.reads.QueryRowContext(ctx, `SELECT `+agentColumns+` FROM agent WHERE id = ?`, id))
	if err != nil {
		return a, fmt.Errorf("read agent %s: %w", id, classify(err))
	}
	return a, nil
}

// List implements ledger.Agents.
func (s agents) List(ctx context.Context) ([]ledger.Agent, error) {
	rows, err := s.l.reads.QueryContext(ctx, `SELECT `+agentColumns+` FROM agent ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", classify(err))
	}
	defer rows.Close()
	var out []ledger.Agent
	for rows.Next() {
		a, err := scanAgent(rows)
		if err != nil {
			return nil, fmt.Errorf("list agents: %w", err)
		}
		out = append(out, a)
	}
	return out, classify(rows.Err())
}

// SetState implements ledger.Agents.
func (s agents) SetState(ctx context.Context, id string, from []ledger.AgentState, to ledger.AgentState, reason string) error {
	return s.l.write(ctx, fmt.Sprintf("make agent %s %s", id, to), func(t *txn) error {
		a, err := t.agent(id)
		if err != nil {
			return err
		}
		found := false
		for _, f := range from {
			found = found || f == a.State
		}
		if !found {
			return fmt.Errorf("it is %s: %w", a.State, ledger.ErrState)
		}
		if _, err := t.exec(`UPDATE agent SET state = ?, reason = ? WHERE id = ?`, string(to), reason, id); err != nil {
			return err
		}
		return t.event("", "agent."+string(to), map[string]any{"agent": id, "reason": reason})
	})
}
