package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/coordinator/ledger"
)

// claimsKept is how many claims without work are remembered for each agent. A claim
// is repeated within its own time-out, long before so many others were made.
const claimsKept = 32

// Claim implements ledger.Attempts.
func (s attempts) Claim(ctx context.Context, c ledger.Claim, pick ledger.Pick) (a ledger.Attempt, why string, ok bool, err error) {
	err = s.l.write(ctx, "claim by agent "+c.Agent, func(t *txn) error {
		a, why, ok = ledger.Attempt{}, "", false
		if c.ID == "" {
			return fmt.Errorf("a claim without an id: %w", ledger.ErrInvalid)
		}
		agent, err := t.agent(c.Agent)
		if err != nil {
			return err
		}
		// The same claim again?
		a, err = scanAttempt(t.tx.QueryRowContext(t.ctx, `SELECT `+attemptColumns+` FROM attempt WHERE claim_id = ?`, c.ID))
		if err == nil {
			if a.Agent != c.Agent {
				return ledger.ErrForeign
			}
			ok = true
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		err = t.tx.QueryRowContext(t.ctx, `SELECT why FROM claim_none WHERE claim_id = ?`, c.ID).Scan(&why)
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if agent, err = t.seen(agent, c); err != nil {
			return err
		}
		a, why, ok, err = t.lease(agent, c, pick)
		if err != nil || ok {
			return err
		}
		if _, err := t.exec(`INSERT INTO claim_none (claim_id, agent_id, why) VALUES (?, ?, ?)`, c.ID, c.Agent, why); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM claim_none WHERE agent_id = ? AND seq <= (
			SELECT seq FROM claim_none WHERE agent_id = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`, c.Agent, c.Agent, claimsKept)
		return err
	})
	return a, why, ok, err
}

// seen records what a claim tells of its agent. One that was given up is back.
func (t *txn) seen(a ledger.Agent, c ledger.Claim) (ledger.Agent, error) {
	a.Devices, a.Build, a.LastSeen = c.Devices, c.Build, t.now
	if c.Labels != nil {
		a.Labels = c.Labels
	}
	if a.State == ledger.AgentLost {
		a.State = ledger.AgentIdle
	}
	devices, err := text(a.Devices)
	if err != nil {
		return a, err
	}
	labels, err := text(a.Labels)
	if err != nil {
		return a, err
	}
	_, err = t.exec(`UPDATE agent SET state = ?, devices = ?, labels = ?, build = ?, seen_ns = ? WHERE id = ?`,
		string(a.State), devices, labels, a.Build, t.now.UnixNano(), a.ID)
	return a, err
}

// lease lets pick choose among the queued attempts and leases its choice.
func (t *txn) lease(agent ledger.Agent, c ledger.Claim, pick ledger.Pick) (ledger.Attempt, string, bool, error) {
	none := ledger.Attempt{}
	free, err := t.free(c)
	if err != nil {
		return none, "", false, err
	}
	rows, err := t.tx.QueryContext(t.ctx, `SELECT `+attemptColumns+` FROM attempt WHERE state = 'queued' ORDER BY seq`)
	if err != nil {
		return none, "", false, err
	}
	queue, err := scanAttempts(rows)
	if err != nil {
		return none, "", false, err
	}
	i, devices, why := pick(queue, agent, free)
	if i < 0 || why != "" {
		return none, why, false, nil
	}
	if i >= len(queue) || len(devices) == 0 {
		return none, "", false, fmt.Errorf("pick chose number %d of %d with %d devices: %w", i, len(queue), len(devices), ledger.ErrInvalid)
	}
	a := queue[i]
	leased, err := text(devices)
	if err != nil {
		return none, "", false, err
	}
	if _, err := t.exec(`UPDATE attempt SET state = 'leased', agent_id = ?, claim_id = ?, leased = ?, leased_ns = ? WHERE id = ?`,
		c.Agent, c.ID, leased, t.now.UnixNano(), a.ID); err != nil {
		return none, "", false, err
	}
	for _, d := range devices {
		if _, err := t.exec(`INSERT INTO device_lease (attempt_id, agent_id, device, active) VALUES (?, ?, ?, 1)`, a.ID, c.Agent, d); err != nil {
			if unique(err) {
				return none, "", false, fmt.Errorf("device %s of agent %s is leased already: %w", d, c.Agent, ledger.ErrState)
			}
			return none, "", false, err
		}
	}
	if _, err := t.exec(`UPDATE agent SET state = 'busy' WHERE id = ? AND state = 'idle'`, c.Agent); err != nil {
		return none, "", false, err
	}
	if err := t.event(a.Run, "attempt.leased", map[string]any{"attempt": a.ID, "agent": c.Agent}); err != nil {
		return none, "", false, err
	}
	a, err = t.attempt(a.ID)
	return a, "", err == nil, err
}

// free gives the claim's devices that are not leased.
func (t *txn) free(c ledger.Claim) ([]string, error) {
	rows, err := t.tx.QueryContext(t.ctx, `SELECT device FROM device_lease WHERE agent_id = ? AND active = 1`, c.Agent)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	free := slices.Clone(c.Devices)
	for rows.Next() {
		var d string
		if err := rows.Scan(&d); err != nil {
			return nil, err
		}
		free = slices.DeleteFunc(free, func(x string) bool { return x == d })
	}
	return free, rows.Err()
}
