package model

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const (
	synthConsonants = "bcdfghjklmnpqrstvwxz"
	synthVowels     = "aeiou"
)

// chatML is the shape in which Qwen's own models take a conversation.
const chatML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}` +
	`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// writeTokenizer writes a byte-level tokenizer that covers every id of c: the 256
// bytes, three special tokens, and an invented word for each id that is left.
// A model with random weights draws ids from the whole vocabulary, and each of
// them must become text, as it would with a real tokenizer; the words come back
// to the same ids ("ignore_merges" takes a whole word where the vocabulary has it).
func writeTokenizer(dir string, c Config) error {
	const specials = 3
	first := c.VocabSize - specials
	if len(c.EOS) > 0 {
		first = int(c.EOS[0])
	}
	if first < 256 || first+specials > c.VocabSize {
		return fmt.Errorf("no room for a byte-level tokenizer: vocabulary of %d, special tokens from %d; give a tokenizer", c.VocabSize, first)
	}
	names := [specials]string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	type added struct {
		ID         int    `json:"id"`
		Content    string `json:"content"`
		SingleWord bool   `json:"single_word"`
		LStrip     bool   `json:"lstrip"`
		RStrip     bool   `json:"rstrip"`
		Normalized bool   `json:"normalized"`
		Special    bool   `json:"special"`
	}
	var tokens []added
	for i, name := range names {
		tokens = append(tokens, added{ID: first + i, Content: name, Special: true})
	}
	alphabet := byteAlphabet()
	vocab := make([]string, c.VocabSize)
	for id := range vocab {
		switch {
		case id < 256:
			vocab[id] = string(alphabet[id])
		case id >= first && id < first+specials:
			vocab[id] = names[id-first]
		default:
			vocab[id] = string(alphabet[' ']) + synthWord(id)
		}
	}
	var entries bytes.Buffer
	for id, text := range vocab { // by hand, in the order of ids
		quoted, err := json.Marshal(text)
		if err != nil {
			return err
		}
		if id > 0 {
			entries.WriteByte(',')
		}
		fmt.Fprintf(&entries, "%s:%d", quoted, id)
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true}
	tokenizer, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": tokens, "normalizer": nil,
		"pre_tokenizer": byteLevel, "post_processor": byteLevel, "decoder": byteLevel,
		"model": map[string]any{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
			"vocab": json.RawMessage("{" + entries.String() + "}"), "merges": []string{},
		},
	})
	if err != nil {
		return err
	}
	config, err := json.MarshalIndent(map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": false, "clean_up_tokenization_spaces": false,
		"eos_token": names[0], "pad_token": names[0], "model_max_length": c.MaxPositions, "chat_template": chatML,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(dir, "tokenizer.json", tokenizer); err != nil {
		return err
	}
	return writeFile(dir, "tokenizer_config.json", append(config, '\n'))
}

// synthWord spells a number in syllables, at least three of them.
func synthWord(n int) string {
	var word []byte
	for i := 0; i < 3 || n > 0; i++ {
		word = append(word, synthConsonants[n%20], synthVowels[n/20%5])
		n /= 100
	}
	return string(word)
}

// byteAlphabet is the letter that stands for each byte in a byte-level
// vocabulary: itself where it is printable, else the next one from U+0100 on
// (GPT-2's bytes_to_unicode).
func byteAlphabet() [256]rune {
	var letters [256]rune
	next := rune(256)
	for b := range rune(256) {
		if '!' <= b && b <= '~' || '¡' <= b && b <= '¬' || '®' <= b && b <= 'ÿ' {
			letters[b] = b
			continue
		}
		letters[b] = next
		next++
	}
	return letters
}
