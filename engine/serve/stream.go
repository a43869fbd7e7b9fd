package serve

import (
	"net/http"
	"time"

	"github.com/paceline/paceline/engine"
)

// stream sends the answer as it comes. Its status is sent with the first token, so that what
// goes wrong before has a status of its own. When the client is gone, or doesn't read, the
// request ends; its remaining events are thrown away.
func (x *exchange) stream(all pieces) *failure {
	begun, gone := false, false
	for p := range all.all() {
		x.note(p)
		if gone || p.Token < 0 && p.Finish.Reason != engine.FinishStop && p.Finish.Reason != engine.FinishLength {
			continue
		}
		var err error
		if !begun {
			begun, err = true, x.begin()
		}
		if err == nil {
			err = x.tell(p)
		}
		if err == nil && all.waiting() == 0 {
			err = x.flush()
		}
		if err != nil {
			gone = true
			x.cancel()
		}
	}
	end := x.sum()
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

// begin sends the status and, of a chat, who speaks; of an echo, the prompt.
func (x *exchange) begin() error {
	h := x.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // a proxy that gathered chunks would hide when they came
	_ = x.control.SetWriteDeadline(time.Now().Add(x.s.o.Patience))
	x.w.WriteHeader(http.StatusOK)
	for i := range x.choices {
		c := choice{Index: i, Text: &x.prompt}
		if x.q.api == chatAPI {
			c.Text, c.Delta = nil, &turn{Role: "assistant", Content: new("")}
		} else if !x.q.echo {
			return nil
		}
		if err := x.choice(c); err != nil {
			return err
		}
	}
	return nil
}

// tell sends what an event brings: some text, a token's log-probabilities, and why its choice
// ended. The end of the last choice is left to finish.
func (x *exchange) tell(p piece) error {
	d, likely := x.drawn(p.Event)
	if p.Text != "" || likely {
		c := x.part(p.choice, p.Text)
		if likely {
			c.LogProbs = x.choices[p.choice].speller.write([]drawn{d})
		}
		if err := x.choice(c); err != nil {
			return err
		}
	}
	switch {
	case p.Finish == nil:
		return nil
	case x.open() == 0:
		x.final = p.choice
		return nil
	}
	return x.choice(x.last(p.choice, p.Finish))
}

// part is a choice's next text.
func (x *exchange) part(i int, text string) choice {
	if x.q.api == chatAPI {
		return choice{Index: i, Delta: &turn{Content: &text}}
	}
	return choice{Index: i, Text: &text}
}

// last is what a choice ends with.
func (x *exchange) last(i int, end *engine.Finish) choice {
	if x.q.api == chatAPI {
		return choice{Index: i, Delta: &turn{}, Finish: &end.Reason}
	}
	return choice{Index: i, Text: new(""), Finish: &end.Reason}
}

// choice sends a chunk.
func (x *exchange) choice(c choice) error {
	out := x.head
	out.Choices = []choice{c}
	if x.q.usageAlways {
		out.Usage = x.soFar()
	}
	return x.send(out)
}

// finish sends why the choice that ended last did, the usage if that was asked for, and the end
// marker. The last chunk has the timings.
func (x *exchange) finish(end *engine.Finish) error {
	out := x.head
	out.Choices = []choice{x.last(x.final, x.choices[x.final].end)}
	if x.q.usage {
		if err := x.choice(out.Choices[0]); err != nil {
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
