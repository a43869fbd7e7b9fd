package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/api"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/internal/wire"
)

// defaultBusPort is where agents reach the coordinator's messages.
const defaultBusPort = "7422"

// coordinatorFlags say where a coordinator listens and to whom.
type coordinatorFlags struct {
	data, listen           string
	busListen, advertise   string
	certificate, key       string
	plaintext, verbose     bool
	seriesURL, pageAddress string
	lease                  time.Duration
}

func coordinatorCommand() *cobra.Command {
	var f coordinatorFlags
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: "take runs, give them to agents, judge and show them: the server of a fleet",
		Long: `Serves the API, the pages and the agents' messages. It measures nothing itself:
machines that do are enrolled as agents, or a command measures on its own machine.

Everybody needs a token, also on this machine. The first is made beside the data folder:

  paceline token create --scope admin --name "me" --data DIR

Beyond the loopback a certificate is needed, which serves both ports. Everything that
must last lies in the data folder: stop the coordinator, start it again, and agents and
waiting commands go on.`,
		Example: `  paceline coordinator --data /var/lib/paceline
  paceline coordinator --listen :7070 --tls-cert cert.pem --tls-key key.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return f.run(ctx, cmd)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "data folder (default: $PACELINE_DATA, else ~/.local/share/paceline)")
	fl.StringVar(&f.listen, "listen", defaultListen, "address of the API and the pages; port 0 picks a free one")
	fl.StringVar(&f.busListen, "bus-listen", "", "address of the agents' messages (default: the host of --listen, port "+defaultBusPort+")")
	fl.StringVar(&f.advertise, "bus-advertise", "", "where agents reach --bus-listen, HOST:PORT (default: the host by which they enrolled)")
	fl.StringVar(&f.certificate, "tls-cert", "", "certificate chain, PEM")
	fl.StringVar(&f.key, "tls-key", "", "its private key, PEM")
	fl.BoolVar(&f.plaintext, "plaintext", false, "beyond the loopback without TLS: only where a proxy encrypts or the network is nobody else's")
	fl.StringVar(&f.seriesURL, "series", "", "also keep trends in InfluxDB 2: influx://HOST:PORT/ORG/BUCKET, its token in PACELINE_INFLUX_TOKEN")
	fl.StringVar(&f.pageAddress, "url", "", "how people reach the pages, such as https://paceline.example.com (default: made of --listen)")
	fl.DurationVar(&f.lease, "lease", wire.LeaseFor, "an agent that is not heard for so long, while it measures, is lost")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "log everything")
	return cmd
}

func (f *coordinatorFlags) run(ctx context.Context, cmd *cobra.Command) error {
	certificate, err := f.check()
	if err != nil {
		return err
	}
	ln, err := listen(ctx, f.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	secret, _, err := access.New(rand.Reader, ledger.TokenAPI)
	if err != nil {
		return fail(exitMachine, "%w", err)
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	owner := datadir.Owner{PID: os.Getpid(), Command: "coordinator", URL: f.scheme() + "://" + reachable(ln.Addr()), Secret: secret, Since: now()}
	if certificate != nil {
		sum := sha256.Sum256(certificate.Certificates[0].Certificate[0])
		owner.Certificate = hex.EncodeToString(sum[:])
	}
	url := f.pageAddress
	if url == "" {
		url = owner.URL
	}
	var messages *bus.NATS
	l, err := openLocal(ctx, localOptions{data: f.data, owner: owner, idle: true, lease: f.lease, seriesURL: f.seriesURL, page: url + "/runs/", log: log, bus: func(store *sqlite.Ledger) (bus.Bus, error) {
		var err error
		messages, err = bus.Listen(bus.ListenOptions{Addr: f.busAddress(), TLS: certificate, Agent: known(store.Tokens(), log)})
		return messages, err
	}})
	if err != nil {
		return err
	}
	defer l.close()
	doors := &access.Doors{Tokens: l.ledger.Tokens(), Now: time.Now, Local: secret}
	fleet := &api.Fleet{Tokens: l.ledger.Tokens(), BusURL: f.busURL(messages.Addr()), ValidKey: bus.ValidPublic}
	end, err := l.serve(ln, siteOptions{log: log, tls: certificate, doors: doors, fleet: fleet})
	if err != nil {
		return err
	}
	defer end()
	fmt.Fprintf(cmd.ErrOrStderr(), "coordinator  %s\nagents       %s\n", url, f.busURL(messages.Addr())("HOST"))
	if tokens, err := l.ledger.Tokens().List(ctx); err == nil && len(tokens) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "nobody has a token yet: paceline token create --scope admin --data %s\n", l.data.Path)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "ready · Ctrl-C stops it")
	<-ctx.Done()
	return nil
}

// check reads the certificate and refuses what would be open to everybody.
func (f *coordinatorFlags) check() (*tls.Config, error) {
	if f.lease < wire.BeatEvery {
		return nil, fail(exitRequest, "--lease %s: agents are heard every %s, so give at least that", f.lease, wire.BeatEvery)
	}
	if (f.certificate == "") != (f.key == "") {
		return nil, fail(exitRequest, "--tls-cert and --tls-key go together")
	}
	if f.certificate != "" {
		pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
		if err != nil {
			return nil, fail(exitRequest, "read the certificate %s and its key %s: %w", f.certificate, f.key, err)
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
	}
	for name, addr := range map[string]string{"--listen": f.listen, "--bus-listen": f.busAddress()} {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fail(exitRequest, "%s %s: %w: write HOST:PORT, such as %s", name, addr, err, defaultListen)
		}
		if !loopback(host) && !f.plaintext {
			return nil, fail(exitRequest, "%s %s reaches beyond this machine: give --tls-cert and --tls-key, or say --plaintext where something else encrypts", name, addr)
		}
	}
	return nil, nil //nolint:nilnil // no TLS is a choice
}

func (f *coordinatorFlags) scheme() string {
	if f.certificate != "" {
		return "https"
	}
	return "http"
}

func (f *coordinatorFlags) busAddress() string {
	if f.busListen != "" {
		return f.busListen
	}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, defaultBusPort)
}

// busURL says where agents that addressed the coordinator as host find its messages.
func (f *coordinatorFlags) busURL(addr string) func(host string) string {
	scheme := "nats://"
	if f.certificate != "" {
		scheme = "tls://"
	}
	_, port, _ := net.SplitHostPort(addr)
	return func(host string) string {
		if f.advertise != "" {
			return scheme + f.advertise
		}
		return scheme + net.JoinHostPort(host, port)
	}
}

// known finds the agent that has a key and may connect.
func known(tokens ledger.Tokens, log *slog.Logger) func(context.Context, string) (string, bool) {
	return func(ctx context.Context, public string) (string, bool) {
		a, err := tokens.ByKey(ctx, public)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			log.Warn("an unknown key was refused", "key", public)
			return "", false
		case err != nil:
			log.Error("an agent's key could not be checked", "error", err)
			return "", false
		case a.State == ledger.AgentRetired:
			log.Warn("a retired agent was refused", "agent", a.Name)
			return "", false
		}
		return a.ID, true
	}
}

// listen opens a port.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fail(exitRequest, "the port of %s is in use by another program: stop it, or choose another with --listen 127.0.0.1:0 (0 picks a free one)", addr)
	case err != nil:
		return nil, fail(exitRequest, "listen on %s: %w", addr, err)
	}
	return ln, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// reachable is how this machine itself reaches a listener.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
