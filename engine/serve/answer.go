package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
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

// choice is one of an answer's.
type choice struct {
	Index    int     `json:"index"`
	Message  *turn   `json:"message,omitempty"` // chat, whole
	Delta    *turn   `json:"delta,omitempty"`   // chat, streamed
	Text     *string `json:"text,omitempty"`    // completion
	LogProbs any     `json:"logprobs"`          // chatProbs or completionProbs; null unless asked for
	Finish   *string `json:"finish_reason"`     // null until the end
}

type turn struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type usage struct {
	Prompt     int           `json:"prompt_tokens"`
	Completion int           `json:"completion_tokens"` // of all choices, end tokens included
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
	cancel  context.CancelFunc // ends the engine's requests
	head    answer             // what all chunks have in common
	began   time.Time
	prompt  string  // its text, for an echo
	choices []*told // by their index
	final   int     // the choice that ended last

	promptTokens int
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
		if f := s.enter(q.n); f != nil {
			return f
		}
		defer s.leave(q.n)
		request, f := s.prepare(q)
		if f != nil {
			return f
		}
		x := &exchange{s: s, q: q, w: w, control: http.NewResponseController(w), head: s.head(q), began: began, promptTokens: len(request.Prompt)}
		if f := x.readEcho(request.Prompt); f != nil {
			return f
		}
		var ctx context.Context
		ctx, x.cancel = context.WithCancel(r.Context()) // which ends when the client hangs up
		defer x.cancel()
		events, f := x.submit(ctx, request)
		if f != nil {
			return f
		}
		if q.stream {
			return x.stream(events)
		}
		return x.whole(events)
	}
}

// readEcho finds the text that an echo begins with.
func (x *exchange) readEcho(ids []int32) *failure {
	if !x.q.echo {
		return nil
	}
	x.prompt = x.q.prompt
	if len(x.q.ids) > 0 {
		var err error
		if x.prompt, err = x.s.tok.Decode(ids, false); err != nil {
			return x.s.submitted(err)
		}
	}
	return nil
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
func (x *exchange) whole(all pieces) *failure {
	for p := range all.all() {
		t := x.choices[p.choice]
		t.text.WriteString(p.Text)
		if d, ok := x.drawn(p.Event); ok {
			t.drawn = append(t.drawn, d)
		}
		x.note(p)
	}
	end := x.sum()
	if f := x.ended(end); f != nil {
		return f
	}
	out := x.head
	for i, t := range x.choices {
		content := x.prompt + t.text.String()
		c := choice{Index: i, Text: &content, Finish: &t.end.Reason}
		if x.q.api == chatAPI {
			c.Text, c.Message = nil, &turn{Role: "assistant", Content: &content}
		}
		if x.q.logProbs {
			c.LogProbs = t.speller.write(t.drawn)
		}
		out.Choices = append(out.Choices, c)
	}
	out.Usage, out.Timings = usageOf(end), timingsOf(end)
	_ = x.control.SetWriteDeadline(time.Now().Add(x.s.o.Patience))
	writeJSON(x.w, http.StatusOK, out)
	return nil
}
