package load

import (
	"sync/atomic"
	"time"
)

// Meter counts content-bearing events and tokens of all slots, for a rate at this
// moment. Its methods may be called concurrently.
type Meter struct {
	events atomic.Int64
	tokens atomic.Int64
}

// Add counts one event that brought tokens (at least one is taken to have come).
func (m *Meter) Add(tokens int) {
	m.events.Add(1)
	m.tokens.Add(int64(max(tokens, 1)))
}

// Read gives the counts since the start.
func (m *Meter) Read() (events, tokens int64) { return m.events.Load(), m.tokens.Load() }

// Recorder keeps the arrivals of one request. Event allocates nothing up to the
// capacity it was made for. It serves one goroutine.
type Recorder struct {
	base   time.Time
	meter  *Meter
	at     []int64
	tokens int
}

// NewRecorder records instants as nanoseconds after base, with room for capacity
// events; meter may be nil.
func NewRecorder(base time.Time, capacity int, meter *Meter) *Recorder {
	return &Recorder{base: base, meter: meter, at: make([]int64, 0, max(capacity, 0))}
}

// Event records a content-bearing event with the ids it brought (0: unknown).
func (r *Recorder) Event(at time.Time, tokens int) {
	r.at = append(r.at, at.Sub(r.base).Nanoseconds())
	r.tokens += tokens
	if r.meter != nil {
		r.meter.Add(tokens)
	}
}

// Base is the instant from which Events count.
func (r *Recorder) Base() time.Time { return r.base }

// Count is how many events came, and how many ids they are known to have brought.
func (r *Recorder) Count() (events, tokens int) { return len(r.at), r.tokens }

// Events are the arrivals in ns after base, in order. The slice is the recorder's
// own: take it when the request has ended.
func (r *Recorder) Events() []int64 { return r.at }
