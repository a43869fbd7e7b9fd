package serve

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/paceline/paceline/engine"
)

// chatProbs is a chat's log-probabilities in OpenAI's shape.
type chatProbs struct {
	Content []tokenProb `json:"content"`
	Refusal *string     `json:"refusal"` // always null
}

type tokenProb struct {
	likelyToken
	Top []likelyToken `json:"top_logprobs"`
}

type likelyToken struct {
	Token   string  `json:"token"`
	LogProb float32 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// completionProbs is a completion's.
type completionProbs struct {
	Tokens        []string             `json:"tokens"`
	TokenLogProbs []float32            `json:"token_logprobs"`
	Top           []map[string]float32 `json:"top_logprobs"`
	// TextOffset is where a token begins in the text, in characters.
	TextOffset []int `json:"text_offset"`
}

// drawn is a token with what was likely in its place.
type drawn struct {
	id    int32
	probs *engine.LogProbs
}

// speller writes one choice's log-probabilities, token after token.
type speller struct {
	piece  func(id int32) []byte
	silent func(id int32) bool // it adds nothing to the text
	api    api
	top    int

	offset  int    // characters of the text so far
	partial []byte // of a character that isn't complete
}

// write gives some tokens' in the shape of the API.
func (s *speller) write(list []drawn) any {
	if s.api == chatAPI {
		out := chatProbs{Content: []tokenProb{}}
		for _, d := range list {
			t := tokenProb{likelyToken: s.likely(d.id, d.probs.Token), Top: []likelyToken{}}
			for _, l := range d.probs.Top[:min(s.top, len(d.probs.Top))] {
				t.Top = append(t.Top, s.likely(l.ID, l.LogProb))
			}
			out.Content = append(out.Content, t)
		}
		return out
	}
	out := completionProbs{Tokens: []string{}, TokenLogProbs: []float32{}, Top: []map[string]float32{}, TextOffset: []int{}}
	for _, d := range list {
		text := spelt(s.piece(d.id), "bytes:")
		top := map[string]float32{}
		// Upwards, so that of two ids with one text the likelier is kept.
		for i := min(s.top, len(d.probs.Top)) - 1; i >= 0; i-- {
			top[spelt(s.piece(d.probs.Top[i].ID), "bytes:")] = finite(d.probs.Top[i].LogProb)
		}
		top[text] = finite(d.probs.Token) // the token itself is always there
		out.Tokens = append(out.Tokens, text)
		out.TokenLogProbs = append(out.TokenLogProbs, finite(d.probs.Token))
		out.Top = append(out.Top, top)
		out.TextOffset = append(out.TextOffset, s.advance(d.id))
	}
	return out
}

func (s *speller) likely(id int32, p float32) likelyToken {
	piece := s.piece(id)
	l := likelyToken{Token: spelt(piece, ""), LogProb: finite(p), Bytes: make([]int, 0, len(piece))}
	for _, b := range piece {
		l.Bytes = append(l.Bytes, int(b))
	}
	return l
}

// advance gives where id begins, and goes on to its end. A character counts when it is complete.
func (s *speller) advance(id int32) int {
	at := s.offset
	if s.silent(id) {
		return at
	}
	s.partial = append(s.partial, s.piece(id)...)
	for len(s.partial) > 0 && utf8.FullRune(s.partial) {
		_, n := utf8.DecodeRune(s.partial)
		s.partial = s.partial[n:]
		s.offset++
	}
	return at
}

// spelt is a token as a text. Bytes that are no whole characters are written out, after a prefix,
// as OpenAI does.
func spelt(piece []byte, prefix string) string {
	if utf8.Valid(piece) {
		return string(piece)
	}
	var b strings.Builder
	b.WriteString(prefix)
	for _, c := range piece {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}

// finite puts a number that JSON can write in the place of −Inf, the one that OpenAI uses.
func finite(p float32) float32 { return max(p, -9999) }
