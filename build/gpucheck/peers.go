//go:build native

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is what another engine does with a model of the same sizes and made-up weights.
type peer struct {
	Name     string  `json:"name"`
	Version  string  `json:"version"`
	Decode   float64 `json:"decode_tok_per_s,omitempty"`   // one sequence
	Workload float64 `json:"workload_tok_per_s,omitempty"` // the 256 requests of workload
	Why      string  `json:"why,omitempty"`                // it has no figure
}

func (p peer) words() string {
	var parts []string
	if p.Decode > 0 {
		parts = append(parts, fmt.Sprintf("%.0f tok/s for one sequence", p.Decode))
	}
	if p.Workload > 0 {
		parts = append(parts, fmt.Sprintf("%.0f tok/s for the workload of 256 requests", p.Workload))
	}
	if p.Why != "" {
		parts = append(parts, p.Why)
	}
	return strings.Join(parts, ", ")
}

// peersTake is how long they may take together: some start for a minute.
const peersTake = 4 * time.Minute

// peers runs peers.py beside this program, where there is a Python. None of them being there is no problem.
func (c *check) peers(modelDir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	script := filepath.Join(filepath.Dir(self), "peers.py")
	if _, err := os.Stat(script); err != nil || c.r.Emulated {
		return nil
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		fmt.Println("no python3, and so no peers")
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), peersTake)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, script, modelDir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	list, perr := parsePeers(out)
	c.r.Peers = list
	for _, p := range list {
		fmt.Printf("%s %s: %s\n", p.Name, p.Version, p.words())
	}
	if ctx.Err() != nil {
		return fmt.Errorf("peers.py was stopped after %v; what it had measured is kept", peersTake)
	}
	return errors.Join(err, perr)
}

// parsePeers reads a peer from each line that is JSON; their libraries print other things too.
func parsePeers(out []byte) (list []peer, err error) {
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var p peer
		if jerr := json.Unmarshal([]byte(line), &p); jerr != nil || p.Name == "" {
			err = errors.Join(err, fmt.Errorf("peers.py: read %q: want a peer", strings.TrimSpace(line)))
			continue
		}
		list = append(list, p)
	}
	return list, err
}
