package openai

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paceline/paceline/bench/target"
)

// chunk is one event of a stream, or a whole answer: the fields of both APIs.
type chunk struct {
	Choices []choice        `json:"choices"`
	Usage   *usage          `json:"usage"`
	Timings *timings        `json:"timings"` // llama.cpp
	Error   json.RawMessage `json:"error"`
}

type choice struct {
	Index        int     `json:"index"`
	Delta        message `json:"delta"`
	Message      message `json:"message"` // not streamed
	Text         string  `json:"text"`    // completions
	FinishReason *string `json:"finish_reason"`
}

type message struct {
	Content          string `json:"content"`
	ReasoningContent string `json:"reasoning_content"`
	Reasoning        string `json:"reasoning"`
}

func (m message) text() string {
	if m.ReasoningContent != "" {
		return m.ReasoningContent + m.Content
	}
	return m.Reasoning + m.Content
}

type usage struct {
	PromptTokens        int `json:"prompt_tokens"`
	CompletionTokens    int `json:"completion_tokens"`
	PromptTokensDetails *struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

type timings struct {
	Cached *int `json:"cache_n"`
}

// An answer may have so many content-bearing events for each token asked for, and so
// many more: a server that doesn't stop is cut off there.
const (
	eventsPerToken = 4
	eventsMore     = 256
)

// answer gathers what comes back of one request.
type answer struct {
	sink  func(target.Event)
	most  int // content-bearing events
	count int
	text  strings.Builder
	reply target.Reply
	last  chunk // its memory serves the next one
}

func newAnswer(r target.Request, sink func(target.Event)) *answer {
	a := &answer{sink: sink, most: eventsPerToken*r.MaxTokens + eventsMore}
	a.text.Grow(8 * min(r.MaxTokens, 1<<16))
	return a
}

// event takes one event of a stream; done says that it was the end marker.
func (a *answer) event(ev sseEvent) (done bool, err error) {
	if string(ev.Data) == "[DONE]" {
		a.reply.DoneSeen, a.reply.End = true, ev.At
		return true, nil
	}
	if ev.Name == "error" {
		return false, fmt.Errorf("the server reported an error inside the stream: %s", says(ev.Data))
	}
	return false, a.chunk(ev.Data, ev.At)
}

// chunk takes JSON that came at an instant.
func (a *answer) chunk(data []byte, at time.Time) error {
	if a.reply.Broken == "" && !utf8.Valid(data) {
		a.reply.Broken = fmt.Sprintf("event %d is not whole UTF-8", a.count+1)
	}
	choices := a.last.Choices[:cap(a.last.Choices)]
	clear(choices) // fields that the next chunk doesn't name
	a.last = chunk{Choices: choices[:0]}
	c := &a.last
	if err := json.Unmarshal(data, c); err != nil {
		return fmt.Errorf("the server sent what is no JSON: %w: %s", err, clip(string(data)))
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return fmt.Errorf("the server reported an error inside the stream: %s", says(data))
	}
	if c.Usage != nil {
		n := c.Usage.CompletionTokens
		a.reply.Prompt, a.reply.Tokens.Usage = c.Usage.PromptTokens, &n
		if d := c.Usage.PromptTokensDetails; d != nil {
			a.reply.Cached, a.reply.CachedKnown = d.CachedTokens, true
		}
	}
	if c.Timings != nil && c.Timings.Cached != nil && (*c.Timings.Cached > 0 || !a.reply.CachedKnown) {
		a.reply.Cached, a.reply.CachedKnown = *c.Timings.Cached, true
	}
	var piece string
	for _, ch := range c.Choices {
		if ch.Index != 0 {
			a.reply.Broken = fmt.Sprintf("the server sent choice %d, though one was asked for", ch.Index)
			continue
		}
		piece += ch.Text + ch.Delta.text() + ch.Message.text()
		if ch.FinishReason != nil && *ch.FinishReason != "" {
			a.reply.Finish = *ch.FinishReason
		}
	}
	// A role alone, an empty delta and the usage are no content: the first token is
	// the first text.
	if piece == "" {
		return nil
	}
	if a.count++; a.count > a.most {
		return fmt.Errorf("the server doesn't stop: over %d events with text came", a.most)
	}
	a.text.WriteString(piece)
	a.sink(target.Event{At: at, Text: piece})
	return nil
}

// says finds the message in an error of the API; otherwise it is the beginning of
// what came, on one line.
func says(data []byte) string {
	var e struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(data, &e) == nil {
		var in struct {
			Message string `json:"message"`
		}
		var text string
		switch {
		case json.Unmarshal(e.Error, &in) == nil && in.Message != "":
			return clip(in.Message)
		case json.Unmarshal(e.Error, &text) == nil && text != "":
			return clip(text)
		case e.Message != "":
			return clip(e.Message)
		case len(e.Detail) > 0:
			return clip(string(e.Detail))
		}
	}
	return clip(string(data))
}

// clip shortens what a server said to one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\ufffd")), " ")
	const most = 300
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
