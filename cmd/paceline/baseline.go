package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/judge/baseline"
)

func baselineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "baseline",
		Short: "see, pin, accept, export and import what runs are compared with",
		Long: `A baseline is the last ten rounds of a base branch, one a run and machine, from runs
that were decided pass or warn. It makes itself. These commands show it and let people
decide what only people can: that a slower level is meant (accept), that a release is
to be compared with for good (pin), and where a level travels (export, import).

They work on a data folder; where another paceline owns it, they ask that one. With
--coordinator they ask a coordinator elsewhere; deciding there takes an admin token.`,
		Example: `  paceline baseline list
  paceline baseline show main --suite ci
  paceline baseline export main.json --branch main --suite ci
  paceline baseline accept --branch main --reason "the fix for wrong tokens costs 25 %"`,
	}
	cmd.AddCommand(baselineListCommand(), baselineShowCommand(), baselinePinCommand(), baselineUnpinCommand(), baselineAcceptCommand(),
		baselineExportCommand(), baselineImportCommand())
	return cmd
}

// levelFlags name a level.
type levelFlags struct {
	reachFlags
	data, branch, suite string
}

func (f *levelFlags) add(cmd *cobra.Command, branch, suite string) {
	f.reachFlags.add(cmd, "ask this coordinator")
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "data folder (default: $PACELINE_DATA, else ~/.local/share/paceline)")
	if branch != "" {
		fl.StringVar(&f.branch, "branch", "", branch)
	}
	if suite != "" {
		fl.StringVar(&f.suite, "suite", "", suite)
	}
}

func (f *levelFlags) which() baseline.Which {
	return baseline.Which{Branch: f.branch, Suite: f.suite}
}

const (
	onlyBranch = "branch (default: the only one that has a level)"
	onlySuite  = "suite (default: the only one that has a level)"
)

func baselineListCommand() *cobra.Command {
	var f levelFlags
	var form string
	cmd := &cobra.Command{
		Use: "list", Short: "list branches and suites that have a level", Args: cobra.NoArgs,
		Example: "  paceline baseline list\n  paceline baseline list --format json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkListFormat(form); err != nil {
				return err
			}
			return withLevels(cmd.Context(), &f, false, func(ls levels) error {
				all, err := ls.List(cmd.Context())
				if err != nil {
					return err
				}
				if form == "json" {
					return writeJSON(cmd, all)
				}
				return showList(cmd.OutOrStdout(), all, now())
			})
		},
	}
	f.add(cmd, "", "")
	addListFormat(cmd, &form)
	return cmd
}

func baselineShowCommand() *cobra.Command {
	var f levelFlags
	var form string
	var o showOptions
	cmd := &cobra.Command{
		Use: "show [BRANCH]", Short: "show a level: each series, its rounds, and what a gate could see", Args: cobra.MaximumNArgs(1),
		Long: `Shows the level of a branch: each series with its median and spread, how many rounds
make it and how old they are, and the smallest change that the suite's gates could fail
or see with it.`,
		Example: "  paceline baseline show\n  paceline baseline show main --suite ci --rounds",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkListFormat(form); err != nil {
				return err
			}
			if len(args) > 0 {
				f.branch = args[0]
			}
			return withLevels(cmd.Context(), &f, false, func(ls levels) error {
				x, err := ls.Show(cmd.Context(), f.which())
				if err != nil {
					return err
				}
				if form == "json" {
					return writeJSON(cmd, x)
				}
				return showLevel(cmd.OutOrStdout(), x, o, now())
			})
		},
	}
	f.add(cmd, "", onlySuite)
	addListFormat(cmd, &form)
	cmd.Flags().BoolVar(&o.all, "all", false, "also the series that no gate compares")
	cmd.Flags().BoolVar(&o.rounds, "rounds", false, "list every round with its run, commit and age")
	return cmd
}

func addListFormat(cmd *cobra.Command, form *string) {
	cmd.Flags().StringVar(form, "format", "human", "human or json")
}

func checkListFormat(form string) error {
	if form != "human" && form != "json" {
		return fail(exitRequest, "unknown format %q: known are human, json", form)
	}
	return nil
}

func writeJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func baselinePinCommand() *cobra.Command {
	var f levelFlags
	var p baseline.Pin
	cmd := &cobra.Command{
		Use: "pin NAME --reason TEXT", Short: "give a level a name; every gate also compares with the newest one", Args: cobra.ExactArgs(1),
		Long: `Names a level, such as a release's. Every gate of the suite then compares with it too,
so that small steps, each within the threshold, can't add up. The suite's newest pin
counts. The level is that of the branch as it is now, or that of the runs named with
--run.`,
		Example: `  paceline baseline pin v1.2 --suite ci --reason "released on 3 March"
  paceline baseline pin v1.1 --run 9c1f0b7a2d3e --run 77aa01c2b3d4 --reason "measured again"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name, p.Branch, p.Suite, p.By = args[0], f.branch, f.suite, whoami()
			return withLevels(cmd.Context(), &f, false, func(ls levels) error {
				done, err := ls.Pin(cmd.Context(), p)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "pinned %s: %s of branch %s, suite %s\n", done.Name, plural(len(done.Runs), "run"), done.Branch, done.Suite)
				return err
			})
		},
	}
	f.add(cmd, onlyBranch, onlySuite)
	cmd.Flags().StringVar(&p.Reason, "reason", "", "why, for the audit log (needed)")
	cmd.Flags().StringArrayVar(&p.Runs, "run", nil, "a run that makes the level, once for each (default: those of the branch's level)")
	return cmd
}

func baselineUnpinCommand() *cobra.Command {
	var f levelFlags
	var p baseline.Pin
	cmd := &cobra.Command{
		Use: "unpin NAME", Short: "remove a pinned level; its runs stay", Args: cobra.ExactArgs(1),
		Example: `  paceline baseline unpin v1.1 --suite ci --reason "no longer supported"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Name, p.Suite, p.By = args[0], f.suite, whoami()
			return withLevels(cmd.Context(), &f, false, func(ls levels) error {
				if err := ls.Unpin(cmd.Context(), p); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is not pinned any more\n", p.Name)
				return err
			})
		},
	}
	f.add(cmd, "", "suite (default: the only one in which the name is pinned)")
	cmd.Flags().StringVar(&p.Reason, "reason", "", "why, for the audit log")
	return cmd
}

func baselineAcceptCommand() *cobra.Command {
	var f levelFlags
	var why string
	cmd := &cobra.Command{
		Use: "accept --branch BRANCH --reason TEXT", Short: "make what is pending on a failing branch its level", Args: cobra.NoArgs,
		Long: `A base branch that got worse stays red against its old level; its rounds wait
(pending). If the change is meant, accept makes these rounds the level, and the branch
is green again. What was the level is kept as former. A branch that recovers by itself
needs nothing.`,
		Example: `  paceline baseline accept --branch main --suite ci --reason "the fix for wrong tokens costs 25 %"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLevels(cmd.Context(), &f, false, func(ls levels) error {
				done, err := ls.Accept(cmd.Context(), baseline.Acceptance{Branch: f.branch, Suite: f.suite, Reason: why, By: whoami()})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s of branch %s that waited: the level now\n", plural(done.Rounds, "round"), done.Branch)
				return err
			})
		},
	}
	f.add(cmd, "branch (needed)", "suite (default: every one in which something is pending)")
	cmd.Flags().StringVar(&why, "reason", "", "why, for the audit log (needed)")
	return cmd
}
