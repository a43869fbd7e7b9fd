// Command paceline measures how fast large language models run, judges the results
// against a baseline and shows them.
//
// This package is wiring only: it turns flags and configuration into calls of the
// packages that do the work, and their answers into messages and exit codes.
// native.go (build tag native) alone links the worker and the engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker; "dev" where nobody did.
var version = "dev" //nolint:gochecknoglobals // -X needs a variable

func main() {
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Main runs one command and gives its exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		// What cobra finds wrong with flags and names is the caller's to mend.
		exit = &exitError{code: exitRequest, err: err}
	}
	if exit.err != nil {
		fmt.Fprintf(stderr, "paceline: %v\n", exit.err)
	}
	return exit.code
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "paceline",
		Short: "measure how fast large language models run, and say with proof when that got worse",
		Long: `Paceline measures how fast large language models run and says, with proof, when
that got worse.

  paceline run ci                     measure the shipped model with suite "ci", judge it
  paceline run throughput --model DIR measure your own model
  paceline up --suite ci              the same, then show the dashboard
  paceline check new.txt --baseline old.txt   judge files: ours, go test -bench, CSV
  paceline suite list                 what can be measured
  paceline doctor                     what disturbs measurements here, and what a gate could see
  paceline coordinator                the server of a fleet; agents enrol with it

` + exitCodesHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(upCommand(), runCommand(), checkCommand(), importCommand(), calibrateCommand(), baselineCommand(), suiteCommand(), doctorCommand(), coordinatorCommand(), tokenCommand(), agentCommand(), versionCommand())
	root.AddCommand(engineCommands()...)
	return root
}
