package sched

// Limits bound a step.
type Limits struct {
	// MaxRows is the most rows of a step, and so the most sequences that run at a time. ≥ 1.
	MaxRows int
	// MaxTokens is the most tokens of a step over all rows. ≥ MaxRows, so that every
	// running sequence can get its next token in every step.
	MaxTokens int
	// MixedTokens bounds the tokens of a step in which some sequence waits for its next
	// token, so that another's long prompt delays that token by a bounded time only. At least
	// one prompt token goes along all the same. 1..MaxTokens.
	MixedTokens int
}

// Running is a sequence that has its pages.
type Running struct {
	Pending int  // tokens known and not yet computed, ≥ 1
	Decode  bool // the pending token was generated: somebody waits for the next one
}

// Waiting is a sequence that hasn't started.
type Waiting struct {
	Pages  int // it must be promised
	Tokens int // of its prompt, ≥ 1
}

// State is what Decide knows.
type State struct {
	Running   []Running // in the order in which they were admitted
	Waiting   []Waiting // in the order in which they came
	FreePages int       // neither used nor promised
	Limits    Limits
}

// Chunk is a row of a step: the next Tokens pending tokens of a sequence.
type Chunk struct {
	Seq    int // index into Running, followed by those just admitted
	Tokens int
}

// Decision is a step.
type Decision struct {
	Admit  int // how many of Waiting start, from the first
	Chunks []Chunk
}

// Decide plans the next step. It is pure. Waiting sequences are admitted strictly in
// order while a place and their pages are there: none overtakes one that needs much. Then
// every sequence that waits for its next token gets its row; what is left of the
// token budget goes to prompts, the earliest admitted first. A step with no chunks means that
// nothing can run.
func Decide(s State) Decision {
	var d Decision
	free, places := s.FreePages, s.Limits.MaxRows-len(s.Running)
	for _, w := range s.Waiting {
		if places == 0 || w.Pages > free {
			break
		}
		free -= w.Pages
		places--
		d.Admit++
	}
	for i, r := range s.Running {
		if r.Decode {
			d.Chunks = append(d.Chunks, Chunk{Seq: i, Tokens: 1})
		}
	}
	budget := s.Limits.MaxTokens
	if n := len(d.Chunks); n > 0 {
		budget = max(s.Limits.MixedTokens-n, 1)
		budget = min(budget, s.Limits.MaxTokens-n)
	}
	prompt := func(seq, pending int) {
		if n := min(pending, budget); n > 0 {
			d.Chunks = append(d.Chunks, Chunk{Seq: seq, Tokens: n})
			budget -= n
		}
	}
	for i, r := range s.Running {
		if !r.Decode {
			prompt(i, r.Pending)
		}
	}
	for i, w := range s.Waiting[:d.Admit] {
		prompt(len(s.Running)+i, w.Tokens)
	}
	return d
}
