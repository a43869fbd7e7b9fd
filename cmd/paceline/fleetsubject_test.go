//go:build native

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestFleetMeasuresServers: a machine of the fleet measures what its own configuration
// names, the calling one what its person types; nobody sends anybody a command.
func TestFleetMeasuresServers(t *testing.T) {
	f := newFleet(t)
	run := func(args ...string) outcome {
		return paceline(t, append([]string{"run", quick(t), "--coordinator", f.url}, args...)...)
	}
	run("--launch", launch(t, "good")).expect(t, 0, "NOTHING WAS COMPARED", "server · launch:")

	state := filepath.Join(t.TempDir(), "agent")
	o := paceline(t, "token", "create", "--enrol", "--data", f.data)
	paceline(t, "agent", "enrol", f.url, strings.TrimSpace(o.stdout), "--state", state, "--name", "box").expect(t, 0)
	write(t, filepath.Join(state, agentConfigName), 0o600, fmt.Sprintf(
		"targets:\n  tiny: {launch: {args: [\"{build}\", test-server, \"{port}\", good]}, accepts: [sha256]}\nbuilds:\n  binaries: [{sha256: %s, path: %q}]\n", selfHash(t), self(t)))
	start(t, "agent", "--state", state).waitFor(t, "is ready")

	any := []string{"--any", "--wait", "--target", "tiny", "--build"}
	run(append(any, "sha256:"+selfHash(t))...).expect(t, 0, "NOTHING WAS COMPARED", "tiny · sha256:"+selfHash(t)[:12])
	run(append(any, "sha256:"+strings.Repeat("0", 64))...).expect(t, exitMachine, "builds.binaries of its configuration")
	run("--any", "--wait", "--target", "tinny").expect(t, exitMachine, `did you mean "tiny"`)
	for _, args := range [][]string{{"--any", "--launch", "x {port}"}, {"--any", "--url", "http://h"}, {"--any", "--build", self(t)}} {
		run(args...).expect(t, exitRequest, "--any asks for another one")
	}
}
