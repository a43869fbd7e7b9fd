package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxID is the highest token id that a tokenizer may have; published ones stay
// below 300,000.
const maxID = 1<<24 - 1

// vocabulary is what this package itself needs to know of a tokenizer.json; the
// merges and the rules are the native library's business.
type vocabulary struct {
	size    int                  // highest id + 1
	known   []bool               // by id: false in gaps
	special map[int32]bool       // added tokens flagged special
	ids     map[string]int32     // every token's id, by its text in the file
	nul     map[int32][2][]int32 // see noteNUL
	// bytes are the ids of the bytes 0, 1 and 2; alike says that they are treated
	// alike: by a byte-level vocabulary without a longer token that has any of them.
	bytes  [3]int32
	alike  bool
	source []byte // the file, without truncation and padding
	spelt  spelling
}

type tokenizerFile struct {
	Truncation  json.RawMessage `json:"truncation"`
	Padding     json.RawMessage `json:"padding"`
	AddedTokens []struct {
		ID      int64  `json:"id"`
		Content string `json:"content"`
		Special bool   `json:"special"`
	} `json:"added_tokens"`
	Decoder json.RawMessage `json:"decoder"`
	Model   struct {
		Vocab json.RawMessage `json:"vocab"`
	} `json:"model"`
}

// parseVocabulary reads a tokenizer.json in the format of Hugging Face's
// tokenizers. It accepts what the native library accepts or refuses itself; its
// own errors are for what this package relies on.
func parseVocabulary(data []byte) (*vocabulary, error) {
	var file tokenizerFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("not a tokenizer.json: %w", err)
	}
	v := &vocabulary{
		special: map[int32]bool{},
		nul:     map[int32][2][]int32{},
		source:  data,
	}
	var err error
	if v.ids, err = parseVocab(file.Model.Vocab); err != nil {
		return nil, err
	}
	for text, id := range v.ids {
		if err := v.add(text, int64(id)); err != nil {
			return nil, err
		}
	}
	for _, t := range file.AddedTokens {
		if err := v.add(t.Content, t.ID); err != nil {
			return nil, err
		}
		v.ids[t.Content] = int32(t.ID)
		if t.Special {
			v.special[int32(t.ID)] = true
		}
	}
	byteLevel := bytes.Contains(file.Decoder, []byte(`"ByteLevel"`))
	v.noteNUL(byteLevel)
	added := map[int32]bool{}
	for _, t := range file.AddedTokens {
		added[int32(t.ID)] = true
	}
	v.spelt = newSpelling(v.ids, byteLevel, added)
	if v.size == 0 {
		return nil, errors.New("the tokenizer has no tokens: neither model.vocab nor added_tokens names any")
	}
	return v, v.dropTruncation(file)
}

// parseVocab reads model.vocab: an object of ids (BPE, WordPiece, WordLevel) or a
// list of [text, score] whose places are the ids (Unigram).
func parseVocab(raw json.RawMessage) (map[string]int32, error) {
	ids := map[string]int32{}
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0 || string(raw) == "null":
	case raw[0] == '[':
		var list [][]json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("model.vocab of a tokenizer.json: %w", err)
		}
		for i, entry := range list {
			if len(entry) == 0 || i > maxID {
				return nil, fmt.Errorf("model.vocab of a tokenizer.json: entry %d is empty or beyond the limit of %d", i, maxID)
			}
			var text string
			if err := json.Unmarshal(entry[0], &text); err != nil {
				return nil, fmt.Errorf("model.vocab of a tokenizer.json: entry %d: %w", i, err)
			}
			ids[text] = int32(i)
		}
	default:
		if err := json.Unmarshal(raw, &ids); err != nil {
			return nil, fmt.Errorf("model.vocab of a tokenizer.json: %w", err)
		}
	}
	return ids, nil
}

// add records that id exists.
func (v *vocabulary) add(text string, id int64) error {
	if id < 0 || id > maxID {
		return fmt.Errorf("token %.40q of a tokenizer.json has the id %d, outside 0 to %d", text, id, maxID)
	}
	v.size = max(v.size, int(id)+1)
	if n := v.size - len(v.known); n > 0 {
		v.known = append(v.known, make([]bool, n)...)
	}
	v.known[id] = true
	return nil
}

// noteNUL finds the tokens that stand for a NUL character, which the native library
// can't give back, as it passes text as C strings. Each gets two spellings in
// tokens of single bytes, one with the byte 1 for the NUL and one with the byte 2:
// where the texts of both differ, there is the NUL.
func (v *vocabulary) noteNUL(byteLevel bool) {
	if id, ok := v.ids["<0x00>"]; ok {
		one, ok1 := v.ids["<0x01>"]
		two, ok2 := v.ids["<0x02>"]
		if ok1 && ok2 {
			v.nul[id] = [2][]int32{{one}, {two}}
		}
	}
	if !byteLevel {
		return
	}
	v.alike = true
	for i := range v.bytes {
		id, ok := v.ids[string(byteLevelNUL+rune(i))]
		v.bytes[i], v.alike = id, v.alike && ok
	}
	for text, id := range v.ids {
		if strings.ContainsAny(text, "\u0100\u0101\u0102") && utf8.RuneCountInString(text) > 1 {
			v.alike = false
		}
		if !strings.ContainsRune(text, byteLevelNUL) {
			continue
		}
		one, ok1 := v.spell(text, byteLevelNUL+1)
		two, ok2 := v.spell(text, byteLevelNUL+2)
		if ok1 && ok2 {
			v.nul[id] = [2][]int32{one, two}
		}
	}
}

// byteLevelNUL stands for the byte 0 in byte-level vocabularies, and the characters
// after it for 1, 2, ...: GPT-2's table puts the bytes that aren't printable there.
const byteLevelNUL = rune(0x100)

// spell gives a byte-level token as the ids of its bytes, with other for NUL.
func (v *vocabulary) spell(text string, other rune) ([]int32, bool) {
	var ids []int32
	for _, r := range text {
		if r == byteLevelNUL {
			r = other
		}
		id, ok := v.ids[string(r)]
		if !ok {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// withoutNUL gives ids with one of the two spellings for those that noteNUL found,
// and whether there were any.
func (v *vocabulary) withoutNUL(ids []int32, spelling int) ([]int32, bool) {
	if !slices.ContainsFunc(ids, func(id int32) bool { return v.nul[id][0] != nil }) {
		return ids, false
	}
	var spelt []int32
	for _, id := range ids {
		if two := v.nul[id]; two[0] != nil {
			spelt = append(spelt, two[spelling]...)
		} else {
			spelt = append(spelt, id)
		}
	}
	return spelt, true
}

// dropTruncation removes truncation and padding from the source that the native
// library gets. Hugging Face's transformers, whose ids ours must equal, switches
// both off for each call unless asked for; left in, they would cut long prompts
// without a word.
func (v *vocabulary) dropTruncation(file tokenizerFile) error {
	absent := func(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
	if absent(file.Truncation) && absent(file.Padding) {
		return nil
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(v.source, &whole); err != nil {
		return fmt.Errorf("not a tokenizer.json: %w", err)
	}
	whole["truncation"], whole["padding"] = json.RawMessage("null"), json.RawMessage("null")
	source, err := json.Marshal(whole)
	if err != nil {
		return fmt.Errorf("write a tokenizer.json without truncation: %w", err)
	}
	v.source = source
	return nil
}
