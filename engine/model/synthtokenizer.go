package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// chatML is the shape in which Qwen's own models take a conversation.
const chatML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}` +
	`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// synthPattern is how Qwen2 cuts text into words before merging: contractions, letters with
// one leading mark, single digits, punctuation, line ends, spaces.
const synthPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// synthSpecials are Qwen2.5's added tokens in the order of their ids, 151643 to 151664. The
// first three are what a conversation needs; the last eight its tokenizer shows as text.
func synthSpecials() (names []string, hidden int) {
	return []string{
		"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
		"<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
		"<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
	}, 14
}

// addedToken is an entry of added_tokens.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// writeTokenizer writes a byte-level tokenizer that covers every id of c: a model with
// random weights draws ids from the whole vocabulary, and each must become text, as it
// would with a real tokenizer. It is Qwen's in kind and size (pattern, special tokens,
// byte-pair merges), so that a text has about as many tokens and takes as long to load
// and encode. Two things differ: nothing is normalised, so that decoding gives back any
// UTF-8 text; and ids that Qwen leaves without a token have one.
//
// The special tokens begin at c's first end token, else they come last: all of Qwen's
// where they have room, else the three that a conversation needs.
func writeTokenizer(dir string, c Config, seed uint64) error {
	names, hidden := synthSpecials()
	first := c.VocabSize - 3
	if len(c.EOS) > 0 {
		first = int(c.EOS[0])
	}
	if c.VocabSize-first < len(names) {
		names = names[:3]
	}
	if first < 256 || first+len(names) > c.VocabSize {
		return fmt.Errorf("no room for a byte-level tokenizer: vocabulary of %d, special tokens from %d; give a tokenizer", c.VocabSize, first)
	}
	var added []addedToken
	for i, name := range names {
		added = append(added, addedToken{ID: first + i, Content: name, Special: i < hidden})
	}
	words := newBPE(c.VocabSize - len(names))
	for text := range lexicon(seed) {
		if words.full() {
			break
		}
		words.learn(text)
	}
	tokenizer, err := tokenizerJSON(words, added)
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

// tokenizerJSON is words and added tokens in the format of Hugging Face's tokenizers. The
// added ones are in the vocabulary too: only so may ordinary tokens follow them.
func tokenizerJSON(words *bpe, added []addedToken) ([]byte, error) {
	alphabet := byteAlphabet()
	spell := func(text string) string {
		letters := make([]rune, len(text))
		for i := range len(text) {
			letters[i] = alphabet[text[i]]
		}
		return string(letters)
	}
	var texts []string // by id
	for _, text := range words.tokens {
		texts = append(texts, spell(text))
	}
	for i, a := range added {
		texts = slices.Insert(texts, added[0].ID+i, a.Content)
	}
	var vocab, merges bytes.Buffer // by hand, in the order of ids
	for id, text := range texts {
		quoted, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		if id > 0 {
			vocab.WriteByte(',')
		}
		fmt.Fprintf(&vocab, "%s:%d", quoted, id)
	}
	for i, p := range words.merges {
		quoted, err := json.Marshal(spell(words.tokens[p[0]]) + " " + spell(words.tokens[p[1]])) // a space is never a letter
		if err != nil {
			return nil, err
		}
		if i > 0 {
			merges.WriteByte(',')
		}
		merges.Write(quoted)
	}
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
	return json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": synthPattern}, "behavior": "Isolated", "invert": false},
			byteLevel,
		}},
		"post_processor": byteLevel, "decoder": byteLevel,
		"model": map[string]any{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
			"vocab": json.RawMessage("{" + vocab.String() + "}"), "merges": json.RawMessage("[" + merges.String() + "]"),
		},
	})
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
