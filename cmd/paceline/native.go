//go:build native

package main

import (
	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine"
)

// flavour of this build: with the engine.
const flavour = "native"

// engineCommands are the commands that link the engine.
func engineCommands() []*cobra.Command {
	return []*cobra.Command{generateCommand(), serveCommand(), modelCommand(), workerCommand(), probeCommand()}
}

// engineHere says why this build can't measure: it can.
func engineHere() error { return nil }

// checkFaults refuses a planted defect that the engine doesn't know, before anything
// is measured.
func checkFaults(faults []string) error {
	for _, f := range faults {
		if _, err := engine.ParseFault(f); err != nil {
			return fail(exitRequest, "--%w", err)
		}
	}
	return nil
}
