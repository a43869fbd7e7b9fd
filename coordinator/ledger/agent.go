package ledger

import (
	"context"
	"time"
)

// AgentState is what may be asked of an agent. Whether it is heard is LastSeen's.
type AgentState string

// States of an agent.
const (
	AgentIdle        AgentState = "idle"
	AgentBusy        AgentState = "busy"        // holds an attempt
	AgentLost        AgentState = "lost"        // stopped beating while it held one; the next message mends it
	AgentDraining    AgentState = "draining"    // finishes what it holds, takes nothing
	AgentQuarantined AgentState = "quarantined" // not trusted to measure, with a reason
	AgentRetired     AgentState = "retired"     // refused
)

// Agent is a machine that measures.
type Agent struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"` // unique
	State   AgentState        `json:"state"`
	Reason  string            `json:"reason,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Devices []string          `json:"devices,omitempty"` // free ones at its last claim
	Build   string            `json:"build,omitempty"`
	Local   bool              `json:"local,omitempty"` // the fleet of one: never quarantined by itself
	// Caller is a command that measures on its own machine: it takes only what names it.
	Caller   bool      `json:"caller,omitempty"`
	Key      string    `json:"public_key,omitempty"` // by which it connects; empty: in the coordinator's own process
	Enrolled time.Time `json:"enrolled"`
	LastSeen time.Time `json:"last_seen,omitzero"`
}

// Agents keeps agents.
type Agents interface {
	// Enrol writes an agent, or gives the one that has the name already.
	Enrol(ctx context.Context, a Agent) (Agent, error)
	// Get reads by id. ErrNotFound.
	Get(ctx context.Context, id string) (Agent, error)
	// List gives all, by name.
	List(ctx context.Context) ([]Agent, error)
	// SetState moves an agent from one of the states to another. ErrState.
	SetState(ctx context.Context, id string, from []AgentState, to AgentState, reason string) error
}
