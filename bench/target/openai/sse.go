package openai

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits of a stream: what a server sends beyond them is its error, not this
// program's memory.
const (
	maxEventBytes  = 16 << 20 // of a line, and of an event's data
	maxStreamBytes = 1 << 30
)

// errTooLong says that a limit was passed.
var errTooLong = errors.New("the stream is too long")

// sseReader splits a stream into server-sent events as the WHATWG describes them:
// lines end with LF, CRLF or CR, a comment begins with a colon, and an empty line
// ends an event. It reads no further than it must, so that an event is known as soon
// as its bytes are here.
type sseReader struct {
	src io.Reader
	now func() time.Time

	buf        []byte
	begin, end int       // what is read and not yet taken
	at         time.Time // of the last read
	total      int64
	err        error // of src, once it came
	skipLF     bool  // the last line ended with CR: an LF belongs to it
	started    bool  // a byte order mark can't come any more

	data []byte
}

// sseEvent is one event. Data is valid until the next one is read.
type sseEvent struct {
	Name string
	Data []byte
	At   time.Time // when the read returned that completed its last line of data
}

// newSSEReader reads from src. buf is memory to begin with, whatever it holds; nil: some is made.
func newSSEReader(src io.Reader, now func() time.Time, buf []byte) *sseReader {
	if buf = buf[:cap(buf)]; len(buf) == 0 {
		buf = make([]byte, 8<<10)
	}
	return &sseReader{src: src, now: now, buf: buf}
}

// next gives the next event that has data. At the end of the stream, what has come
// of an event is given as it is, because servers leave out the last empty line; then
// the error is io.EOF, or the source's own.
func (s *sseReader) next() (sseEvent, error) {
	var ev sseEvent
	s.data = s.data[:0]
	has := false
	for {
		line, err := s.line()
		if err != nil {
			if has && errors.Is(err, io.EOF) {
				ev.Data = s.data
				return ev, nil
			}
			return sseEvent{}, err
		}
		if len(line) == 0 {
			if has {
				ev.Data = s.data
				return ev, nil
			}
			ev.Name = "" // an event without data is none
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			ev.Name = string(value)
		case "data":
			if has {
				s.data = append(s.data, '\n')
			}
			if len(s.data)+len(value) > maxEventBytes {
				return sseEvent{}, fmt.Errorf("%w: one event has over %d bytes", errTooLong, maxEventBytes)
			}
			s.data = append(s.data, value...)
			ev.At, has = s.at, true
		}
	}
}

// line gives the next line without its end; the last one may lack it. The line is
// valid until the next call.
func (s *sseReader) line() ([]byte, error) {
	scanned := 0
	for {
		if before := s.begin; s.skip() != before {
			scanned = 0
		}
		if i := bytes.IndexAny(s.buf[s.begin+scanned:s.end], "\r\n"); i >= 0 {
			stop := s.begin + scanned + i
			line := s.buf[s.begin:stop]
			s.skipLF = s.buf[stop] == '\r'
			s.begin = stop + 1
			return line, nil
		}
		scanned = s.end - s.begin
		if scanned > maxEventBytes {
			return nil, fmt.Errorf("%w: a line has over %d bytes", errTooLong, maxEventBytes)
		}
		if s.err != nil {
			if scanned > 0 && errors.Is(s.err, io.EOF) {
				line := s.buf[s.begin:s.end]
				s.begin = s.end
				return line, nil
			}
			return nil, s.err
		}
		s.fill()
	}
}

// skip drops an LF that belongs to a line taken before, and a byte order mark; it
// gives where the line begins.
func (s *sseReader) skip() int {
	if s.begin == s.end {
		return s.begin
	}
	if s.skipLF {
		s.skipLF = false
		if s.buf[s.begin] == '\n' {
			s.begin++
		}
	}
	if bom := []byte("\xef\xbb\xbf"); !s.started && (s.end-s.begin >= len(bom) || s.err != nil) {
		s.started = true
		if bytes.HasPrefix(s.buf[s.begin:s.end], bom) {
			s.begin += len(bom)
		}
	} else if !s.started && !bytes.HasPrefix(bom, s.buf[s.begin:s.end]) {
		s.started = true
	}
	return s.begin
}

// fill reads once.
func (s *sseReader) fill() {
	if s.begin > 0 {
		copy(s.buf, s.buf[s.begin:s.end])
		s.end -= s.begin
		s.begin = 0
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.src.Read(s.buf[s.end:])
	s.at = s.now()
	s.end += n
	s.total += int64(n)
	switch {
	case err != nil:
		s.err = err
	case s.total > maxStreamBytes:
		s.err = fmt.Errorf("%w: it has over %d bytes", errTooLong, maxStreamBytes)
	}
}
