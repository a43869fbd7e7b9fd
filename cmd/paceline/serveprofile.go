//go:build native

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// checkProfiles refuses to show the inside of the program to other machines, unless that was said.
func (f *serveFlags) checkProfiles() error {
	if f.pprof == "" {
		if f.pprofAnyHost {
			return fail(exitRequest, "--pprof-any-host: say where, by --pprof HOST:PORT")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(f.pprof)
	switch {
	case err != nil:
		return fail(exitRequest, "--pprof %s: %w: write HOST:PORT, such as 127.0.0.1:6060", f.pprof, err)
	case !loopback(host) && !f.pprofAnyHost:
		return fail(exitRequest, "--pprof %s reaches beyond this machine, and profiles need no key: give a loopback address, or --pprof-any-host too", f.pprof)
	}
	return nil
}

// serveProfiles answers net/http/pprof's requests on an address of their own, until the function that
// it gives is called. They never share the API's port.
func (f *serveFlags) serveProfiles(ctx context.Context, say io.Writer) (stop func(), err error) {
	if f.pprof == "" {
		return func() {}, nil
	}
	ln, err := listen(ctx, f.pprof)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ln) // its end is Close below
	}()
	fmt.Fprintf(say, "pprof    http://%s/debug/pprof/\n", reachable(ln.Addr()))
	return func() {
		_ = server.Close() // nobody waits for a profile of a program that ends
		<-ended
	}, nil
}
