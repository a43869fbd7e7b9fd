package sched

import "github.com/paceline/paceline/engine/kv"

// Guessing what comes next makes a step draw several tokens of one sequence: the guesses are
// computed along with the token before them, and each position's own draw shows whether the
// next guess was right. Tokens are drawn by (seed, position) from the same logits as
// without, so they are the same; only the number of steps changes.
//
// The guess is prompt lookup (Saxena 2023): where the text's last tokens stood before, what came
// after them may come again.
const (
	lookback = 4096 // how far back is looked, in tokens, so that a guess costs microseconds
	longest  = 8    // tokens of a match; of matches as long the last one counts
	shortest = 2
)

// guess writes what may follow tokens to into, and says how much it is.
func guess(into, tokens []int32) int {
	end, best, at := len(tokens), shortest-1, 0
	for i := end - 1; i > max(end-lookback, 0) && best < longest; i-- { // tokens[:i] ends like tokens
		n := 0
		for n < longest && n < i && tokens[i-1-n] == tokens[end-1-n] {
			n++
		}
		if n > best {
			best, at = n, i
		}
	}
	if best < shortest {
		return 0
	}
	return copy(into, tokens[at:])
}

// draft guesses up to most tokens more and keeps them behind the sequence's tokens, as far as its
// pages and its length go. The answer is how many these are.
func (s *seq) draft(most int) int {
	if s.guessed == len(s.tokens) { // asked before
		return s.drafts
	}
	s.guessed, s.drafts = len(s.tokens), 0
	// Edits change with each token drawn, and log-probabilities are those of one draw a row.
	if most == 0 || s.NoKV || !s.decodes() || s.Editor != nil || s.TopLogProbs > 0 {
		return 0
	}
	if s.mostDrafts == 0 {
		s.mostDrafts = most
	}
	n := len(s.tokens)
	room := min(s.positions, kv.PagesFor(n)*pageTokens) - n
	if room = min(room, most, s.mostDrafts); room > 0 {
		s.drafts = guess(s.tokens[n:n+room], s.tokens)
	}
	return s.drafts
}

// learn takes how many of how many guesses were right: wrong ones cost time, so fewer come next.
func (s *seq) learn(guesses, right, most int) {
	if right == guesses {
		s.mostDrafts = min(2*s.mostDrafts, most)
	} else {
		s.mostDrafts = right + 1
	}
}
