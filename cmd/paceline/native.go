//go:build native

package main

import "github.com/spf13/cobra"

// flavour of this build: with the engine.
const flavour = "native"

// engineCommands are the commands that link the engine.
func engineCommands() []*cobra.Command {
	return []*cobra.Command{generateCommand(), modelCommand(), workerCommand(), probeCommand()}
}

// engineHere says why this build can't measure: it can.
func engineHere() error { return nil }
