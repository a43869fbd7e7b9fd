//go:build !native

package main

import (
	"github.com/spf13/cobra"
)

// flavour of this build: without the engine.
const flavour = "plain"

const noEngine = "this build has no engine: use the native build (make build)"

// engineCommands are the commands that need the engine; here each says so.
func engineCommands() []*cobra.Command {
	var out []*cobra.Command
	for name, short := range map[string]string{
		"generate": "continue a prompt on the embedded engine",
		"model":    "fetch, make, inspect and score models",
		"serve":    "offer a model over HTTP, by OpenAI's API",
	} {
		out = append(out, &cobra.Command{
			Use: name, Short: short + " (native build only)", DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error { return fail(exitRequest, "%s: %s", name, noEngine) },
		})
	}
	return out
}

// engineHere says why this build can't measure.
func engineHere() error { return fail(exitRequest, "%s", noEngine) }

// catalogue knows no model where nothing could use it.
func catalogue(string) func(string) (string, error) {
	return func(string) (string, error) { return "", engineHere() }
}

// checkFaults leaves them to the engine that will have them.
func checkFaults([]string) error { return nil }
