package harness

import (
	"fmt"
	"strings"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// What a cell says of prefix caches is proven by the subject's own count of the prompt
// tokens that it didn't compute.
//
// Under "bust" there are none, but for the head of a chat template, which every prompt
// of a server begins with, whatever marker its text has. Paceline's engine is told not
// to look, and finds none at all. Under "shared" with synthetic data every prompt has
// the same beginning, and the warm-up has sent it: each request must have found some of
// it. Other data under "shared" is left as it is, and nothing is claimed.

// headUnknown is the allowance where a server's head can't be counted, in tokens: the
// longest that a model's default system prompt was seen to be, and a block's rest.
const headUnknown = 64

// headOf is how many tokens at the beginning every prompt of a cell has in common though
// its cache is "bust".
func headOf(c spec.Cell, tok target.Tokenizer, traits target.Traits) int {
	if c.Request.API != "chat" || traits.HonoursNoCache || traits.TakesIDs && c.Data.Type == "synthetic" {
		return 0
	}
	if tok == nil {
		return headUnknown
	}
	// The template with two markers: what they have in common, and one token that may
	// reach over the end of it.
	const a, b = "[aaaa", "[bbbb"
	one, err := tok.Prompt("", a)
	if err != nil {
		return headUnknown
	}
	before, _, found := strings.Cut(one, a)
	if !found {
		return headUnknown
	}
	x, errX := tok.Encode(before + a)
	y, errY := tok.Encode(before + b)
	if errX != nil || errY != nil {
		return headUnknown
	}
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}

// judgeCache gives the reasons for which a trial wasn't as cold or as warm as its cell
// says. Where the subject doesn't tell, it only warns: of what was to be warm.
func judgeCache(c spec.Cell, w Window, head int) []result.Reason {
	warm := c.Request.Cache == "shared"
	if warm && c.Data.Type != "synthetic" {
		return nil
	}
	unknown := 0
	for _, s := range w.Own {
		switch {
		case s.Error != "" || s.CancelAt != 0:
		case !warm && s.CachedTokens > head:
			beyond := ""
			if head > 0 {
				beyond = fmt.Sprintf(", more than the %d that a chat template may begin with", head)
			}
			return []result.Reason{{Code: "cache", Detail: fmt.Sprintf(
				"request %d found %d tokens of its prompt in the prefix cache%s, where every prompt was to be new", s.Index, s.CachedTokens, beyond)}}
		case warm && s.CachedKnown && s.CachedTokens == 0:
			return []result.Reason{{Code: "cache", Detail: fmt.Sprintf(
				"request %d computed all %d tokens of its prompt, where the prefix cache was to have its beginning: the cache is off or full, or what is shared is shorter than a page of it", s.Index, s.PromptTokens)}}
		case warm && !s.CachedKnown:
			unknown++
		}
	}
	if unknown > 0 {
		return []result.Reason{{Code: "cache", Warn: true, Detail: fmt.Sprintf(
			"the subject doesn't tell how many tokens of a prompt came from its prefix cache (%d of %d requests): nothing proves that it was warm", unknown, len(w.Own))}}
	}
	return nil
}
