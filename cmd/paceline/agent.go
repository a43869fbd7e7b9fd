package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/agent"
	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/internal/bus"
)

// redial is how long an agent waits before it tries again to reach a coordinator that
// it has not reached since it was started.
const redial = 3 * time.Second

func agentCommand() *cobra.Command {
	var state, config string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "measure for a coordinator: the program that runs on every machine of a fleet",
		Long: `Runs this machine's agent: it dials out to the coordinator that it was enrolled with,
takes attempts, measures each round in a process of its own, and delivers the results.
What it could not deliver stays on its disk until it can. Nothing listens on this machine.

Servers and builds that it may measure beside this program stand in agent.yml in its
state folder (docs/targets.md).

Enrol it first, once:

  paceline agent enrol https://paceline.example.com:7070 TOKEN`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := engineHere(); err != nil {
				return err
			}
			dir, err := agentDir(state)
			if err != nil {
				return fail(exitRequest, "%w", err)
			}
			s, err := readAgent(dir)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return fail(exitRequest, "this machine is not enrolled (%s): paceline agent enrol URL TOKEN", dir)
			case err != nil:
				return fail(exitRequest, "%w", err)
			case s.ID == "":
				return fail(exitRequest, "this machine's enrolment with %s was not finished: run paceline agent enrol again", s.Coordinator)
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			must := config != ""
			if !must {
				config = filepath.Join(dir, agentConfigName)
			}
			here, err := readAgentConfig(config, must)
			if err != nil {
				return err
			}
			return s.serve(ctx, cmd, dir, here, log)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "folder of the agent's enrolment and spool (default: $PACELINE_AGENT_STATE, else ~/.local/share/paceline-agent)")
	cmd.Flags().StringVar(&config, "config", "", "what this machine provides: targets, builds and models by name (default: "+agentConfigName+" in the folder of --state, where there is one)")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log everything")
	cmd.AddCommand(enrolCommand())
	return cmd
}

// serve runs the agent until ctx ends.
func (s agentState) serve(ctx context.Context, cmd *cobra.Command, dir string, here agentConfig, log *slog.Logger) error {
	b, err := s.connect(ctx, log)
	if b == nil {
		return err // nil: it was stopped before
	}
	defer b.Close()
	a, err := newAgent(agentOptions{
		id: s.ID, labels: s.Labels, spool: filepath.Join(dir, "spool"), bus: b, log: log, model: namedModels(filepath.Join(dir, "models")),
		config: here, builds: filepath.Join(dir, "builds"),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "agent %s (%s) of %s is ready · Ctrl-C stops it\n", s.Name, s.ID, s.Coordinator)
	if err := a.Run(ctx); err != nil {
		return fail(exitMachine, "%w", err)
	}
	return nil
}

// connect reaches the coordinator's messages, for as long as it takes; nil without an
// error when ctx ended before.
func (s agentState) connect(ctx context.Context, log *slog.Logger) (*bus.NATS, error) {
	c, err := tlsConfig(s.CA)
	if err != nil {
		return nil, err
	}
	o := bus.DialOptions{
		URL: s.BusURL, Agent: s.ID, Seed: s.Seed,
		State: func(err error) {
			if err != nil {
				log.Warn("the coordinator is away; trying again until it is back", "error", err)
			} else {
				log.Info("the coordinator is back")
			}
		},
		Error: func(err error) { log.Warn("message refused", "error", err) },
	}
	if strings.HasPrefix(s.BusURL, "tls://") {
		o.TLS = c
	}
	for told := false; ; {
		b, err := bus.Dial(o)
		if err == nil {
			return b, nil
		}
		if errors.Is(err, bus.ErrRefused) {
			return nil, fail(exitRequest, "agent %s: %w (paceline agent enrol --force URL TOKEN)", s.Name, err)
		}
		if !told {
			log.Warn("the coordinator can't be reached; trying again until it can", "url", s.BusURL, "error", err)
			told = true
		}
		t := time.NewTimer(redial)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, nil //nolint:nilnil // stopped
		case <-t.C:
		}
	}
}

// agentOptions are what agents of this program differ in.
type agentOptions struct {
	id     string
	labels map[string]string
	spool  string
	bus    bus.Bus
	log    *slog.Logger
	model  func(name string) (string, error)

	config agentConfig // what it can measure beside this program
	builds string      // folder of what it has built
}

// newAgent makes an agent that measures with this very program.
func newAgent(o agentOptions) (*agent.Agent, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fail(exitMachine, "find this program's file: %w", err)
	}
	a, err := agent.New(agent.Config{
		ID: o.id, Build: version, Devices: []string{"cpu"}, Labels: o.labels, Spool: o.spool, Bus: o.bus,
		Worker: []string{self, "worker"}, Probe: []string{self, "probe"},
		HostLock: hostLock(), Model: o.config.catalogue(o.model), Subjects: o.config.subjects, Builds: o.builds, GPU: o.config.gpu, Log: o.log,
	})
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	return a, nil
}

// hostLock is the file by which measurements on this host take turns.
func hostLock() string { return filepath.Join(os.TempDir(), "paceline-host.lock") }

// namedModels finds models by name only: what comes from elsewhere is never a path.
// dir is where the shipped one is unpacked; empty: the user's cache folder.
func namedModels(dir string) func(name string) (string, error) {
	shipped := catalogue(dir)
	return func(name string) (string, error) {
		if name != shippedModel && name != "default" && name != "" {
			return "", fmt.Errorf("this machine has no model named %q: it knows %q", name, shippedModel)
		}
		return shipped(name)
	}
}

func enrolCommand() *cobra.Command {
	var state, name, ca string
	var labels []string
	var force bool
	cmd := &cobra.Command{
		Use:   "enrol URL TOKEN",
		Short: "make this machine an agent of a coordinator, once",
		Long: `Makes a key pair for this machine, and spends an enrolment token (paceline token create
--enrol) so that the coordinator knows the public half. The secret half stays here. Asked
again after an answer that was lost, it goes on where it was.`,
		Example: "  paceline agent enrol https://paceline.example.com:7070 ple_… --name gpu-07 --label gpu=h200 --label pool=ci",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := agentDir(state)
			if err != nil {
				return fail(exitRequest, "%w", err)
			}
			if name == "" {
				if name, err = os.Hostname(); err != nil {
					return fail(exitRequest, "this machine has no name: give one with --name")
				}
			}
			l, err := parseLabels(labels)
			if err != nil {
				return err
			}
			if ca == "" {
				ca = os.Getenv(caVariable)
			}
			if ca != "" {
				if ca, err = filepath.Abs(ca); err != nil {
					return fail(exitRequest, "--ca: %w", err)
				}
			}
			s := agentState{Schema: 1, Coordinator: strings.TrimSuffix(args[0], "/"), CA: ca, Name: name, Labels: l, Since: now().UTC()}
			if s, err = s.enrol(cmd.Context(), dir, args[1], force); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "enrolled as agent %s (%s) of %s\nstart it with: paceline agent%s\n", s.Name, s.ID, s.Coordinator, stateFlag(state))
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&state, "state", "", "folder of the agent's enrolment and spool (default: $PACELINE_AGENT_STATE, else ~/.local/share/paceline-agent)")
	fl.StringVar(&name, "name", "", "of this machine, unique in the fleet (default: its host name)")
	fl.StringVar(&ca, "ca", "", "certificates that the coordinator's is checked against, PEM (default: $"+caVariable+", else the system's)")
	fl.StringArrayVar(&labels, "label", nil, "KEY=VALUE by which runs choose machines (may be repeated)")
	fl.BoolVar(&force, "force", false, "also where this machine is enrolled already: what it was is forgotten")
	return cmd
}

func stateFlag(state string) string {
	if state == "" {
		return ""
	}
	return " --state " + quoteWord(state)
}

// enrol asks the coordinator and keeps its answer.
func (s agentState) enrol(ctx context.Context, dir, token string, force bool) (agentState, error) {
	c, err := tlsConfig(s.CA)
	if err != nil {
		return s, err
	}
	cl, err := client.New(s.Coordinator, client.Options{TLS: c, UserAgent: "paceline/" + version})
	if err != nil {
		return s, fail(exitRequest, "%w", err)
	}
	if s, err = s.prepare(dir, force); err != nil {
		return s, fail(exitRequest, "%w", err)
	}
	got, err := cl.Enrol(ctx, client.Enrolment{Token: strings.TrimSpace(token), Name: s.Name, PublicKey: s.Public, Labels: s.Labels})
	if err != nil {
		return s, &exitError{code: remoteCode(err), err: err}
	}
	s.ID, s.BusURL = got.Agent.ID, got.BusURL
	if err := s.write(dir); err != nil {
		return s, fail(exitMachine, "%w: the coordinator knows this agent; mend the folder and run this again with the same token", err)
	}
	return s, nil
}

// parseLabels reads KEY=VALUE.
func parseLabels(texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, t := range texts {
		k, v, ok := strings.Cut(t, "=")
		if !ok || k == "" || len(t) > 200 || strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r == 0x7f || r > 0x7e }) {
			return nil, fail(exitRequest, "%q is no label: write KEY=VALUE, such as gpu=h200, in plain characters without blanks", t)
		}
		if have, twice := out[k]; twice && have != v {
			return nil, fail(exitRequest, "label %s is given twice, as %q and %q", k, have, v)
		}
		out[k] = v
	}
	return out, nil
}
