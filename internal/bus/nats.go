package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// NATS is a bus over core NATS.
type NATS struct {
	conn   *nats.Conn
	server *server.Server // nil unless embedded
}

// Embedded starts a NATS server inside this process, without a port, and connects
// to it.
func Embedded() (*NATS, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "paceline", DontListen: true, JetStream: false, NoSigs: true, NoLog: true,
		MaxPayload: MaxMessageBytes, MaxControlLine: 4096,
	})
	if err != nil {
		return nil, fmt.Errorf("start the embedded NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("start the embedded NATS server: not ready after 10 s")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s), nats.Name("paceline"), nats.MaxReconnects(-1))
	if err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return &NATS{conn: conn, server: s}, nil
}

// Publish implements Bus.
func (n *NATS) Publish(_ context.Context, subject string, data []byte) error {
	if err := check(subject, data); err != nil {
		return err
	}
	return n.wrap(subject, n.conn.Publish(subject, data))
}

// Request implements Bus.
func (n *NATS) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if err := check(subject, data); err != nil {
		return nil, err
	}
	m, err := n.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, n.wrap(subject, err)
	}
	return m.Data, nil
}

func (n *NATS) wrap(subject string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrNoResponders):
		err = ErrNoResponders
	case errors.Is(err, nats.ErrConnectionClosed):
		err = ErrClosed
	}
	return fmt.Errorf("message on %s: %w", subject, err)
}

// Subscribe implements Bus.
func (n *NATS) Subscribe(pattern string, h func(string, []byte)) (func(), error) {
	var busy sync.Mutex // held while the handler runs
	ended := false      // guarded by busy
	sub, err := n.conn.Subscribe(pattern, func(m *nats.Msg) {
		busy.Lock()
		defer busy.Unlock()
		if !ended {
			h(m.Subject, m.Data)
		}
	})
	if err != nil {
		return nil, n.wrap(pattern, err)
	}
	if err := n.conn.Flush(); err != nil { // the server knows it before we return
		return nil, n.wrap(pattern, err)
	}
	return func() {
		_ = sub.Unsubscribe() // a closed connection has ended it already
		busy.Lock()
		ended = true
		busy.Unlock()
	}, nil
}

// Serve implements Bus.
func (n *NATS) Serve(pattern, queue string, h func(context.Context, string, []byte) []byte) (func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex // guards ended and the first Add to busy
	ended := false
	var busy sync.WaitGroup
	sub, err := n.conn.QueueSubscribe(pattern, queue, func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return
		}
		busy.Go(func() {
			// The asker may be gone; then nobody misses the answer.
			_ = m.Respond(h(ctx, m.Subject, m.Data))
		})
	})
	if err == nil {
		err = n.conn.Flush()
	}
	if err != nil {
		cancel()
		return nil, n.wrap(pattern, err)
	}
	return func() {
		_ = sub.Unsubscribe()
		mu.Lock()
		ended = true
		mu.Unlock()
		busy.Wait()
		cancel()
	}, nil
}

// Close implements Bus.
func (n *NATS) Close() error {
	n.conn.Close()
	if n.server != nil {
		n.server.Shutdown()
		n.server.WaitForShutdown()
	}
	return nil
}
