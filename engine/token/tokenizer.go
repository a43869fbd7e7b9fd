package token

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ErrNoEngine is Open's error in the flavour of the program without an engine.
var ErrNoEngine = errors.New("this build has no engine: use the native build")

// ErrClosed is returned by a Tokenizer that was closed.
var ErrClosed = errors.New("the tokenizer is closed")

// codec is the native library's part: ids and text, nothing else.
type codec interface {
	encode(text string, addSpecial bool) ([]int32, error)
	decode(ids []int32, skipSpecial bool) (string, error)
	close() error
}

// Tokenizer is a model's tokenizer with its special tokens and its chat template.
// All methods may be called concurrently; Close waits for those under way.
type Tokenizer struct {
	codec  codec
	vocab  *vocabulary
	config Config
	chat   *Template // nil: the model has none
	digest string
}

// open reads a model folder; load makes the native part from a tokenizer.json.
func open(dir string, load func(tokenizerJSON []byte) (codec, error)) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	data, err := readFile(path, maxTokenizerBytes, false)
	if err != nil {
		return nil, fmt.Errorf("open the tokenizer: %w; a model folder needs a tokenizer.json", err)
	}
	vocab, err := parseVocabulary(data)
	if err != nil {
		return nil, fmt.Errorf("open the tokenizer %s: %w", path, err)
	}
	config, err := readConfig(dir, vocab)
	if err != nil {
		return nil, fmt.Errorf("open the tokenizer in %s: %w", dir, err)
	}
	t := &Tokenizer{vocab: vocab, config: config}
	if config.ChatTemplate != "" {
		if t.chat, err = NewTemplate(config.ChatTemplate, config.Special); err != nil {
			return nil, fmt.Errorf("open the tokenizer in %s: %w", dir, err)
		}
	}
	sum := sha256.Sum256(data)
	t.digest = hex.EncodeToString(sum[:])
	if t.codec, err = load(vocab.source); err != nil {
		return nil, fmt.Errorf("open the tokenizer %s: %w", path, err)
	}
	vocab.source, vocab.ids = nil, addedOnly(vocab)
	return t, nil
}

// addedOnly keeps of a vocabulary's ids those of special tokens: nothing looks up
// others, and a hundred thousand strings need memory.
func addedOnly(v *vocabulary) map[string]int32 {
	kept := map[string]int32{}
	for text, id := range v.ids {
		if v.special[id] {
			kept[text] = id
		}
	}
	return kept
}

// Encode gives text's ids, with the tokens that the model expects around a text
// when addSpecial is set (Qwen's expect none). Special tokens spelt in the text
// become themselves. No text gives no ids and a slice that isn't nil.
//
// Invalid UTF-8 is read as U+FFFD. A text with a NUL character is an error with the
// few tokenizers for which see encodeNUL.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]int32, error) {
	encode := t.codec.encode
	if strings.IndexByte(text, 0) >= 0 {
		encode = t.encodeNUL
	}
	ids, err := encode(text, addSpecial)
	if err != nil {
		return nil, fmt.Errorf("tokenize a text of %d bytes: %w", len(text), err)
	}
	if ids == nil {
		ids = []int32{}
	}
	return ids, nil
}

// encodeNUL encodes a text with NUL characters, which the native library, taking C
// strings, would cut there. It encodes the text twice, with the control characters
// 1 and 2 in their place: where the ids differ, there is a NUL. That needs a
// byte-level vocabulary that treats the three alike (Qwen's and Llama 3's do).
func (t *Tokenizer) encodeNUL(text string, addSpecial bool) ([]int32, error) {
	v := t.vocab
	if !v.alike {
		return nil, fmt.Errorf("byte %d is a NUL character, which the library can't take with this tokenizer; remove it", strings.IndexByte(text, 0))
	}
	ids, err := t.codec.encode(strings.ReplaceAll(text, "\x00", "\x01"), addSpecial)
	if err != nil {
		return nil, err
	}
	twos, err := t.codec.encode(strings.ReplaceAll(text, "\x00", "\x02"), addSpecial)
	if err != nil {
		return nil, err
	}
	if len(twos) != len(ids) {
		return nil, errors.New("the tokenizer doesn't treat control characters alike; remove the NUL characters")
	}
	for i := range ids {
		if ids[i] == v.bytes[1] && twos[i] == v.bytes[2] {
			ids[i] = v.bytes[0]
		} else if ids[i] != twos[i] {
			return nil, errors.New("the tokenizer doesn't treat control characters alike; remove the NUL characters")
		}
	}
	return ids, nil
}

// Decode gives the text of ids, without special tokens when skipSpecial is set.
// Ids that the tokenizer doesn't know add nothing; bytes that aren't UTF-8 show as
// U+FFFD. It need not give back what was encoded: tokenizers may normalise.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) (string, error) {
	var texts [2]string
	for i := range texts {
		spelt, different := t.vocab.withoutNUL(ids, i)
		var err error
		if texts[i], err = t.codec.decode(spelt, skipSpecial); err != nil {
			return "", fmt.Errorf("decode %d tokens: %w", len(ids), err)
		}
		if !different {
			return texts[i], nil
		}
	}
	text := []byte(texts[0])
	for i := range min(len(text), len(texts[1])) {
		if text[i] != texts[1][i] {
			text[i] = 0
		}
	}
	return string(text), nil
}

// Silent reports whether id never adds text to a decode; see [Decoder].
func (t *Tokenizer) Silent(id int32, skipSpecial bool) bool {
	if id < 0 || int(id) >= t.vocab.size || !t.vocab.known[id] {
		return true
	}
	return skipSpecial && t.vocab.special[id]
}

// Stream starts the text of one generation; see [NewStream].
func (t *Tokenizer) Stream(skipSpecial bool) *Stream { return NewStream(t, skipSpecial) }

// VocabSize is the tokenizer's highest id + 1. A model's own number, the rows of
// its embedding, is often larger: it is padded.
func (t *Tokenizer) VocabSize() int { return t.vocab.size }

// Verify checks that every id of the tokenizer has a row in a model with vocabSize
// of them.
func (t *Tokenizer) Verify(vocabSize int) error { return t.vocab.verify(vocabSize) }

func (v *vocabulary) verify(vocabSize int) error {
	if v.size <= vocabSize {
		return nil
	}
	return fmt.Errorf("the tokenizer has ids up to %d and the model's vocabulary has %d entries (ids up to %d): the tokenizer.json belongs to another model", v.size-1, vocabSize, vocabSize-1)
}

// SpecialID gives the id of a special token such as <|im_end|>.
func (t *Tokenizer) SpecialID(text string) (int32, bool) {
	id, ok := t.vocab.ids[text]
	return id, ok
}

// IsSpecial reports whether id is a special token.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.vocab.special[id] }

// Config gives the model folder's settings. The caller must not change its slices
// and maps.
func (t *Tokenizer) Config() Config { return t.config }

// Digest is the SHA-256 of the folder's tokenizer.json, in hex.
func (t *Tokenizer) Digest() string { return t.digest }

// Chat renders a conversation by the model's chat template. Encode its result with
// addSpecial false: templates write the special tokens themselves.
func (t *Tokenizer) Chat(c Conversation) (string, error) {
	if t.chat == nil {
		return "", ErrNoChatTemplate
	}
	return t.chat.Render(c)
}

// Close frees the native tokenizer. Later calls of Encode and Decode give
// [ErrClosed]; closing twice is no error.
func (t *Tokenizer) Close() error { return t.codec.close() }
