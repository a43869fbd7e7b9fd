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

// Running is a sequence that has pages.
type Running struct {
	Priority int
	Pending  int  // tokens known and not yet computed, ≥ 1
	Decode   bool // one is pending, and it was generated: somebody waits for the next one
	Draft    int  // guesses of what follows that token, which its pages have room for
	Lacks    int  // pages that its pending tokens need beyond those it has
	Grows    bool // it may need more pages after these
	Gives    int  // pages that become available if it stops; looked at where a higher priority waits
}

// Waiting is a sequence that has none.
type Waiting struct {
	Priority int
	Tokens   int  // to compute before its next token, ≥ 1
	Pages    int  // that these take of the available ones
	Grows    bool // it may need more pages after these
}

// State is what Decide knows.
type State struct {
	Running   []Running // by priority, the highest first, and then in the order of their start
	Waiting   []Waiting // in the order in which they are to start; by priority too
	FreePages int       // available
	Limits    Limits
}

// Chunk is a row of a step: the next Tokens pending tokens of a sequence.
type Chunk struct {
	Seq    int // index into Running, followed by those just admitted
	Tokens int // guesses too
}

// Decision is a step, or what must happen before one can be decided on.
type Decision struct {
	Preempt bool // the last of Running gives its pages back and waits; then decide again
	Admit   int  // how many of Waiting start, from the first
	Chunks  []Chunk
}

// Decide plans the next step. It is pure; chunks is memory for the answer's and may be nil.
//
// Running sequences get the pages that they lack, the first before the others; where they don't
// suffice, the last of them is preempted. Then waiting sequences are admitted strictly in order
// while a place and their pages are there, and one page is left for each that may
// grow; the first of those that can't be admitted may have the last of Running preempted, if that
// one's priority is lower and it helps. Then every sequence that waits for its next token gets its
// row, and what is left of the token budget goes to prompts, in the order of priority and
// start, and then to guesses. A step with no chunks means that nothing can run.
func Decide(s State, chunks []Chunk) Decision {
	d := Decision{Chunks: chunks[:0]}
	free, growing := s.FreePages, 0
	for _, r := range s.Running {
		if free -= r.Lacks; free < 0 {
			return Decision{Preempt: true}
		}
		if r.Grows {
			growing++
		}
	}
	places := s.Limits.MaxRows - len(s.Running)
	for _, w := range s.Waiting {
		if places == 0 || w.needs(len(s.Running)+d.Admit, growing) > free {
			if d.Admit == 0 && makesRoom(s.Running, w, places, free, growing) {
				return Decision{Preempt: true}
			}
			break
		}
		free -= w.Pages
		if w.Grows {
			growing++
		}
		places--
		d.Admit++
	}
	d.divide(s)
	return d
}

// needs is how many pages must be available for w to start beside so many running sequences, of
// which growing may yet grow. Alone, there is nobody to leave a page for.
func (w Waiting) needs(running, growing int) int {
	switch {
	case running == 0:
		return w.Pages
	case w.Grows:
		growing++
	}
	return w.Pages + growing
}

// makesRoom says whether w can start when some sequences of lower priority, from the last on, are
// preempted.
func makesRoom(running []Running, w Waiting, places, free, growing int) bool {
	for i := len(running) - 1; i >= 0 && running[i].Priority < w.Priority; i-- {
		places++
		free += running[i].Gives + running[i].Lacks
		if running[i].Grows {
			growing--
		}
		if places > 0 && w.needs(i, growing) <= free {
			return true
		}
	}
	return false
}

// divide gives the step's tokens to the sequences.
func (d *Decision) divide(s State) {
	for i, r := range s.Running {
		if r.Decode {
			d.Chunks = append(d.Chunks, Chunk{Seq: i, Tokens: 1})
		}
	}
	budget, decodes := s.Limits.MaxTokens, d.Chunks
	if n := len(decodes); n > 0 {
		budget = max(s.Limits.MixedTokens-n, 1)
		budget = min(budget, s.Limits.MaxTokens-n)
	}
	prompt := func(seq, pending int) {
		if n := min(pending, budget); n > 0 {
			d.Chunks = append(d.Chunks, Chunk{Seq: seq, Tokens: n})
			budget -= n
		}
	}
	admitted := s.Waiting[:d.Admit]
	next := 0
	for i, r := range s.Running {
		for ; next < len(admitted) && admitted[next].Priority > r.Priority; next++ {
			prompt(len(s.Running)+next, admitted[next].Tokens)
		}
		if !r.Decode {
			prompt(i, r.Pending)
		}
	}
	for ; next < len(admitted); next++ {
		prompt(len(s.Running)+next, admitted[next].Tokens)
	}
	for i := range decodes {
		n := min(s.Running[decodes[i].Seq].Draft, budget)
		d.Chunks[i].Tokens += n
		budget -= n
	}
}
