package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/client"
)

// Lives of tokens where nobody says how long.
const (
	apiTokenLife   = 90 * 24 * time.Hour
	enrolTokenLife = time.Hour
	maxTokenLife   = 366 * 24 * time.Hour
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "who may use a coordinator: make, list and revoke tokens",
		Long: `A coordinator takes two kinds of tokens. An API token opens the API and the pages
within its scope: read (look at everything), submit (and start and cancel runs, and
measure on the calling machine), admin (and make tokens). An enrolment token makes one
agent, once.

A token is shown when it is made and never again: the ledger keeps its hash only. Put an
API token into ` + tokenVariable + `, or into the sign-in page.`,
	}
	cmd.AddCommand(tokenCreateCommand(), tokenListCommand(), tokenRevokeCommand())
	return cmd
}

func tokenCreateCommand() *cobra.Command {
	var reach reachFlags
	var data, scope, agent, name, life string
	var enrol, asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "make a token and print it, this once",
		Example: `  paceline token create --scope admin --name "me" --data /var/lib/paceline
  paceline token create --scope submit --name "ci of project x" --expires 90d
  paceline token create --enrol                  # for one agent, good for an hour
  paceline token create --enrol --agent gpu-07   # gpu-07 was set up anew`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := client.TokenRequest{Kind: "api", Name: name, Scope: scope, Agent: agent}
			d := apiTokenLife
			switch {
			case enrol && scope != "":
				return fail(exitRequest, "--enrol and --scope don't go together: an enrolment token makes an agent and opens nothing else")
			case !enrol && agent != "":
				return fail(exitRequest, "--agent is for enrolment tokens: add --enrol")
			case !enrol && scope == "":
				return fail(exitRequest, "what may the token do? --scope read, submit or admin; or --enrol for an agent")
			case enrol:
				q.Kind, d = "enrol", enrolTokenLife
			}
			if life != "" {
				var err error
				if d, err = parseLife(life); err != nil {
					return fail(exitRequest, "--expires %s: %w", life, err)
				}
			}
			q.ExpiresSec = d.Seconds()
			c, closeIt, err := reach.reach(cmd.Context(), data)
			if err != nil {
				return err
			}
			defer closeIt()
			k, err := c.CreateToken(cmd.Context(), q)
			if err != nil {
				return &exitError{code: remoteCode(err), err: err}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), k)
			}
			// The token alone on standard output, for $(…); what to know about it beside.
			fmt.Fprintln(cmd.OutOrStdout(), k.Secret)
			fmt.Fprintf(cmd.ErrOrStderr(), "token %s · %s · expires %s · it is not shown again\n", k.ID, describeToken(k.Token), k.Expires.Local().Format(time.DateTime))
			return nil
		},
	}
	reach.add(cmd, "make it at this coordinator")
	fl := cmd.Flags()
	fl.StringVar(&data, "data", "", "data folder of a coordinator on this machine (default: $PACELINE_DATA, else ~/.local/share/paceline)")
	fl.StringVar(&scope, "scope", "", "of an API token: read, submit or admin")
	fl.BoolVar(&enrol, "enrol", false, "an enrolment token, for one agent")
	fl.StringVar(&agent, "agent", "", "with --enrol: only for this name; an agent of that name gets its new key")
	fl.StringVar(&name, "name", "", "what it is for; shown beside what is done with it")
	fl.StringVar(&life, "expires", "", "such as 15m, 12h or 90d (default: 90d, for enrolment 1h)")
	fl.BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// parseLife reads a duration that may be in days.
func parseLife(s string) (time.Duration, error) {
	var d time.Duration
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n > 366 {
			return 0, fmt.Errorf("want up to 366 days, such as 90d")
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			return 0, fmt.Errorf("want a time such as 15m, 12h or 90d")
		}
	}
	if d < time.Minute || d > maxTokenLife {
		return 0, fmt.Errorf("want from a minute to 366 days")
	}
	return d, nil
}

func describeToken(t client.Token) string {
	switch {
	case t.Kind == "enrol" && t.Agent != "":
		return "enrols " + t.Agent
	case t.Kind == "enrol":
		return "enrols one agent"
	}
	return "scope " + strings.Join(t.Scopes, ", ")
}

func tokenListCommand() *cobra.Command {
	var reach reachFlags
	var data string
	var asJSON, all bool
	cmd := &cobra.Command{
		Use: "list", Short: "list tokens; never their text", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, closeIt, err := reach.reach(cmd.Context(), data)
			if err != nil {
				return err
			}
			defer closeIt()
			ts, err := c.Tokens(cmd.Context())
			if err != nil {
				return &exitError{code: remoteCode(err), err: err}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), ts)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tWHAT\tNAME\tSTATE\tLAST USED\tMADE BY")
			ended := 0
			for _, t := range ts {
				state := t.Ended(now())
				if state != "" && !all {
					ended++
					continue
				}
				if state == "" {
					state = "until " + t.Expires.Local().Format("2006-01-02 15:04")
				}
				used := "never"
				if !t.LastUsed.IsZero() {
					used = t.LastUsed.Local().Format("2006-01-02 15:04")
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, describeToken(t), orDash(t.Name), state, used, orDash(t.By))
			}
			if err := w.Flush(); err != nil {
				return fail(exitMachine, "show tokens: %w", err)
			}
			if ended > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "and %s that ended: --all\n", plural(ended, "token"))
			}
			return nil
		},
	}
	reach.add(cmd, "of this coordinator")
	cmd.Flags().StringVar(&data, "data", "", "data folder of a coordinator on this machine")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&all, "all", false, "also those that ended")
	return cmd
}

func tokenRevokeCommand() *cobra.Command {
	var reach reachFlags
	var data string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "end a token, at once and for good", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, closeIt, err := reach.reach(cmd.Context(), data)
			if err != nil {
				return err
			}
			defer closeIt()
			t, err := c.RevokeToken(cmd.Context(), args[0])
			if client.IsNotFound(err) {
				return fail(exitRequest, "there is no token %s: paceline token list shows their ids", args[0])
			}
			if err != nil {
				return &exitError{code: remoteCode(err), err: err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "token %s (%s) is revoked\n", t.ID, orDash(t.Name))
			return nil
		},
	}
	reach.add(cmd, "of this coordinator")
	cmd.Flags().StringVar(&data, "data", "", "data folder of a coordinator on this machine")
	return cmd
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
