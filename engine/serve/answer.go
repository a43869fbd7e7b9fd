package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
)

// answer is a whole answer, or one chunk of a streamed one, of either API.
type answer struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"` // Unix seconds
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
	Timings *timings `json:"timings,omitempty"`
}

// choice is the only one of an answer.
type choice struct {
	Index    int     `json:"index"`
	Message  *turn   `json:"message,omitempty"` // chat, whole
	Delta    *turn   `json:"delta,omitempty"`   // chat, streamed
	Text     *string `json:"text,omitempty"`    // completion
	LogProbs *string `json:"logprobs"`          // always null
	Finish   *string `json:"finish_reason"`     // null until the end
}

type turn struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type usage struct {
	Prompt     int           `json:"prompt_tokens"`
	Completion int           `json:"completion_tokens"` // an end token included
	Total      int           `json:"total_tokens"`
	Details    promptDetails `json:"prompt_tokens_details"`
}

type promptDetails struct {
	Cached int `json:"cached_tokens"` // taken from the engine's prefix cache
}

// timings is the engine's own account of a request, in milliseconds.
type timings struct {
	Queued  float64 `json:"queued_ms"`  // until the first step that computed the prompt
	Prefill float64 `json:"prefill_ms"` // until the first token
	Decode  float64 `json:"decode_ms"`  // from the first token to the last
}

func usageOf(f *engine.Finish) *usage {
	return &usage{
		Prompt: f.PromptTokens, Completion: f.OutputTokens, Total: f.PromptTokens + f.OutputTokens,
		Details: promptDetails{Cached: f.CachedTokens},
	}
}

func timingsOf(f *engine.Finish) *timings {
	ms := func(from, to time.Time) float64 { return to.Sub(from).Seconds() * 1e3 }
	return &timings{
		Queued: ms(f.Queued, f.PrefillStart), Prefill: ms(f.PrefillStart, f.PrefillEnd), Decode: ms(f.PrefillEnd, f.End),
	}
}

// exchange is one completion under way.
type exchange struct {
	s       *Server
	q       asked
	w       http.ResponseWriter
	control *http.ResponseController
	cancel  context.CancelFunc // ends the engine's request
	head    answer             // what all chunks have in common
	began   time.Time
}

// complete answers one of the two APIs.
func (s *Server) complete(a api) handle {
	return func(w http.ResponseWriter, r *http.Request) *failure {
		began := time.Now()
		body, f := s.read(w, r)
		if f != nil {
			return f
		}
		q, f := decode(a, body)
		if f != nil {
			return f
		}
		if f := s.enter(); f != nil {
			return f
		}
		defer s.leave()
		request, f := s.prepare(q)
		if f != nil {
			return f
		}
		ctx, cancel := context.WithCancel(r.Context()) // which ends when the client hangs up
		defer cancel()
		stream, err := s.engine.Submit(ctx, request)
		if err != nil {
			return s.submitted(err)
		}
		x := &exchange{s: s, q: q, w: w, control: http.NewResponseController(w), cancel: cancel, head: s.head(q), began: began}
		if q.stream {
			return x.stream(stream.Events())
		}
		return x.whole(stream.Events())
	}
}

// head names an answer.
func (s *Server) head(q asked) answer {
	h := answer{ID: "cmpl-" + rand.Text(), Object: "text_completion", Created: time.Now().Unix(), Model: s.o.Name}
	switch {
	case q.api == chatAPI && q.stream:
		h.ID, h.Object = "chat"+h.ID, "chat.completion.chunk"
	case q.api == chatAPI:
		h.ID, h.Object = "chat"+h.ID, "chat.completion"
	}
	return h
}

// failed turns an error of the engine into a failure, and remembers a broken backend.
func (s *Server) failed(err error) *failure {
	if errors.Is(err, backend.ErrFault) {
		s.broken.Store(true)
	}
	return failureOf(err)
}

// ended counts the request, and gives the failure that ended it. A client that left gets
// none: nobody would read it.
func (x *exchange) ended(f *engine.Finish) *failure {
	x.s.meter.finished(f, x.began)
	switch f.Reason {
	case engine.FinishError:
		return x.s.failed(f.Err)
	case engine.FinishCancel:
		if errors.Is(f.Err, engine.ErrClosed) {
			return unavailable()
		}
		return &failure{status: statusGone, kind: typeServer, message: "the client left before the answer's end"}
	}
	return nil
}

// whole gathers the answer and sends it at once.
func (x *exchange) whole(events <-chan engine.Event) *failure {
	var text strings.Builder
	var end *engine.Finish
	for ev := range events {
		text.WriteString(ev.Text)
		end = ev.Finish
	}
	if f := x.ended(end); f != nil {
		return f
	}
	content := text.String()
	out := x.head
	c := choice{Text: &content, Finish: &end.Reason}
	if x.q.api == chatAPI {
		c.Text, c.Message = nil, &turn{Role: "assistant", Content: &content}
	}
	out.Choices, out.Usage, out.Timings = []choice{c}, usageOf(end), timingsOf(end)
	_ = x.control.SetWriteDeadline(time.Now().Add(x.s.o.Patience))
	writeJSON(x.w, http.StatusOK, out)
	return nil
}

// stream sends the answer as it comes. Its status is sent with the first token, so that what
// goes wrong before has a status of its own. When the client is gone, or doesn't read, the
// request ends; its remaining events are thrown away.
func (x *exchange) stream(events <-chan engine.Event) *failure {
	begun, gone := false, false
	var end *engine.Finish
	for ev := range events {
		end = ev.Finish
		if gone || ev.Token < 0 && ev.Finish.Reason != engine.FinishStop && ev.Finish.Reason != engine.FinishLength {
			continue
		}
		var err error
		if !begun {
			begun, err = true, x.begin()
		}
		if err == nil && ev.Text != "" {
			err = x.piece(ev.Text)
		}
		if err == nil && len(events) == 0 {
			err = x.flush()
		}
		if err != nil {
			gone = true
			x.cancel()
		}
	}
	f := x.ended(end)
	switch {
	case f != nil && begun && !gone && f.status != statusGone:
		_ = x.send(f) // the status is gone; the client's library raises this
		_ = x.flush()
	case f == nil && !gone:
		_ = x.finish(end)
	}
	return f
}

// begin sends the status and, of a chat, who speaks.
func (x *exchange) begin() error {
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // a proxy that gathered chunks would hide when they came
	_ = x.control.SetWriteDeadline(time.Now().Add(x.s.o.Patience))
	x.w.WriteHeader(http.StatusOK)
	if x.q.api != chatAPI {
		return nil
	}
	return x.choice(choice{Delta: &turn{Role: "assistant", Content: new("")}})
}

func (x *exchange) piece(text string) error {
	if x.q.api == chatAPI {
		return x.choice(choice{Delta: &turn{Content: &text}})
	}
	return x.choice(choice{Text: &text})
}

func (x *exchange) choice(c choice) error {
	out := x.head
	out.Choices = []choice{c}
	return x.send(out)
}

// finish sends why the answer ended, its usage if that was asked for, and the end marker. The
// last chunk has the timings.
func (x *exchange) finish(end *engine.Finish) error {
	c := choice{Finish: &end.Reason}
	if x.q.api == chatAPI {
		c.Delta = &turn{}
	} else {
		c.Text = new("")
	}
	out := x.head
	out.Choices = []choice{c}
	if x.q.usage {
		if err := x.send(out); err != nil {
			return err
		}
		out.Choices, out.Usage = []choice{}, usageOf(end)
	}
	out.Timings = timingsOf(end)
	if err := x.send(out); err != nil {
		return err
	}
	if _, err := x.w.Write([]byte("data: [DONE]\n\n")); err != nil {
		return err
	}
	return x.flush()
}

// send writes one event.
func (x *exchange) send(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	event := make([]byte, 0, len(b)+8)
	event = append(append(append(event, "data: "...), b...), '\n') // b ends with a line's end
	_, err = x.w.Write(event)
	return err
}

// flush brings what was written to the client, who has so long to take it.
func (x *exchange) flush() error {
	_ = x.control.SetWriteDeadline(time.Now().Add(x.s.o.Patience))
	return x.control.Flush()
}
