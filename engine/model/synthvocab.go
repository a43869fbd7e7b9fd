package model

// bpe is a byte-level vocabulary that grows by byte-pair merges. Its first 256 tokens are
// the bytes. Merges apply in the order in which they were made, the leftmost place first,
// which is how Hugging Face's tokenizers apply them.
type bpe struct {
	tokens []string // by number: the bytes that a token stands for
	number map[string]int32
	merges []pair
	made   map[pair]merge
	limit  int // most tokens
}

// pair is two neighbouring tokens.
type pair [2]int32

type merge struct{ rank, token int32 }

func newBPE(limit int) *bpe {
	v := &bpe{number: make(map[string]int32, limit), made: make(map[pair]merge, limit), limit: limit}
	for b := range 256 {
		v.add(string([]byte{byte(b)}))
	}
	return v
}

func (v *bpe) add(text string) int32 {
	n := int32(len(v.tokens))
	v.tokens = append(v.tokens, text)
	v.number[text] = n
	return n
}

// full says that no token more has room.
func (v *bpe) full() bool { return len(v.tokens) >= v.limit }

// learn makes text a token, with the tokens on the way to it, or as many of these as have
// room. Once it is one, it stays reachable: the merges that lead to it leave nothing else
// to merge, and those learnt later apply only where no earlier one does.
func (v *bpe) learn(text string) {
	for pieces := v.encode(text); len(pieces) > 1 && !v.full(); pieces = v.encode(text) {
		p := pair{pieces[0], pieces[1]}
		joined := v.tokens[p[0]] + v.tokens[p[1]]
		n, known := v.number[joined] // by another way
		if !known {
			n = v.add(joined)
		}
		v.made[p] = merge{rank: int32(len(v.merges)), token: n}
		v.merges = append(v.merges, p)
	}
}

// encode cuts a short text into tokens.
func (v *bpe) encode(text string) []int32 {
	pieces := make([]int32, len(text))
	for i := range len(text) {
		pieces[i] = int32(text[i])
	}
	for {
		at, best := -1, merge{}
		for i := range len(pieces) - 1 {
			if m, ok := v.made[pair{pieces[i], pieces[i+1]}]; ok && (at < 0 || m.rank < best.rank) {
				at, best = i, m
			}
		}
		if at < 0 {
			return pieces
		}
		pieces[at] = best.token
		pieces = append(pieces[:at+1], pieces[at+2:]...)
	}
}
