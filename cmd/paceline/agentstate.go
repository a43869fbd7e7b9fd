package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/datadir"
)

// agentState is what an agent keeps of its enrolment. The seed is its secret: the file
// is readable by its owner only.
type agentState struct {
	Schema      int               `json:"schema"` // 1
	Coordinator string            `json:"coordinator"`
	CA          string            `json:"ca_file,omitempty"` // the coordinator's certificates; empty: the system's
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Public      string            `json:"public_key"`
	Seed        string            `json:"seed"`
	Since       time.Time         `json:"since"`

	ID     string `json:"agent,omitempty"` // empty: the coordinator hasn't answered yet
	BusURL string `json:"bus_url,omitempty"`
}

// agentDir is where an agent's state lies: --state, else $PACELINE_AGENT_STATE, else
// beside the data folder.
func agentDir(flag string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if d := os.Getenv("PACELINE_AGENT_STATE"); d != "" {
		return filepath.Abs(d)
	}
	d, err := datadir.Default()
	if err != nil {
		return "", err
	}
	return d + "-agent", nil
}

func agentFile(dir string) string { return filepath.Join(dir, "agent.json") }

// readAgent reads the state; fs.ErrNotExist where this machine is not enrolled.
func readAgent(dir string) (agentState, error) {
	var s agentState
	b, err := os.ReadFile(agentFile(dir))
	if err != nil {
		return s, fmt.Errorf("read the agent's enrolment: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("read the agent's enrolment %s: %w: move it aside and enrol again", agentFile(dir), err)
	}
	if s.Schema != 1 || s.Seed == "" || s.Name == "" || s.Coordinator == "" {
		return s, fmt.Errorf("read the agent's enrolment %s: it is of another version or not whole: move it aside and enrol again", agentFile(dir))
	}
	return s, nil
}

// write puts the state in its place, whole or not at all.
func (s agentState) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the agent's folder: %w", err)
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the agent's enrolment: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".agent.json.*") // 0600
	if err != nil {
		return fmt.Errorf("write the agent's enrolment: %w", err)
	}
	_, err = tmp.Write(append(b, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), agentFile(dir))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write the agent's enrolment: %w", err)
	}
	return nil
}

// prepare gives the state to enrol with: a new one with its own key, or the one whose
// enrolment the coordinator has not answered yet, so that a lost answer costs nothing.
func (s agentState) prepare(dir string, force bool) (agentState, error) {
	have, err := readAgent(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil && !force:
		return s, err
	case err == nil && have.ID != "" && !force:
		return s, fmt.Errorf("this machine is enrolled already: agent %q of %s (%s): start it with paceline agent, or add --force to enrol anew", have.Name, have.Coordinator, dir)
	case err == nil && have.ID == "" && have.Name == s.Name && have.Coordinator == s.Coordinator:
		s.Public, s.Seed = have.Public, have.Seed
		return s, nil
	}
	key, err := bus.NewKey()
	if err != nil {
		return s, err
	}
	s.Public, s.Seed = key.Public, key.Seed
	return s, s.write(dir)
}
