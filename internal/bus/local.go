package bus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// localBacklog is how many announcements wait for a slow subscriber before
// further ones are dropped for it.
const localBacklog = 1024

// Local is a bus within one process, without a server or a port.
type Local struct {
	mu      sync.Mutex // guards what follows
	closed  bool
	subs    []*localSub
	servers []*localServer
	next    map[string]int // queue+subject → whose turn it is
}

type localMsg struct {
	subject string
	data    []byte
}

type localSub struct {
	pattern string
	ch      chan localMsg
	done    chan struct{}
}

type localServer struct {
	pattern, queue string
	h              func(context.Context, string, []byte) []byte
	ctx            context.Context
	cancel         context.CancelFunc
	busy           sync.WaitGroup
}

// NewLocal makes an empty bus.
func NewLocal() *Local { return &Local{next: map[string]int{}} }

// Publish implements Bus.
func (l *Local) Publish(_ context.Context, subject string, data []byte) error {
	if err := check(subject, data); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	m := localMsg{subject, slices.Clone(data)}
	for _, s := range l.subs {
		if Match(s.pattern, subject) {
			select {
			case s.ch <- m:
			default: // a slow reader loses it, as on NATS
			}
		}
	}
	return nil
}

// Subscribe implements Bus.
func (l *Local) Subscribe(pattern string, h func(string, []byte)) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	s := &localSub{pattern: pattern, ch: make(chan localMsg, localBacklog), done: make(chan struct{})}
	l.subs = append(l.subs, s)
	go func() {
		defer close(s.done)
		for m := range s.ch {
			h(m.subject, m.data)
		}
	}()
	return func() {
		l.mu.Lock()
		if i := slices.Index(l.subs, s); i >= 0 {
			l.subs = slices.Delete(l.subs, i, i+1)
			close(s.ch)
		}
		l.mu.Unlock()
		<-s.done
	}, nil
}

// Serve implements Bus.
func (l *Local) Serve(pattern, queue string, h func(context.Context, string, []byte) []byte) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	s := &localServer{pattern: pattern, queue: queue, h: h}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	l.servers = append(l.servers, s)
	return func() { l.stopServer(s) }, nil
}

func (l *Local) stopServer(s *localServer) {
	l.mu.Lock()
	if i := slices.Index(l.servers, s); i >= 0 {
		l.servers = slices.Delete(l.servers, i, i+1)
	}
	l.mu.Unlock()
	s.busy.Wait()
	s.cancel()
}

// Request implements Bus.
func (l *Local) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if err := check(subject, data); err != nil {
		return nil, err
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	var able []*localServer
	for _, s := range l.servers {
		if Match(s.pattern, subject) {
			able = append(able, s)
		}
	}
	if len(able) == 0 {
		l.mu.Unlock()
		return nil, fmt.Errorf("request on %s: %w", subject, ErrNoResponders)
	}
	turn := able[0].queue + " " + able[0].pattern
	s := able[l.next[turn]%len(able)]
	l.next[turn]++
	s.busy.Add(1)
	l.mu.Unlock()

	answer := make(chan []byte, 1)
	in := slices.Clone(data)
	go func() {
		defer s.busy.Done()
		answer <- s.h(s.ctx, subject, in)
	}()
	select {
	case b := <-answer:
		return b, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("request on %s: %w", subject, context.Cause(ctx))
	}
}

// Close implements Bus.
func (l *Local) Close() error {
	l.mu.Lock()
	l.closed = true
	subs, servers := l.subs, l.servers
	l.subs, l.servers = nil, nil
	for _, s := range subs {
		close(s.ch)
	}
	l.mu.Unlock()
	for _, s := range subs {
		<-s.done
	}
	for _, s := range servers {
		s.busy.Wait()
		s.cancel()
	}
	return nil
}

func check(subject string, data []byte) error {
	if len(data) > MaxMessageBytes {
		return fmt.Errorf("message on %s: %d bytes are over the limit of %d", subject, len(data), MaxMessageBytes)
	}
	if subject == "" || strings.ContainsAny(subject, " \t\r\n*>") {
		return fmt.Errorf("message on %q: a subject has parts joined by dots, without blanks and wildcards", subject)
	}
	return nil
}

// Match says whether a subject fits a pattern in NATS's sense.
func Match(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, part := range p {
		if part == ">" {
			return len(s) > i
		}
		if i >= len(s) || part != "*" && part != s[i] {
			return false
		}
	}
	return len(p) == len(s)
}
