package engine

import (
	"slices"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sched"
	"github.com/paceline/paceline/engine/token"
)

// Stream is the events of one request.
type Stream struct {
	events chan Event
}

// Events gives the request's events in order and is closed after the last, which is the one
// with Finish. It holds all events that the request can have, so a slow reader delays nobody and
// loses nothing, and a stream that nobody reads is simply garbage.
func (s *Stream) Events() <-chan Event { return s.events }

// sink turns a job's tokens into events. It runs on the loop's goroutine.
type sink struct {
	stream Stream
	ends   []int32       // ids that end the generation
	text   *token.Stream // nil without a tokenizer
	stops  stopFinder
	least  int       // tokens before which nothing ends the generation
	tokens int       // generated
	beside *LogProbs // of the next token
	last   *Event    // the event that waits for Finish
	reason string    // "" unless the sink knows better than the loop
	err    error

	promptTokens int
}

func newSink(e *Engine, r Request, tokens int) *sink {
	s := &sink{
		stream:       Stream{events: make(chan Event, tokens+1)},
		stops:        stopFinder{stops: r.Stop},
		least:        r.MinTokens,
		ends:         slices.Clone(r.StopTokens),
		promptTokens: len(r.Prompt),
	}
	if !r.IgnoreEOS {
		s.ends = append(s.ends, e.eos...)
	}
	if e.tokenizer != nil {
		s.text = e.tokenizer.Stream(true)
	}
	return s
}

// likely keeps what goes along with the next token.
func (s *sink) likely(ofToken float32, top []backend.Likely) {
	s.beside = &LogProbs{Token: ofToken, Top: slices.Clone(top)}
}

// Token implements sched.Sink.
func (s *sink) Token(id int32, at time.Time, last bool) (stop bool) {
	ev := Event{Token: id, At: at, LogProbs: s.beside}
	s.beside = nil
	s.tokens++
	if slices.Contains(s.ends, id) {
		s.reason = FinishStop
		ev.Text = s.flush()
		s.last = new(ev)
		return true
	}
	ev.Text = s.push(id)
	if last && s.reason == "" {
		ev.Text += s.flush()
	}
	if last || s.reason != "" {
		s.last = new(ev) // a copy, so that the events before it need no memory of their own
		return s.reason != ""
	}
	s.stream.events <- ev
	return false
}

// push gives the text that may go out now that id is known. It sets reason if the generation
// ends with it.
func (s *sink) push(id int32) string {
	if s.text == nil {
		return ""
	}
	piece, err := s.text.Push(id)
	if err != nil {
		s.reason, s.err = FinishError, err
		return ""
	}
	text, _ := s.find(piece)
	return text
}

// flush gives the text still held back, for an unfinished character or a stop text that didn't
// come.
func (s *sink) flush() string {
	if s.text == nil || s.err != nil {
		return ""
	}
	piece, err := s.text.Flush()
	if err != nil {
		s.reason, s.err = FinishError, err
		return ""
	}
	text, found := s.find(piece)
	if found {
		return text
	}
	return text + s.stops.rest()
}

// find passes text through the search for stop texts.
func (s *sink) find(piece string) (text string, found bool) {
	if s.tokens <= s.least && len(s.stops.stops) > 0 {
		return piece, false
	}
	text, found = s.stops.push(piece)
	if found {
		s.reason = FinishStop
	}
	return text, found
}

// Done implements sched.Sink.
func (s *sink) Done(r sched.Result) {
	if s.last == nil {
		s.last = &Event{Token: -1, At: r.End}
		if s.reason == "" {
			s.last.Text = s.flush()
		}
	}
	f := &Finish{
		Reason: s.reason, Err: s.err, PromptTokens: s.promptTokens, OutputTokens: r.OutputTokens,
		DraftTokens: r.Drafted, AcceptedTokens: r.Accepted,
		CachedTokens: r.CachedTokens, PrefillChunks: r.Chunks, Preemptions: r.Preemptions, Waited: r.Waited,
		Queued: r.Queued, PrefillStart: r.PrefillStart, PrefillEnd: r.PrefillEnd, End: r.End,
	}
	switch r.Reason {
	case sched.ReasonLength:
		if f.Reason == "" {
			f.Reason = FinishLength
		}
	case sched.ReasonCancel:
		f.Reason, f.Err = FinishCancel, own(r.Err)
	case sched.ReasonError:
		f.Reason, f.Err = FinishError, r.Err
	}
	s.last.Finish = f
	s.stream.events <- *s.last
	close(s.stream.events)
}

// scoreSink waits for the end of a scoring job. It has room for it.
type scoreSink chan sched.Result

// Token implements sched.Sink; a scoring job has no tokens.
func (scoreSink) Token(int32, time.Time, bool) bool { return true }

// Done implements sched.Sink.
func (s scoreSink) Done(r sched.Result) { s <- r }
