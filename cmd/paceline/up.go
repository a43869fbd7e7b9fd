package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

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
		RunE: func(cmd *cobra.Command, _ []string) error {
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
				nats: true, seriesURL: seriesURL, config: here, page: url + "/runs/", log: out.logger(cmd),
			})
			if err != nil {
				return err
			}
			defer l.close()
			end, err := l.serve(ln, out.logger(cmd))
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
		},
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
	q, err := f.request(suite)
	if err != nil {
		return err
	}
	run, err := l.measure(ctx, q, out.display(cmd))
	if err == nil {
		err = out.finish(cmd, l.core, run.ID, run.Exit)
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
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fail(exitRequest, "--listen %s: only the loopback (127.0.0.1, ::1, localhost) is served without tokens", addr)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fail(exitRequest, "the port of %s is in use by another program: stop it, or choose another with --listen 127.0.0.1:0 (0 picks a free one)", addr)
	case err != nil:
		return nil, fail(exitRequest, "listen on %s: %w", addr, err)
	}
	return ln, nil
}

// shutdownWait is how long open pages may take to end.
const shutdownWait = 3 * time.Second

// startServer serves until end is called.
func startServer(ln net.Listener, s *http.Server) (end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ln) // ends with Shutdown; a broken listener ends with the process
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
