package harness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
)

// Token truth. The output length is known in up to three ways: the ids that the
// engine gave, the usage that the server reported, and the text tokenised again.
//
// The first two must always agree. The third may honestly differ: a model may spell
// a text with other tokens than its tokenizer would, so a correct answer need not
// survive decoding and encoding. What always holds is that the ids decode to the text
// that was streamed. So the text's count is only set where it is comparable: where
// encoding gives back the very ids (special ones at the end aside), or where the ids
// do not decode to the text, which is a disagreement whatever the counts are.
//
// Counts can't see an engine that gives consistent, but wrong tokens. A target that
// is a Verifier is therefore asked to compute some of its tokens again, by prefill
// instead of decode; one that differs is a disagreement too.

// Why a stream counts as not whole, or as one whose tokens are not the truth.
const (
	brokenEnd    = "no end marker came"
	truthPrefix  = "token truth: "
	truthDecodes = truthPrefix + "the ids do not decode to the text"
)

// isTokenTruth tells a disagreement about tokens from a broken stream.
func isTokenTruth(broken string) bool { return strings.HasPrefix(broken, truthPrefix) }

// agreement gives how many counts of a request's output are known, and whether all
// agree and nothing else speaks against its tokens.
func agreement(s *result.Sample) (known int, ok bool) {
	ok = !isTokenTruth(s.Broken)
	first := 0
	for _, n := range []*int{s.Tokens.Engine, s.Tokens.Usage, s.Tokens.Retokenised} {
		if n == nil {
			continue
		}
		if known == 0 {
			first = *n
		}
		ok = ok && *n == first
		known++
	}
	return known, ok
}

// retokenise counts the text's tokens, where that is comparable; disagreement is
// empty or a token-truth reason.
func retokenise(tok target.Tokenizer, r *target.Reply) (count *int, disagreement string) {
	again, err := tok.Encode(r.Text)
	if err != nil {
		return nil, "" // a text that can't be tokenised, such as one with NUL
	}
	if r.IDs == nil {
		n := len(again)
		if r.Finish == "stop" {
			n++ // the end token has no text
		}
		return &n, ""
	}
	text, err := tok.Decode(r.IDs)
	if err != nil {
		return nil, truthDecodes + ": " + err.Error()
	}
	if text != r.Text {
		n := len(again)
		return &n, truthDecodes
	}
	if len(again) > len(r.IDs) {
		return nil, ""
	}
	for i, id := range again {
		if r.IDs[i] != id {
			return nil, ""
		}
	}
	if rest, err := tok.Decode(r.IDs[len(again):]); err != nil || rest != "" {
		return nil, ""
	}
	n := len(r.IDs)
	return &n, ""
}

// Limits of verification, which takes place after the trials.
const (
	verifyLong      = 2 * time.Second        // of a cell that gates token_agreement
	verifyShort     = 250 * time.Millisecond // of any other
	verifyEach      = 4                      // tokens of a request
	verifyMaxPrompt = 2048                   // tokens computed again for one
)

// verify computes tokens of the exchanges again, spread over all of them, until the
// budget is used. It gives the disagreement by exchange, and how many tokens it
// computed.
func verify(ctx context.Context, clock load.Clock, v target.Verifier, exchanges []*exchange, seed uint64, budget time.Duration) (wrong map[*exchange]string, checked int, err error) {
	wrong = map[*exchange]string{}
	rng := rand.New(rand.NewPCG(seed, 1))
	start := clock.Now()
	for range verifyEach {
		for _, i := range rng.Perm(len(exchanges)) {
			x := exchanges[i]
			if x.err != nil || len(x.reply.IDs) == 0 || x.phase == 0 || wrong[x] != "" {
				continue
			}
			n := rng.IntN(len(x.reply.IDs))
			if x.reply.Prompt+n > verifyMaxPrompt {
				n = max(verifyMaxPrompt-x.reply.Prompt, 0) % len(x.reply.IDs)
			}
			if clock.Now().Sub(start) > budget || ctx.Err() != nil {
				return wrong, checked, nil
			}
			same, err := v.Verify(ctx, x.request, x.reply.IDs, n)
			if err != nil {
				return wrong, checked, fmt.Errorf("compute token %d of request %s again: %w", n, x.request.ID, err)
			}
			checked++
			if !same {
				wrong[x] = fmt.Sprintf("%stoken %d (id %d) is not the one that the model gives", truthPrefix, n+1, x.reply.IDs[n])
			}
		}
	}
	return wrong, checked, nil
}
