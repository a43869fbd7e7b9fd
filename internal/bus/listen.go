package bus

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ListenOptions say who may connect to a coordinator's message server, and how.
type ListenOptions struct {
	Addr string      // HOST:PORT; port 0 picks a free one
	TLS  *tls.Config // nil: connections are not encrypted

	// Agent gives the id of the agent that has the public key; false: no agent has it,
	// or the one that has may not connect. It is asked at each connection, and its
	// answer, not what the peer says of itself, is the connection's identity.
	Agent func(ctx context.Context, public string) (id string, ok bool)
}

// Limits of connections from outside.
const (
	maxConnections = 4096
	authTimeout    = 5 * time.Second
	askTimeout     = 3 * time.Second // for ListenOptions.Agent
)

// coordinatorUser is how the coordinator names itself to the server in its process.
const coordinatorUser = "coordinator"

// Listen starts a NATS server inside this process that agents can reach, and connects
// to it. An agent proves that it holds its key and may then do what an agent does:
// ask under its own name, hear its own hints, announce progress. Nothing else.
func Listen(o ListenOptions) (*NATS, error) {
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for agents on %q: %w: write HOST:PORT", o.Addr, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen for agents on %q: %w: write HOST:PORT", o.Addr, err)
	}
	// The server itself only falls silent where the port is taken.
	free, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for agents on %s: %w: choose another port", o.Addr, err)
	}
	_ = free.Close()
	password, err := secret()
	if err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName: "paceline", Host: host, Port: int(n), JetStream: false, NoSigs: true, NoLog: true,
		MaxPayload: MaxMessageBytes, MaxControlLine: 4096, MaxConn: maxConnections, MaxSubs: 64, AuthTimeout: authTimeout.Seconds(),
		AlwaysEnableNonce: true, TLSConfig: o.TLS, TLSTimeout: authTimeout.Seconds(),
		CustomClientAuthentication: &doorman{password: password, agent: o.Agent},
	}
	if n == 0 {
		opts.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("listen for agents on %s: %w", o.Addr, err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("listen for agents on %s: the message server is not ready: is the port in use? Choose another", o.Addr)
	}
	in := []nats.Option{
		nats.InProcessServer(s), nats.Name("paceline"), nats.MaxReconnects(-1), nats.UserInfo(coordinatorUser, password),
	}
	if o.TLS != nil {
		// In one process nobody listens, and the certificate may be for any name.
		in = append(in, nats.Secure(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})) //nolint:gosec // see above
	}
	conn, err := nats.Connect("", in...)
	if err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("connect to the message server in this process: %w", err)
	}
	return &NATS{conn: conn, server: s}, nil
}

// Addr is where the server listens; empty for one that doesn't.
func (n *NATS) Addr() string {
	if n.server == nil || n.server.Addr() == nil {
		return ""
	}
	return n.server.Addr().String()
}

func secret() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// doorman decides who may connect. It implements server.Authentication.
type doorman struct {
	password string
	agent    func(ctx context.Context, public string) (string, bool)
}

// Check implements server.Authentication.
func (d *doorman) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if o.Nkey == "" {
		if o.Username != coordinatorUser || subtle.ConstantTimeCompare([]byte(o.Password), []byte(d.password)) != 1 {
			return false
		}
		c.RegisterUser(&server.User{Username: coordinatorUser})
		return true
	}
	sig, err := base64.RawURLEncoding.DecodeString(o.Sig)
	if err != nil {
		// Older clients pad.
		if sig, err = base64.StdEncoding.DecodeString(o.Sig); err != nil {
			return false
		}
	}
	if d.agent == nil || !signed(o.Nkey, c.GetNonce(), sig) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	id, ok := d.agent(ctx, o.Nkey)
	if !ok {
		return false
	}
	c.RegisterUser(&server.User{Username: id, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"rpc." + id + ".>", "live.*"}},
		Subscribe: &server.SubjectPermission{Allow: []string{inbox(id) + ".>", "ctl." + id}},
	}})
	return true
}
