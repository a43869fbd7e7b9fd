package openai

import (
	"io"
	"net/http/httptrace"
	"sync"
	"time"
)

// marks are the instants that only net/http knows. It tells them from goroutines of
// its own, the last one possibly after the answer.
type marks struct {
	mu      sync.Mutex // guards what follows
	written time.Time
	first   time.Time
	kept    bool // the connection served another request before
}

func (m *marks) trace() *httptrace.ClientTrace {
	mark := func(at *time.Time) {
		now := time.Now()
		m.mu.Lock()
		defer m.mu.Unlock()
		*at = now
	}
	return &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.kept = i.Reused
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { mark(&m.written) },
		GotFirstResponseByte: func() { mark(&m.first) },
	}
}

func (m *marks) read() (written, first time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.written, m.first
}

// unanswered says that a kept connection gave not a byte of answer.
func (m *marks) unanswered() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept && m.first.IsZero()
}

// watchdog reads with a limit on how long each read may take.
type watchdog struct {
	src   io.Reader
	limit time.Duration
	timer *time.Timer
}

func (w *watchdog) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	return w.src.Read(p)
}

// Limits of what is read after an answer's end, so that its connection can be used
// again.
const (
	drainBytes = 64 << 10
	drainTime  = time.Second
)

func (w *watchdog) drain() {
	w.limit = drainTime
	_, _ = io.CopyN(io.Discard, w, drainBytes) // a connection that isn't drained is closed
}
