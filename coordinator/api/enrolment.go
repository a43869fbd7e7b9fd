package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/ledger"
)

// Fleet is how machines come in from elsewhere.
type Fleet struct {
	Tokens ledger.Tokens
	// BusURL is where agents reach the coordinator's messages; host is how the asking
	// machine addressed the coordinator, without port.
	BusURL func(host string) string
	// ValidKey says whether a text is the public half of an agent's key.
	ValidKey func(public string) bool
}

// Enrolment is a machine that wants to be an agent.
type Enrolment struct {
	Token     string            `json:"token" maxLength:"200" doc:"An enrolment token; it is good for one agent"`
	Name      string            `json:"name" minLength:"1" maxLength:"100" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$" doc:"Of the machine, unique"`
	PublicKey string            `json:"public_key" maxLength:"100" doc:"Of the key pair that the agent made"`
	Labels    map[string]string `json:"labels,omitempty" maxProperties:"32" doc:"By which runs choose machines"`
}

// Calling is a command that wants to measure on its own machine.
type Calling struct {
	Host      string `json:"host" maxLength:"100" doc:"Name of the machine, for people"`
	PublicKey string `json:"public_key" maxLength:"100" doc:"Of the key pair that the command made"`
}

// Enrolled is an agent and where it connects.
type Enrolled struct {
	Agent  ledger.Agent `json:"agent"`
	BusURL string       `json:"bus_url" doc:"Where it connects with its key"`
}

func (a *api) enrolment(h huma.API) {
	op := needs(public, operation(http.MethodPost, "/agents/enrol", "enrol-agent", "fleet", "Enrol a machine",
		"Spends an enrolment token for an agent, which from then on is known by its key.", http.StatusBadRequest, http.StatusConflict, http.StatusNotImplemented))
	huma.Register(h, op, func(ctx context.Context, in *struct {
		HostParam
		Body Enrolment
	},
	) (*body[Enrolled], error) {
		if err := a.takes(in.Body.PublicKey); err != nil {
			return nil, err
		}
		id, err := newID()
		if err != nil {
			return nil, a.fail("enrol a machine", err)
		}
		agent, err := a.Fleet.Tokens.Enrol(ctx, access.Hash(in.Body.Token), ledger.Agent{
			ID: id, Name: in.Body.Name, Key: in.Body.PublicKey, Labels: in.Body.Labels,
		})
		const another = "an admin makes another: paceline token create --enrol"
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			return nil, newProblem(http.StatusUnauthorized, "no enrolment token that this coordinator knows", another)
		case errors.Is(err, ledger.ErrState):
			return nil, newProblem(http.StatusUnauthorized, strings.TrimSuffix(err.Error(), ": "+ledger.ErrState.Error()), another)
		case errors.Is(err, ledger.ErrExists):
			return nil, newProblem(http.StatusConflict, fmt.Sprintf("an agent is named %q already", in.Body.Name),
				fmt.Sprintf("choose another --name; or, where this machine was set up anew, use a token for it: paceline token create --enrol --agent %s", in.Body.Name))
		case err != nil:
			return nil, a.fail("enrol a machine", err)
		}
		a.Log.Info("agent enrolled", "agent", agent.ID, "name", agent.Name)
		return &body[Enrolled]{Enrolled{agent, a.Fleet.BusURL(hostname(in.Host))}}, nil
	})
	call := operation(http.MethodPost, "/agents/calling", "enrol-calling-machine", "fleet", "Measure on the calling machine",
		"Makes an agent for a command that measures on its own machine: it takes only runs that name it.", http.StatusBadRequest, http.StatusNotImplemented)
	huma.Register(h, call, func(ctx context.Context, in *struct {
		HostParam
		Body Calling
	},
	) (*body[Enrolled], error) {
		if err := a.takes(in.Body.PublicKey); err != nil {
			return nil, err
		}
		id, err := newID()
		if err != nil {
			return nil, a.fail("enrol the calling machine", err)
		}
		agent, err := a.Fleet.Tokens.Caller(ctx, ledger.Agent{ID: id, Name: printable(in.Body.Host) + " (calling, " + id + ")", Key: in.Body.PublicKey})
		if err != nil {
			return nil, a.fail("enrol the calling machine", err)
		}
		return &body[Enrolled]{Enrolled{agent, a.Fleet.BusURL(hostname(in.Host))}}, nil
	})
	leave := operation(http.MethodPost, "/agents/{id}/leave", "leave-fleet", "fleet", "Take a calling machine's leave",
		"Ends the agent of a command that is over. Only calling machines leave so.", http.StatusNotFound, http.StatusConflict)
	huma.Register(h, leave, func(ctx context.Context, in *struct {
		ID string `path:"id" maxLength:"64"`
	},
	) (*body[ledger.Agent], error) {
		agent, err := a.Agents.Get(ctx, in.ID)
		if err != nil {
			return nil, a.fail("let agent "+in.ID+" go", err)
		}
		if !agent.Caller {
			return nil, newProblem(http.StatusConflict, fmt.Sprintf("agent %s is a machine of the fleet", agent.Name), "an admin retires it")
		}
		err = a.Agents.SetState(ctx, in.ID, []ledger.AgentState{ledger.AgentIdle, ledger.AgentBusy, ledger.AgentLost, ledger.AgentRetired}, ledger.AgentRetired, "the command is over")
		if err != nil {
			return nil, a.fail("let agent "+in.ID+" go", err)
		}
		if agent, err = a.Agents.Get(ctx, in.ID); err != nil {
			return nil, a.fail("let agent "+in.ID+" go", err)
		}
		return &body[ledger.Agent]{agent}, nil
	})
}

// HostParam is how the request addressed the server. It is exported because
// parameters are found in exported fields only, also where it is embedded.
type HostParam struct{ Host string }

// Resolve implements huma.Resolver.
func (h *HostParam) Resolve(ctx huma.Context) []error {
	h.Host = ctx.Host()
	return nil
}

// takes says whether machines can come in, and whether the key is one.
func (a *api) takes(public string) error {
	if a.Fleet == nil {
		return newProblem(http.StatusNotImplemented, "no machine can enrol here: this server serves its own machine only", "start `paceline coordinator` for a fleet")
	}
	if !a.Fleet.ValidKey(public) {
		return newProblem(http.StatusBadRequest, "public_key is not the public half of an agent's key", "use paceline agent enrol, which makes one")
	}
	return nil
}

func newID() (string, error) {
	b := make([]byte, 6)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// printable keeps what a host's name may have.
func printable(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		return "machine"
	}
	return string(out)
}
