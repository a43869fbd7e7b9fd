package main

import (
	"cmp"
	"fmt"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/suites"
	"github.com/paceline/paceline/suites/spec"
)

func suiteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "suite", Short: "what can be measured: list, check and expand suites"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "list the suites that this program carries", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
				for _, name := range suites.Names() {
					s, err := suites.Load(name)
					if err != nil {
						return fail(exitRequest, "%w", err)
					}
					fmt.Fprintf(t, "%s\t%s\n", name, s.Title)
				}
				return t.Flush()
			},
		},
		&cobra.Command{
			Use: "validate SUITE…", Short: "check suite files and report everything that is wrong", Args: cobra.MinimumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				bad := 0
				for _, name := range args {
					s, err := suites.Open(name)
					if err != nil {
						bad++
						fmt.Fprintln(cmd.ErrOrStderr(), err)
						continue
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s: valid, suite %q with %s\n", name, s.Name, countOf(len(s.Workloads), "workload"))
				}
				if bad > 0 {
					return fail(exitRequest, "%d of %s wrong", bad, countOf(len(args), "suite"))
				}
				return nil
			},
		},
		&cobra.Command{
			Use: "expand SUITE", Short: "show every cell with its requests, and how long it takes, without measuring", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				s, err := suites.Open(args[0])
				if err != nil {
					return fail(exitRequest, "%w", err)
				}
				t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "WORKLOAD\tPOINT\tTARGET\tLOAD\tCACHE\tTOKENS\tTRIALS\tGATES\tCELL")
				for _, c := range s.Expand() {
					var gates []string
					for _, g := range c.Gates {
						gates = append(gates, string(g.Metric))
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%.12s\n", c.Workload, pointText(c.Point), cmp.Or(c.Variant, c.Target),
						loadText(c.Load), cacheText(c.Request), c.Request.MaxTokens, c.Trials.Count, strings.Join(gates, ","), c.Digest)
				}
				if err := t.Flush(); err != nil {
					return fail(exitMachine, "print: %w", err)
				}
				e := s.Estimate()
				fmt.Fprintf(cmd.OutOrStdout(), "\n%s, %s: at least %s, about %s of windows and warm-ups on one CPU or GPU; digest %.12s\n",
					countOf(e.Cells, "cell"), countOf(e.Rounds, "round"), countOf(e.Requests, "request"), e.Time.Round(time.Second), s.Digest())
				return nil
			},
		},
		&cobra.Command{
			Use: "schema", Short: "print the JSON Schema of suites, by which editors complete and explain", Args: cobra.NoArgs,
			Long: `Print the JSON Schema of suites. Editors that know YAML complete and explain keys by it. Say in a suite's first line

    # yaml-language-server: $schema=./suite.schema.json

and keep the schema beside it:

    paceline suite schema > suite.schema.json

What depends on several keys only 'paceline suite validate' finds.`,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if _, err := cmd.OutOrStdout().Write(spec.Schema()); err != nil {
					return fail(exitMachine, "print: %w", err)
				}
				return nil
			},
		},
	)
	return cmd
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func pointText(point map[string]string) string {
	if len(point) == 0 {
		return "–"
	}
	var parts []string
	for axis, v := range point {
		parts = append(parts, axis+"="+v)
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

// cacheText says which caches a request may find.
func cacheText(q spec.Request) string {
	if q.NoKV {
		return "no kv"
	}
	return q.Cache
}

// loadText says how requests come.
func loadText(l spec.Load) string {
	switch {
	case l.RateOfMax > 0:
		return fmt.Sprintf("%s, %.4g %% of the maximum", l.Type, 100*l.RateOfMax)
	case l.Open():
		return fmt.Sprintf("%s, %.4g a second", l.Type, l.Rate)
	case l.Type == "burst":
		return fmt.Sprintf("burst of %d", l.Requests)
	case l.Concurrency > 1:
		return fmt.Sprintf("%s × %d", l.Type, l.Concurrency)
	}
	return l.Type
}
