package openai

import (
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/bench/target"
)

// body is a request as it is sent. Fields of a dialect are pointers: nil is not sent.
type body struct {
	Model         string   `json:"model"`
	Messages      []turn   `json:"messages,omitempty"` // chat
	Prompt        *string  `json:"prompt,omitempty"`   // completion
	MaxTokens     int      `json:"max_tokens"`
	Temperature   float64  `json:"temperature"`
	TopP          *float64 `json:"top_p,omitempty"`
	Seed          uint32   `json:"seed"`
	Stream        bool     `json:"stream"`
	StreamOptions *options `json:"stream_options,omitempty"`
	IgnoreEOS     *bool    `json:"ignore_eos,omitempty"`
	MinTokens     *int     `json:"min_tokens,omitempty"`
	TopK          *int     `json:"top_k,omitempty"`
	CachePrompt   *bool    `json:"cache_prompt,omitempty"`
}

type turn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type options struct {
	IncludeUsage bool `json:"include_usage"`
}

// request gives path and body of a request, and what it asks for that the dialect
// can't say.
func (d Dialect) request(model string, r target.Request) (path string, sent []byte, unsupported []string, err error) {
	if len(r.IDs) > 0 {
		return "", nil, nil, fmt.Errorf("ask the server: token ids as prompt: this target takes text")
	}
	b := body{
		Model: model, MaxTokens: r.MaxTokens, Temperature: r.Temperature, Stream: r.Stream,
		Seed: uint32(r.Seed) & 0x7fffffff, // servers keep seeds in 32 or 64 bits, with or without sign
	}
	if r.TopP > 0 && r.TopP < 1 {
		b.TopP = &r.TopP
	}
	if r.Stream {
		b.StreamOptions = &options{IncludeUsage: true}
	}
	ask := func(wanted, can bool, name string, set func()) {
		switch {
		case wanted && can:
			set()
		case wanted:
			unsupported = append(unsupported, name)
		}
	}
	ask(r.IgnoreEOS, d.ignoreEOS, "ignore_eos", func() { b.IgnoreEOS = new(true) })
	if r.IgnoreEOS && d.minTokens {
		b.MinTokens = &r.MaxTokens
	}
	ask(r.TopK > 0, d.topK, "top_k", func() { b.TopK = &r.TopK })
	if r.NoCache && d.noCache {
		b.CachePrompt = new(false) // where there is no such field, the harness marks the prompts
	}
	switch r.API {
	case "chat":
		path, b.Messages = "/v1/chat/completions", []turn{{"user", r.Text}}
	case "completion":
		path, b.Prompt = "/v1/completions", &r.Text
	default:
		return "", nil, nil, fmt.Errorf("ask the server: unknown API %q: known are chat and completion", r.API)
	}
	sent, err = json.Marshal(b)
	if err != nil {
		return "", nil, nil, fmt.Errorf("ask the server: %w", err)
	}
	return path, sent, unsupported, nil
}
