package bus_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/bus/bustest"
	"github.com/paceline/paceline/internal/tlstest"
)

// open starts a coordinator's server that knows one agent, and connects that agent.
func open(t *testing.T, server *tls.Config, client *tls.Config) (coordinator, agent *bus.NATS) {
	t.Helper()
	key, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	coordinator, err = bus.Listen(bus.ListenOptions{Addr: "127.0.0.1:0", TLS: server, Agent: func(_ context.Context, public string) (string, bool) {
		return "a1", public == key.Public
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = coordinator.Close() })
	agent, err = bus.Dial(bus.DialOptions{URL: "nats://" + coordinator.Addr(), Agent: "a1", Seed: key.Seed, TLS: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() })
	return coordinator, agent
}

// TestListenConforms: the coordinator's side of a server that listens is a bus like
// every other.
func TestListenConforms(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus {
		b, err := bus.Listen(bus.ListenOptions{Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestAgentAsksAndHears(t *testing.T) {
	coordinator, agent := open(t, nil, nil)
	stop, err := coordinator.Serve("rpc.*.claim", "q", func(_ context.Context, subject string, data []byte) []byte {
		return []byte(subject + " " + string(data))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	got, err := agent.Request(ctx(t), "rpc.a1.claim", []byte("x"))
	if err != nil || string(got) != "rpc.a1.claim x" {
		t.Errorf("got %q, %v", got, err)
	}
	heard := make(chan string, 1)
	stopHearing, err := agent.Subscribe("ctl.a1", func(_ string, data []byte) { heard <- string(data) })
	if err != nil {
		t.Fatal(err)
	}
	defer stopHearing()
	if err := coordinator.Publish(ctx(t), "ctl.a1", []byte("wake")); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "wake" {
		t.Errorf("heard %q", got)
	}
}

// TestAgentMayNothingElse: what another agent is asked, told or answered, and what
// coordinators say among themselves, stays closed to it.
func TestAgentMayNothingElse(t *testing.T) {
	coordinator, agent := open(t, nil, nil)
	asked := make(chan string, 8)
	stop, err := coordinator.Serve("rpc.*.claim", "q", func(_ context.Context, subject string, _ []byte) []byte {
		asked <- subject
		return []byte("ok")
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := agent.Request(short, "rpc.a2.claim", nil); err == nil {
		t.Error("an agent asked in another's name")
	}
	if len(asked) > 0 {
		t.Errorf("%s was served", <-asked)
	}
	for _, subject := range []string{"ctl.a2", "rpc.a2.claim", "rpc.>", ">", "_INBOX.>", "_INBOX_a2.>", "changed.*", "$SYS.>"} {
		heard := make(chan string, 8)
		stop, err := agent.Subscribe(subject, func(s string, _ []byte) { heard <- s })
		if err != nil {
			continue // refused at once: as good
		}
		for _, s := range []string{"ctl.a2", "rpc.a2.claim", "_INBOX.x", "_INBOX_a2.x", "changed.r1"} {
			_ = coordinator.Publish(ctx(t), s, []byte("secret"))
		}
		// What comes after on a subject that it may hear shows that nothing was before.
		own := make(chan bool, 1)
		stopOwn, err := agent.Subscribe("ctl.a1", func(string, []byte) { own <- true })
		if err != nil {
			t.Fatal(err)
		}
		if err := coordinator.Publish(ctx(t), "ctl.a1", nil); err != nil {
			t.Fatal(err)
		}
		<-own
		stopOwn()
		stop()
		select {
		case s := <-heard:
			t.Errorf("subscribed to %s, it heard %s", subject, s)
		default:
		}
	}
}

func TestUnknownKeyIsRefused(t *testing.T) {
	coordinator, _ := open(t, nil, nil)
	other, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	_, err = bus.Dial(bus.DialOptions{URL: "nats://" + coordinator.Addr(), Agent: "a1", Seed: other.Seed})
	if !errors.Is(err, bus.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// TestServerComesBack: an agent outlives the coordinator's restart on the same port.
func TestServerComesBack(t *testing.T) {
	key, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	listen := func(addr string) *bus.NATS {
		n, err := bus.Listen(bus.ListenOptions{Addr: addr, Agent: func(_ context.Context, public string) (string, bool) { return "a1", public == key.Public }})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := listen("127.0.0.1:0")
	addr := first.Addr()
	states := make(chan error, 8)
	agent, err := bus.Dial(bus.DialOptions{URL: "nats://" + addr, Agent: "a1", Seed: key.Seed, State: func(err error) { states <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	_ = first.Close()
	if err := <-states; err == nil {
		t.Error("the connection's end was told as its beginning")
	}
	second := listen(addr)
	defer second.Close()
	for err := range states {
		if err == nil {
			break
		}
	}
	stop, err := second.Serve("rpc.*.beat", "q", func(context.Context, string, []byte) []byte { return []byte("again") })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got, err := agent.Request(ctx(t), "rpc.a1.beat", nil); err != nil || string(got) != "again" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTLS(t *testing.T) {
	certificate, roots := selfSigned(t)
	server := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	coordinator, agent := open(t, server, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})
	stop, err := coordinator.Serve("rpc.*.claim", "q", func(context.Context, string, []byte) []byte { return []byte("over TLS") })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got, err := agent.Request(ctx(t), "rpc.a1.claim", nil); err != nil || string(got) != "over TLS" {
		t.Errorf("got %q, %v", got, err)
	}
	key, err := bus.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]*tls.Config{"nobody's certificate": {RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}, "no TLS": nil} {
		if n, err := bus.Dial(bus.DialOptions{URL: "nats://" + coordinator.Addr(), Agent: "a1", Seed: key.Seed, TLS: client}); err == nil {
			_ = n.Close()
			t.Errorf("%s: connected", name)
		}
	}
}

// selfSigned gives a certificate for 127.0.0.1 and the pool that trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(tlstest.SelfSigned(t))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	return certificate, roots
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return c
}
