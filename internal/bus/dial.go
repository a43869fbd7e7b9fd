package bus

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// inbox is where an agent hears answers: its own place, so that no agent can read
// what another is told.
func inbox(agent string) string { return "_INBOX_" + agent }

// DialOptions say where a coordinator's message server is and who connects.
type DialOptions struct {
	URL   string // nats://HOST:PORT or tls://HOST:PORT
	Agent string // its id
	Seed  string // of its key
	TLS   *tls.Config

	// State is told when the connection is lost (with why) and when it is there
	// again (nil). Optional.
	State func(err error)
	// Error is told what belongs to no call: a subject that this agent may not use.
	// Optional.
	Error func(err error)
}

// ErrRefused is wrapped by Dial's error where the server doesn't know the agent's key:
// it was never enrolled there, or it was retired.
var ErrRefused = errors.New("the coordinator doesn't accept this agent's key")

// Dial connects an agent. A connection that is lost later is made again for as long
// as it takes.
func Dial(o DialOptions) (*NATS, error) {
	pair, err := nkeys.FromSeed([]byte(o.Seed))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: the agent's key: %w", o.URL, err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: the agent's key: %w", o.URL, err)
	}
	opts := []nats.Option{
		nats.Nkey(public, pair.Sign), nats.Name(o.Agent), nats.CustomInboxPrefix(inbox(o.Agent)), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second), nats.Timeout(10 * time.Second), nats.PingInterval(20 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { o.tell(lost(err)) }),
		nats.ReconnectHandler(func(*nats.Conn) { o.tell(nil) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if o.Error != nil {
				o.Error(err)
			}
		}),
		nats.IgnoreAuthErrorAbort(), // a coordinator that restarts may refuse for a moment
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
	}
	conn, err := nats.Connect(o.URL, opts...)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return nil, fmt.Errorf("connect to %s: %w: enrol it again", o.URL, ErrRefused)
	case err != nil:
		return nil, fmt.Errorf("connect to the coordinator's messages at %s: %w", o.URL, err)
	}
	return &NATS{conn: conn}, nil
}

func (o DialOptions) tell(err error) {
	if o.State != nil {
		o.State(err)
	}
}

// lost is why a connection ended, never nil.
func lost(err error) error {
	if err == nil {
		return errors.New("the coordinator closed the connection")
	}
	return err
}
