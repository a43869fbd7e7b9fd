//go:build native

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/serve"
)

// defaultServe is where `serve` listens: vLLM's port, on this machine only.
const defaultServe = "127.0.0.1:8000"

// serveFlags say what is served, where, and how much of it.
type serveFlags struct {
	engineFlags

	listen, name, apiKeyEnv string
	pprof                   string // address; "": none
	pprofAnyHost            bool
	maxRequests, maxTokens  int
	maxBody                 int64
	kvMiB                   int64
	drain                   time.Duration
	verbose                 bool
}

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve [MODEL]",
		Short: "offer a model over HTTP, by OpenAI's API",
		Long: `Opens a model on the embedded engine and answers requests by OpenAI's API. Without
MODEL it is the small model that this program carries (robot-stories).

  POST /v1/chat/completions   a chat, by the model's template
  POST /v1/completions        a text, or token ids, continued as it is
  GET  /v1/models             the one model
  POST /tokenize              the ids of a text or a chat
  GET  /health                200 while it answers
  GET  /metrics               OpenMetrics
  GET  /version               which build this is

A parameter that the engine doesn't have is refused by name, never ignored. Requests
beyond --max-requests get 429 and Retry-After. A client that hangs up frees the engine
within a token. Ctrl-C lets requests under way end for --drain, then cuts them off;
a second Ctrl-C stops at once.

It listens on this machine only. Another address needs a key, which the environment
holds: --api-key-env names the variable.`,
		Example: `  paceline serve
  paceline serve ~/models/Qwen2.5-0.5B-Instruct --context 4096 --listen 127.0.0.1:8080
  PACELINE_KEY=... paceline serve --listen 0.0.0.0:8000 --api-key-env PACELINE_KEY

  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"messages": [{"role": "user", "content": "Write a short story about a robot."}]}'

  paceline serve --pprof 127.0.0.1:6060   and then, while it works:
  go tool pprof -top 'http://127.0.0.1:6060/debug/pprof/profile?seconds=10'

  paceline run ci --launch 'paceline serve --listen 127.0.0.1:{port}'   measure it`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, first(args)) },
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.listen, "listen", defaultServe, "address; port 0 picks a free one")
	fl.StringVar(&f.name, "served-name", "", "the model's name in the API (default: MODEL's, without its path)")
	fl.StringVar(&f.apiKeyEnv, "api-key-env", "", "environment variable that holds the key that clients must send")
	fl.IntVar(&f.maxRequests, "max-requests", serve.DefaultMaxRequests, "requests under way or waiting, each choice counted; more get 429")
	fl.IntVar(&f.maxTokens, "max-tokens", 0, "most tokens of one answer (default: what the context leaves)")
	fl.Int64Var(&f.maxBody, "max-body", serve.DefaultMaxBody, "most bytes of a request")
	fl.Int64Var(&f.kvMiB, "kv-mib", 0, "memory for the KV cache, MiB, which bounds how many requests run at once (default: one sequence of the whole context, at least 4096 positions)")
	fl.DurationVar(&f.drain, "drain", 30*time.Second, "how long requests under way may take to end when it stops")
	fl.StringArrayVar(&f.faults, "fault", nil, "plant a defect: slow=1.43, stall=0.5/100, wrong-token=0.01, leak=4096")
	fl.StringVar(&f.pprof, "pprof", "", "address for Go's profiles (net/http/pprof), such as 127.0.0.1:6060 (default: none)")
	fl.BoolVar(&f.pprofAnyHost, "pprof-any-host", false, "let --pprof reach beyond this machine; profiles need no key")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "log every request")
	return cmd
}

// check refuses what would be open to everybody, before the model is loaded. It gives the key.
func (f *serveFlags) check() (key string, err error) {
	host, _, err := net.SplitHostPort(f.listen)
	switch {
	case err != nil:
		return "", fail(exitRequest, "--listen %s: %w: write HOST:PORT, such as %s", f.listen, err, defaultServe)
	case f.maxRequests < 1:
		return "", fail(exitRequest, "--max-requests %d: want at least 1", f.maxRequests)
	case f.maxTokens < 0 || f.maxBody < 1 || f.kvMiB < 0 || f.kvMiB > 1<<30 || f.drain < 0:
		return "", fail(exitRequest, "--max-tokens, --max-body, --kv-mib and --drain can't be negative, and a body has at least 1 byte")
	}
	if f.apiKeyEnv != "" {
		if key = os.Getenv(f.apiKeyEnv); key == "" {
			return "", fail(exitRequest, "--api-key-env: the variable %s is empty or not set", f.apiKeyEnv)
		}
	}
	if !loopback(host) && key == "" {
		return "", fail(exitRequest, "--listen %s reaches beyond this machine: give the key that clients must send, by --api-key-env NAME", f.listen)
	}
	return key, f.checkProfiles()
}

func (f *serveFlags) run(cmd *cobra.Command, model string) error {
	key, err := f.check()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	cmd.SetContext(ctx)
	dir, err := modelOrShipped(model)
	if err != nil {
		return err
	}
	name := f.name
	if name == "" {
		name = servedName(model, dir)
	}
	// The port first: a model may take a minute, only to find it taken.
	ln, err := listen(ctx, f.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	stopProfiles, err := f.serveProfiles(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer stopProfiles()
	f.kvBytes = f.kvMiB << 20
	e, err := f.open(cmd, dir)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	s, err := serve.New(e, serve.Options{
		Name: name, Build: servedBuild(), APIKey: key,
		MaxBody: f.maxBody, MaxTokens: f.maxTokens, MaxRequests: f.maxRequests,
		Log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return errors.Join(fail(exitRequest, "%w", err), e.Close())
	}
	st := e.Stats()
	fmt.Fprintf(cmd.ErrOrStderr(), "model    %s · %s %s · context %d · KV cache for %d tokens\n", name, st.Backend.Name, st.Backend.ISA, s.Context(), st.PagesTotal*backend.PageTokens)
	for _, fault := range st.Faults {
		fmt.Fprintf(cmd.ErrOrStderr(), "fault    %s is planted: answers or their times are wrong on purpose\n", fault)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "address  http://%s/v1\nready · Ctrl-C stops it\n", reachable(ln.Addr()))
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process
	err = errors.Join(s.Serve(ctx, ln, f.drain), e.Close())
	if err != nil {
		return fail(exitMachine, "%w", err)
	}
	return nil
}

// servedName is what the API calls a model: the name that it was asked for by, or its
// folder's. A pulled model's folder is called by its commit, which nobody types.
func servedName(model, dir string) string {
	switch {
	case model == "" || model == "default":
		return shippedModel
	case model == shippedModel || isPulledName(model):
		return model
	}
	return filepath.Base(dir)
}

// servedBuild is what /version answers: this build, and its name in one word.
func servedBuild() any {
	b := thisBuild()
	id := b.Version
	if b.Revision != "" {
		id += "+" + b.Revision[:min(12, len(b.Revision))]
	}
	if b.Modified {
		id += ".modified"
	}
	return struct {
		Build string `json:"build"`
		buildInfo
	}{id, b}
}
