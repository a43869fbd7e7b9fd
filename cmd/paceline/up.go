package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/datadir"
)

// defaultListen is where the pages are, on this machine only.
const defaultListen = "127.0.0.1:7070"

func upCommand() *cobra.Command {
	var f runFlags
	var out outputFlags
	var suite, listen, seriesURL string
	var once bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "coordinator, dashboard and this machine's agent in one process",
		Long: `Starts the coordinator, the dashboard and an agent for this machine in one process,
on the loopback only, with its state in the data folder. With --suite it measures that
first, judges it, and keeps the dashboard up until Ctrl-C.

During a run Ctrl-C cancels it (exit 5); after it, Ctrl-C only stops the server (exit 0).

` + exitCodesHelp,
		Example: "  paceline up\n  paceline up --suite ci\n  paceline up --suite ci --once",
		Args:    cobra.NoArgs,
		RunE: out.telling(func(cmd *cobra.Command, _ []string) error {
			out.suite = suite
			if once && suite == "" {
				return fail(exitRequest, "--once needs --suite: there is nothing to end with")
			}
			if suite != "" {
				if err := engineHere(); err != nil {
					return err
				}
			}
			if err := out.check(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			ln, err := listenLoopback(ctx, listen)
			if err != nil {
				return err
			}
			defer ln.Close()
			here, err := (&subjectFlags{}).read(f.data)
			if err != nil {
				return err
			}
			url := "http://" + ln.Addr().String()
			l, err := openLocal(ctx, localOptions{
				data: f.data, owner: datadir.Owner{PID: os.Getpid(), Command: "up", URL: url, Since: now()},
				bus: embeddedBus, seriesURL: seriesURL, config: here, page: url + "/runs/", log: out.logger(cmd),
			})
			if err != nil {
				return err
			}
			defer l.close()
			end, err := l.serve(ln, siteOptions{log: out.logger(cmd)})
			if err != nil {
				return err
			}
			defer end()
			fmt.Fprintf(cmd.ErrOrStderr(), "dashboard  %s\n", url)
			if suite != "" {
				if err := l.runSuite(ctx, cmd, &f, &out, suite); once || ctx.Err() != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "\nthe dashboard is at %s · Ctrl-C stops it\n", url)
			<-ctx.Done()
			return nil
		}),
	}
	f.add(cmd)
	out.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&suite, "suite", "", "measure this suite first")
	fl.StringVar(&listen, "listen", defaultListen, "address of the dashboard and the API, on the loopback; port 0 picks a free one")
	fl.BoolVar(&once, "once", false, "end after the suite with the verdict's exit code")
	fl.StringVar(&seriesURL, "series", "", "also keep trends in InfluxDB 2: influx://HOST:PORT/ORG/BUCKET, its token in PACELINE_INFLUX_TOKEN")
	return cmd
}

// runSuite measures and shows the verdict. A verdict that isn't a pass is told by the
// error, whose message was shown already.
func (l *local) runSuite(ctx context.Context, cmd *cobra.Command, f *runFlags, out *outputFlags, suite string) error {
	var run ledger.Run
	q, err := f.request(ctx, suite)
	if err == nil {
		run, err = l.measure(ctx, q, out.display(cmd))
	}
	if err == nil {
		err = out.finish(cmd, l.core, run.ID, run.Exit)
	} else {
		err = out.ended(cmd, l.core, run.ID, err)
	}
	var exit *exitError
	if errors.As(err, &exit) && exit.err != nil && ctx.Err() == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "paceline: %v\n", exit.err)
		return &exitError{code: exit.code}
	}
	return err
}

// listenLoopback opens the port; anything but the loopback is refused while there are
// no tokens.
func listenLoopback(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fail(exitRequest, "--listen %s: %w: write HOST:PORT, such as %s", addr, err, defaultListen)
	}
	if !loopback(host) {
		return nil, fail(exitRequest, "--listen %s: only the loopback (127.0.0.1, ::1, localhost) is served without tokens; paceline coordinator serves others", addr)
	}
	return listen(ctx, addr)
}

// embeddedBus is a NATS server in this process, without a port.
func embeddedBus(*sqlite.Ledger) (bus.Bus, error) { return bus.Embedded() }

// shutdownWait is how long open pages may take to end.
const shutdownWait = 3 * time.Second

// startServer serves until end is called, by TLS where the server has a configuration
// of it.
func startServer(ln net.Listener, s *http.Server) (end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Ends with Shutdown; a broken listener ends with the process.
		if s.TLSConfig != nil {
			_ = s.ServeTLS(ln, "", "")
		} else {
			_ = s.Serve(ln)
		}
	}()
	return func() {
		ctx, stop := context.WithTimeout(context.Background(), shutdownWait)
		defer stop()
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
		<-done
	}
}
