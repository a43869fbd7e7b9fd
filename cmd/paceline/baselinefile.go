package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/judge/baseline"
)

func baselineExportCommand() *cobra.Command {
	var f levelFlags
	cmd := &cobra.Command{
		Use: "export FILE", Short: "write a level to a file", Args: cobra.ExactArgs(1),
		Long: `Writes the runs that make the last ten rounds of every series to FILE, for a machine
that has no data folder: ` + "`run --baseline FILE`" + ` compares with it, ` + "`baseline import FILE`" + `
takes it in. FILE appears whole or not at all.`,
		Example: "  paceline baseline export main.json --branch main --suite ci",
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir := filepath.Dir(args[0]); !isFolder(dir) || isFolder(args[0]) {
				return fail(exitRequest, "can't write %s: give a file in a folder that is there", args[0])
			}
			return withLevels(cmd.Context(), &f, false, func(ls levels) error {
				x, err := ls.Export(cmd.Context(), f.which())
				if err != nil {
					return err
				}
				if err := writeBaselineFile(args[0], x); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "exported %s of branch %s, suite %s to %s\n", plural(len(x.Runs), "run"), x.Branch, x.Suite, args[0])
				return err
			})
		},
	}
	f.add(cmd, onlyBranch, onlySuite)
	return cmd
}

func writeBaselineFile(path string, f *baseline.File) error {
	if err := writeFile(path, func(w io.Writer) error { return baseline.WriteFile(w, f) }); err != nil {
		return fail(exitMachine, "write %s: %w", path, err)
	}
	return nil
}

func baselineImportCommand() *cobra.Command {
	var f levelFlags
	cmd := &cobra.Command{
		Use: "import FILE", Short: "take a level from a file into the data folder", Args: cobra.ExactArgs(1),
		Long: `Takes the runs of FILE (` + "`baseline export`" + `) into the data folder, as decided runs of
their branch whose rounds are part of its level: all of them or, where one contradicts
what is stored, none. Importing a file again changes nothing.`,
		Example: "  paceline baseline import main.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			file, _, err := readBaselineFile(args[0])
			if err != nil {
				return fail(exitRequest, "%w", err)
			}
			return withLevels(cmd.Context(), &f, true, func(ls levels) error {
				done, err := ls.Import(cmd.Context(), file, whoami(), filepath.Base(args[0]))
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "imported %s (%s) of branch %s, suite %s; %d were there already\n",
					plural(done.Runs, "run"), plural(done.Rounds, "round"), done.Branch, done.Suite, done.Known)
				return err
			})
		},
	}
	f.add(cmd, "", "")
	return cmd
}
