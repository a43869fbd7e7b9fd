package serve

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/http"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/token"
)

// completionTokens is what OpenAI gives to a plain completion that names no max_tokens.
const completionTokens = 16

// promptIDs gives the ids that the model gets, as `paceline generate` makes them: a chat by
// the model's template, a text as it is, without tokens around it.
func (s *Server) promptIDs(q asked) ([]int32, *failure) {
	if q.model != "" {
		if f := s.serves(q.model); f != nil {
			return nil, f
		}
	}
	if len(q.ids) > 0 {
		return q.ids, s.checkIDs("prompt", q.ids)
	}
	text, param := q.prompt, "prompt"
	if q.api == chatAPI {
		param = "messages"
		var err error
		if text, err = s.tok.Chat(q.chat); errors.Is(err, token.ErrNoChatTemplate) {
			return nil, refuse("", "this model has no chat template: ask /v1/completions")
		} else if err != nil {
			return nil, refuse(param, "%v", err)
		}
	}
	ids, err := s.tok.Encode(text, false)
	switch {
	case errors.Is(err, token.ErrClosed):
		return nil, unavailable()
	case err != nil:
		return nil, refuse(param, "%v", err)
	}
	return ids, nil
}

// checkIDs refuses ids that the model has no row for.
func (s *Server) checkIDs(param string, ids []int32) *failure {
	most := int32(s.engine.Model().Config.VocabSize) - 1
	for i, id := range ids {
		if id < 0 || id > most {
			return refuse(param, "%s[%d]: the id %d is none of this model's: they go from 0 to %d", param, i, id, most)
		}
	}
	return nil
}

// prepare holds a request against the model and the server's limits.
func (s *Server) prepare(q asked) (engine.Request, *failure) {
	ids, f := s.promptIDs(q)
	if f == nil {
		f = s.checkIDs("stop_token_ids", q.stopTokens)
	}
	if f == nil {
		if err := q.penalties.Validate(s.engine.Model().Config.VocabSize); err != nil {
			f = refuse("logit_bias", "%v", err) // decode has seen to the rest
		}
	}
	if f != nil {
		return engine.Request{}, f
	}
	tokens, f := s.answerTokens(q, len(ids))
	if f != nil {
		return engine.Request{}, f
	}
	r := engine.Request{
		Prompt: ids, MaxTokens: tokens, Sampling: q.sampling, Stop: q.stop, StopTokens: q.stopTokens,
		IgnoreEOS: q.ignoreEOS, NoCache: q.noCache, Penalties: q.penalties, MinTokens: q.minTokens,
	}
	if q.logProbs {
		r.LogProbs = max(1, q.top) // the token's own comes along with any
	}
	if !q.seeded {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		r.Sampling.Seed = binary.NativeEndian.Uint64(b[:])
	}
	return r, nil
}

// answerTokens is how many tokens the answer to a prompt may have. What was asked for is given or
// refused, never cut.
func (s *Server) answerTokens(q asked, prompt int) (int, *failure) {
	tooLong := func(param, format string, args ...any) (int, *failure) {
		f := refuse(param, format, args...)
		f.code = "context_length_exceeded"
		return 0, f
	}
	name := "prompt"
	if q.api == chatAPI {
		name = "messages"
	}
	room := s.context - prompt
	switch {
	case prompt == 0:
		return 0, refuse(name, "%s: no tokens: give a text", name)
	case room < 1:
		return tooLong(name, "%s: %d tokens, and the context has %d positions, answer included", name, prompt, s.context)
	case q.maxTokens > room:
		return tooLong("max_tokens", "max_tokens %d: the prompt has %d tokens, which leaves %d of the context's %d", q.maxTokens, prompt, room, s.context)
	case s.o.MaxTokens > 0 && q.maxTokens > s.o.MaxTokens:
		return 0, refuse("max_tokens", "max_tokens %d: this server gives at most %d", q.maxTokens, s.o.MaxTokens)
	}
	tokens := q.maxTokens
	if tokens == 0 {
		tokens = room
		if q.api == completionAPI {
			tokens = min(tokens, completionTokens)
		}
		if s.o.MaxTokens > 0 {
			tokens = min(tokens, s.o.MaxTokens)
		}
	}
	if q.minTokens > tokens {
		return 0, refuse("min_tokens", "min_tokens %d: the answer may have %d tokens: give max_tokens too", q.minTokens, tokens)
	}
	return tokens, nil
}

// submitted says whose fault it is that the engine took no request.
func (s *Server) submitted(err error) *failure {
	f := s.failed(err)
	if f.status == http.StatusInternalServerError { // neither closed nor broken: what remains are its checks of the request
		return refuse("", "%v", err)
	}
	return f
}
