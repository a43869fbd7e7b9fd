package serve

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
	"github.com/paceline/paceline/engine/token"
)

// Limits of what a request may hold, so that none costs more than it looks like.
const (
	maxStops     = 16
	maxStopBytes = 256
	maxChoices   = 128 // OpenAI's; a server's limit of requests holds too
	maxBiases    = 1024
)

// asked is a decoded request. It is what the client said, not yet held against a model.
type asked struct {
	api   api
	model string // "" for whichever there is

	chat   token.Conversation // chat
	prompt string             // completion: a text,
	ids    []int32            // or ids

	maxTokens  int // 0: what the server allows
	minTokens  int
	n          int // choices
	sampling   backend.Sampling
	penalties  sample.Penalties
	seeded     bool // sampling.Seed was given
	stop       []string
	stopTokens []int32
	ignoreEOS  bool
	noCache    bool

	logProbs bool
	top      int  // likeliest ids beside each token's log-probability
	echo     bool // completion: the prompt's text comes first

	stream      bool
	usage       bool // in the stream, at its end
	usageAlways bool // in each chunk
}

// decode reads the body of a request. It is pure: what it refuses no server could do.
func decode(a api, body []byte) (asked, *failure) {
	o := parseObject(body)
	a.checkNames(o)
	q := asked{
		api: a, model: o.text("model"),
		sampling: backend.Sampling{
			Temperature: float32(o.number("temperature", 0, 100, 1)),
			TopP:        float32(o.number("top_p", 0, 1, 1)),
			TopK:        int(max(0, o.count("top_k", -1, math.MaxInt32, 0))), // some clients say -1 for off
			Seed:        uint64(o.count("seed", math.MinInt64, math.MaxInt64, 0)),
		},
		seeded:    o.has("seed"),
		maxTokens: int(o.count("max_tokens", 1, math.MaxInt32, 0)),
		minTokens: int(o.count("min_tokens", 0, math.MaxInt32, 0)),
		n:         int(o.count("n", 1, maxChoices, 1)),
		penalties: penalties(o),
		stop:      stops(o),
		ignoreEOS: o.flag("ignore_eos", false),
		noCache:   !o.flag("cache_prompt", true),
		stream:    o.flag("stream", false),
	}
	if o.has("top_p") && q.sampling.TopP == 0 {
		q.sampling = backend.Sampling{Seed: q.sampling.Seed} // the shortest prefix is the likeliest token
	}
	if o.read("stop_token_ids", &q.stopTokens, "a list of token ids") && len(q.stopTokens) > maxStops {
		o.fail(refuse("stop_token_ids", "stop_token_ids: %d of them: want at most %d", len(q.stopTokens), maxStops))
	}
	q.usage, q.usageAlways = includeUsage(o, q.stream)
	q.readLogProbs(o)
	if a == chatAPI {
		q.readChat(o)
	} else {
		q.readPrompt(o)
	}
	if q.maxTokens > 0 && q.minTokens > q.maxTokens {
		o.fail(refuse("min_tokens", "min_tokens %d is more than max_tokens %d", q.minTokens, q.maxTokens))
	}
	return q, o.failure
}

func stops(o *object) []string {
	var list []string
	if raw := o.members["stop"]; len(raw) > 0 && raw[0] == '"' {
		list = []string{o.text("stop")}
	} else {
		o.read("stop", &list, "a text or a list of texts")
	}
	if len(list) > maxStops {
		o.fail(refuse("stop", "stop: %d texts: want at most %d", len(list), maxStops))
	}
	for _, s := range list {
		if s == "" || len(s) > maxStopBytes {
			o.fail(refuse("stop", "stop: a text of %d bytes: want 1 to %d", len(s), maxStopBytes))
		}
	}
	return list
}

// includeUsage reads stream_options: whether usage comes at the end, and in each chunk too, as
// vLLM's continuous_usage_stats asks for.
func includeUsage(o *object, stream bool) (atEnd, always bool) {
	raw := o.members["stream_options"]
	if raw == nil || o.failure != nil {
		return false, false
	}
	in := parseObject(raw)
	if in.failure != nil {
		o.fail(refuse("stream_options", "stream_options: want an object such as {\"include_usage\": true}, not %s", shown(raw)))
		return false, false
	}
	known := []string{"include_usage", "continuous_usage_stats"}
	for _, name := range in.names() {
		// Obfuscation pads chunks with random bytes; without it they are as they are here.
		if !slices.Contains(known, name) && (name != "include_obfuscation" || !in.is(name, []string{"false"})) {
			f := unknown(name, slices.Clone(known))
			f.param = "stream_options." + name
			o.fail(f)
		}
	}
	if !stream {
		o.fail(refuse("stream_options", "stream_options: only with \"stream\": true"))
	}
	atEnd, always = in.flag("include_usage", false), in.flag("continuous_usage_stats", false)
	if in.failure != nil {
		in.failure.param = "stream_options." + in.failure.param
		o.fail(in.failure)
	}
	return atEnd, always && atEnd
}

func (q *asked) readChat(o *object) {
	q.chat = token.Conversation{Messages: messages(o), AddGenerationPrompt: true}
	o.read("chat_template_kwargs", &q.chat.Vars, "an object")
	most := int(o.count("max_completion_tokens", 1, math.MaxInt32, 0))
	if most > 0 && q.maxTokens > 0 && most != q.maxTokens {
		o.fail(refuse("max_tokens", "max_tokens %d and max_completion_tokens %d mean the same and differ: give one of them", q.maxTokens, most))
	}
	q.maxTokens = max(q.maxTokens, most)
}

// readPrompt takes a text or ids, alone or as the only one of a list.
func (q *asked) readPrompt(o *object) {
	raw := o.members["prompt"]
	if o.failure != nil {
		return
	}
	if raw == nil {
		o.fail(refuse("prompt", "prompt: missing: give a text, or a list of token ids"))
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && len(list) > 0 && (list[0][0] == '"' || list[0][0] == '[') {
		if len(list) > 1 {
			o.fail(refuse("prompt", "prompt: %d prompts: this server takes one a request", len(list)))
			return
		}
		raw = list[0]
	}
	if json.Unmarshal(raw, &q.prompt) == nil || json.Unmarshal(raw, &q.ids) == nil {
		if q.prompt == "" && len(q.ids) == 0 {
			o.fail(refuse("prompt", "prompt: it is empty: give a text, or a list of token ids"))
		}
		return
	}
	o.fail(refuse("prompt", "prompt: want a text or a list of token ids, not %s", shown(raw)))
}
