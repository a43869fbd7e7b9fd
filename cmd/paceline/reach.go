package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/coordinator/api"
	"github.com/paceline/paceline/internal/datadir"
)

// Variables of the environment: flags are seen by everybody on the machine.
const (
	coordinatorVariable = "PACELINE_COORDINATOR"
	tokenVariable       = "PACELINE_TOKEN"
	caVariable          = "PACELINE_CA"
)

// reachFlags say which coordinator a command talks to.
type reachFlags struct {
	coordinator string
	ca          string
}

func (f *reachFlags) add(cmd *cobra.Command, what string) {
	fl := cmd.Flags()
	fl.StringVar(&f.coordinator, "coordinator", "", what+", its URL; the token in "+tokenVariable+" (default without --data: $"+coordinatorVariable+")")
	fl.StringVar(&f.ca, "ca", "", "certificates that the coordinator's is checked against, PEM (default: $"+caVariable+", else the system's)")
}

// elsewhere says whether a coordinator is named, by flag or, where no data folder is,
// by the environment.
func (f *reachFlags) elsewhere(data string) bool {
	if f.coordinator == "" && data == "" {
		f.coordinator = os.Getenv(coordinatorVariable)
	}
	if f.ca == "" {
		f.ca = os.Getenv(caVariable)
	}
	return f.coordinator != ""
}

// tlsConfig trusts the given certificates, or what the system trusts.
func tlsConfig(ca string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return c, nil
	}
	b, err := os.ReadFile(ca)
	if err != nil {
		return nil, fail(exitRequest, "read the certificates of --ca: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(b) {
		return nil, fail(exitRequest, "read the certificates of --ca %s: it has none in PEM form", ca)
	}
	return c, nil
}

// dial makes a client of the coordinator that the flags name.
func (f *reachFlags) dial(waiting func(error)) (*client.Client, error) {
	c, err := tlsConfig(f.ca)
	if err != nil {
		return nil, err
	}
	token := os.Getenv(tokenVariable)
	if strings.ContainsAny(token, " \t\r\n") {
		return nil, fail(exitRequest, "%s has blanks or line breaks in it: it must be the token alone", tokenVariable)
	}
	cl, err := client.New(f.coordinator, client.Options{Token: token, TLS: c, Waiting: waiting, UserAgent: "paceline/" + version})
	if err != nil {
		return nil, fail(exitRequest, "--coordinator: %w", err)
	}
	return cl, nil
}

// reach makes a client of the coordinator that the flags name; else of the one that
// owns the data folder; else of one in this process, over the folder. close ends that.
func (f *reachFlags) reach(ctx context.Context, data string) (c *client.Client, close func(), err error) {
	if f.elsewhere(data) {
		c, err = f.dial(nil)
		return c, func() {}, err
	}
	path := data
	if path == "" {
		if path, err = datadir.Default(); err != nil {
			return nil, nil, fail(exitRequest, "%w", err)
		}
	}
	l, err := openLocal(ctx, localOptions{data: path, idle: true, owner: datadir.Owner{PID: os.Getpid(), Command: "command", Since: now()}})
	var held *datadir.HeldError
	if errors.As(err, &held) && held.Owner.URL != "" {
		c, err = reachOwner(held.Owner)
		return c, func() {}, err
	}
	if err != nil {
		return nil, nil, err
	}
	c, err = l.inProcess()
	if err != nil {
		l.close()
		return nil, nil, err
	}
	return c, l.close, nil
}

// reachOwner makes a client of the process that owns a data folder, with the secret
// that lies there.
func reachOwner(o datadir.Owner) (*client.Client, error) {
	opts := client.Options{Token: o.Secret}
	if o.Certificate != "" {
		opts.TLS = pinned(o.Certificate)
	}
	c, err := client.New(o.URL, opts)
	if err != nil {
		return nil, fail(exitMachine, "reach the owner of the data folder: %w", err)
	}
	return c, nil
}

// pinned trusts one certificate, whatever name it is for.
func pinned(digest string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // checked below
		VerifyConnection: func(s tls.ConnectionState) error {
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			if hex.EncodeToString(sum[:]) != digest {
				return errors.New("the server has another certificate than the data folder's owner")
			}
			return nil
		},
	}
}

// inProcess is a client of this process's own coordinator, with every right and
// without a port.
func (l *local) inProcess() (*client.Client, error) {
	deps := api.From(l.core, l.ledger)
	deps.Version = version
	deps.Doors = &access.Doors{Tokens: l.ledger.Tokens(), Now: time.Now, Local: "in this process"}
	h, err := api.New(deps)
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	c, err := client.New("http://in-process", client.Options{Token: deps.Doors.Local, HTTP: &http.Client{Transport: handled{h}}})
	if err != nil {
		return nil, fail(exitMachine, "%w", err)
	}
	return c, nil
}

// handled answers requests by a handler, whole answers only.
type handled struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	w := &answer{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(w, in)
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answer gathers what a handler writes.
type answer struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.wrote = true
	return a.body.Write(b)
}
