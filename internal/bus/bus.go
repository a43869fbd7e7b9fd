// Package bus carries messages between agents and coordinators: requests with one
// answer, and announcements that nobody has to hear.
//
// It holds no truth: whatever must not be lost lies in the ledger, and every
// message may be lost, doubled or late. Local is the bus of a single process; NATS
// is an embedded or external NATS server (core NATS, no JetStream). Both are held
// to internal/bus/bustest. What messages mean is internal/wire's.
package bus

import (
	"context"
	"errors"
)

// Bus carries messages. Its methods may be called concurrently.
type Bus interface {
	// Publish announces data on a subject; nobody may be listening. It returns
	// once the message is handed over, not when it is heard.
	Publish(ctx context.Context, subject string, data []byte) error
	// Request sends data and waits for one answer. ErrNoResponders says that
	// nobody serves the subject; else the context's end bounds the wait.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)
	// Subscribe hears announcements on a subject ("*" is one part, a last ">" any
	// number of parts). The handler is called from one goroutine, in order; a slow
	// one may lose messages. The returned function ends it and waits for a handler
	// in progress.
	Subscribe(subject string, h func(subject string, data []byte)) (stop func(), err error)
	// Serve answers requests on a subject. Each request goes to one of all servers
	// of the same queue; the handler may be called concurrently. The returned
	// function ends it and waits for handlers in progress.
	Serve(subject, queue string, h func(ctx context.Context, subject string, data []byte) []byte) (stop func(), err error)
	// Close ends every subscription and the connection.
	Close() error
}

// ErrNoResponders says that nobody serves the subject.
var ErrNoResponders = errors.New("nobody answers on this subject")

// ErrClosed says that the bus is closed.
var ErrClosed = errors.New("bus is closed")

// MaxMessageBytes is the largest message of any bus: a batch body in base64 with
// its envelope.
const MaxMessageBytes = 1 << 20
