package driver

import "time"

// Stream is a queue of work, which the device does in its order.
type Stream struct {
	c *Context
	h uintptr
}

// NewStream makes a stream that doesn't wait for any other.
func (c *Context) NewStream() (Stream, error) {
	if err := c.d.call(cuStreamCreate, c.s.out(0), streamNonBlocking); err != nil {
		return Stream{}, within(err, "make a stream")
	}
	s := Stream{c, c.s.pointer(0)}
	c.own(s.h, "a stream")
	return s, nil
}

// Valid says that there is a stream.
func (s Stream) Valid() bool { return s.h != 0 }

// Sync waits until all its work is done, and gives the error of a kernel that failed.
func (s Stream) Sync() error {
	return succeeded(s.c.d.call(cuStreamSynchronize, s.h), "wait for a stream")
}

// Query says whether all its work is done, without waiting.
func (s Stream) Query() (done bool, err error) {
	done, err = s.c.d.query(cuStreamQuery, s.h)
	return done, succeeded(err, "ask whether a stream's work is done")
}

// Wait lets further work of the stream wait for an event.
func (s Stream) Wait(e Event) error {
	return succeeded(s.c.d.call(cuStreamWaitEvent, s.h, e.h, 0), "let a stream wait for an event")
}

// Destroy frees the stream once its work is done.
func (s Stream) Destroy() error {
	if err := s.c.d.call(cuStreamDestroy, s.h); err != nil {
		return within(err, "free a stream")
	}
	s.c.disown(s.h)
	return nil
}

// Event is a place in a stream's work.
type Event struct {
	c *Context
	h uintptr
}

// NewEvent makes an event; timing ones can be given to Elapsed, and cost more.
func (c *Context) NewEvent(timing bool) (Event, error) {
	flags := uintptr(eventBlocking | eventNoTiming)
	if timing {
		flags = eventBlocking
	}
	if err := c.d.call(cuEventCreate, c.s.out(0), flags); err != nil {
		return Event{}, within(err, "make an event")
	}
	e := Event{c, c.s.pointer(0)}
	c.own(e.h, "an event")
	return e, nil
}

// Valid says that there is an event.
func (e Event) Valid() bool { return e.h != 0 }

// Record puts the event behind the stream's work so far.
func (e Event) Record(s Stream) error {
	return succeeded(e.c.d.call(cuEventRecord, e.h, s.h), "record an event")
}

// Query says whether the work in front of it is done.
func (e Event) Query() (done bool, err error) {
	done, err = e.c.d.query(cuEventQuery, e.h)
	return done, succeeded(err, "ask whether an event is past")
}

// Sync waits for it, without keeping a core busy.
func (e Event) Sync() error {
	return succeeded(e.c.d.call(cuEventSynchronize, e.h), "wait for the device")
}

// Elapsed is the device's time from one timing event to another, both of them done; its resolution is about half a
// microsecond.
func (e Event) Elapsed(end Event) (time.Duration, error) {
	if err := e.c.d.call(cuEventElapsedTime, e.c.s.out(0), e.h, end.h); err != nil {
		return 0, within(err, "ask for the time between two events")
	}
	return time.Duration(float64(e.c.s.float(0)) * float64(time.Millisecond)), nil
}

// Destroy frees the event.
func (e Event) Destroy() error {
	if err := e.c.d.call(cuEventDestroy, e.h); err != nil {
		return within(err, "free an event")
	}
	e.c.disown(e.h)
	return nil
}
