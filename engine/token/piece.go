package token

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// spelling has the bytes of each token by itself, one after another in one block: a hundred
// thousand strings would take several times as much.
type spelling struct {
	block []byte
	ids   []int32  // ascending
	ends  []uint32 // parallel to ids, in block
}

// newSpelling reads the tokens of a vocabulary. Added ones are spelt as they are.
func newSpelling(ids map[string]int32, byteLevel bool, added map[int32]bool) spelling {
	texts := make([]string, 0, len(ids))
	total := 0
	for text := range ids {
		texts = append(texts, text)
		total += len(text)
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Or(cmp.Compare(ids[a], ids[b]), strings.Compare(a, b)) })
	s := spelling{block: make([]byte, 0, total), ids: make([]int32, 0, len(texts)), ends: make([]uint32, 0, len(texts))}
	table := byteLevelTable()
	for _, text := range texts {
		id := ids[text]
		if n := len(s.ids); n > 0 && s.ids[n-1] == id {
			continue // a second text of one id
		}
		switch {
		case added[id]:
			s.block = append(s.block, text...)
		case byteLevel:
			s.block = appendByteLevel(s.block, text, &table)
		default:
			s.block = appendFallback(s.block, text)
		}
		s.ids, s.ends = append(s.ids, id), append(s.ends, uint32(len(s.block)))
	}
	return s
}

// byteLevelTable gives the byte of each character of a byte-level vocabulary, −1 for others:
// printable bytes of Latin-1 stand for themselves, the rest follow from U+0100 on in
// their order (GPT-2's encoder.py, bytes_to_unicode).
func byteLevelTable() (table [512]int16) {
	for i := range table {
		table[i] = -1
	}
	next := byteLevelNUL
	for b := range int16(256) {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			table[b] = b
			continue
		}
		table[next] = b
		next++
	}
	return table
}

func appendByteLevel(to []byte, text string, table *[512]int16) []byte {
	from := len(to)
	for _, r := range text {
		if int(r) >= len(table) || table[r] < 0 {
			return append(to[:from], text...) // no token of such a vocabulary
		}
		to = append(to, byte(table[r]))
	}
	return to
}

// appendFallback reads a token of a vocabulary that spells spaces as U+2581 and single bytes as
// <0xNN> (SentencePiece's).
func appendFallback(to []byte, text string) []byte {
	if hex, ok := strings.CutPrefix(text, "<0x"); ok && len(hex) == 3 && hex[2] == '>' {
		if b, err := strconv.ParseUint(hex[:2], 16, 8); err == nil {
			return append(to, byte(b))
		}
	}
	return append(to, strings.ReplaceAll(text, "\u2581", " ")...)
}

// Piece gives the bytes of one token by itself, a special one's spelling; nil for an id that the
// tokenizer doesn't know. They may be a part of a character. Joined, the pieces of a text are the
// text with byte-level tokenizers; others may add or drop a space at its beginning.
func (t *Tokenizer) Piece(id int32) []byte {
	s := &t.vocab.spelt
	i, ok := slices.BinarySearch(s.ids, id)
	if !ok {
		return nil
	}
	from := uint32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return slices.Clone(s.block[from:s.ends[i]])
}
