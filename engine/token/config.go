package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// Config is what a model folder's small files say about special tokens and chats.
type Config struct {
	// EOS are the ids that end a generation, from the first of these files that
	// names any: generation_config.json, config.json, tokenizer_config.json. It may
	// be empty.
	EOS []int32
	// Special are the texts of named special tokens (bos_token, eos_token, ...) that
	// tokenizer_config.json gives; chat templates read them.
	Special map[string]string
	// ChatTemplate is the Jinja source of the chat template, from
	// chat_template.jinja or else tokenizer_config.json; empty when there is none.
	ChatTemplate string
}

// specialNames are the special tokens that Hugging Face's tokenizers name.
func specialNames() []string {
	return []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}
}

// readConfig reads the small files of a model folder, all of them optional.
func readConfig(dir string, vocab *vocabulary) (Config, error) {
	var c Config
	data, err := readFile(filepath.Join(dir, "tokenizer_config.json"), maxConfigBytes, true)
	if err != nil {
		return c, err
	}
	if data != nil {
		if c, err = parseTokenizerConfig(data); err != nil {
			return c, fmt.Errorf("tokenizer_config.json: %w", err)
		}
	}
	jinja, err := readFile(filepath.Join(dir, "chat_template.jinja"), maxTemplateBytes, true)
	if err != nil {
		return c, err
	}
	if jinja != nil {
		c.ChatTemplate = string(jinja)
	}
	for _, name := range []string{"generation_config.json", "config.json"} {
		data, err := readFile(filepath.Join(dir, name), maxConfigBytes, true)
		if err != nil {
			return c, err
		}
		if data == nil {
			continue
		}
		if c.EOS, err = parseEOS(data); err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
		if len(c.EOS) > 0 {
			return c, nil
		}
	}
	if text, ok := c.Special["eos_token"]; ok {
		id, ok := vocab.ids[text]
		if !ok {
			return c, fmt.Errorf("tokenizer_config.json: the eos_token is %q, which tokenizer.json doesn't have; the two files belong to different models", text)
		}
		c.EOS = []int32{id}
	}
	return c, nil
}

// parseTokenizerConfig reads a tokenizer_config.json. Unknown members are not
// errors: these files hold the settings of many programs.
func parseTokenizerConfig(data []byte) (Config, error) {
	c := Config{Special: map[string]string{}}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return c, err
	}
	for _, name := range specialNames() {
		text, err := parseToken(members[name])
		if err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
		if text != "" {
			c.Special[name] = text
		}
	}
	var err error
	if c.ChatTemplate, err = parseChatTemplate(members["chat_template"]); err != nil {
		return c, fmt.Errorf("chat_template: %w", err)
	}
	return c, nil
}

// parseToken reads a special token: a text, an object with its content, or null.
func parseToken(raw json.RawMessage) (string, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "", nil
	}
	if raw[0] == '{' {
		var added struct {
			Content string `json:"content"`
		}
		err := json.Unmarshal(raw, &added)
		return added.Content, err
	}
	var text string // null leaves it empty
	err := json.Unmarshal(raw, &text)
	return text, err
}

// parseChatTemplate reads a chat template: a text, a list of named ones of which
// "default" is taken, or null.
func parseChatTemplate(raw json.RawMessage) (string, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "", nil
	}
	if raw[0] != '[' {
		var source string
		err := json.Unmarshal(raw, &source)
		return source, err
	}
	var named []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return "", err
	}
	for _, t := range named {
		if t.Name == "default" {
			return t.Template, nil
		}
	}
	return "", fmt.Errorf("none of the %d templates is named \"default\"", len(named))
}

// parseEOS reads eos_token_id of a generation_config.json or config.json: a
// number, a list of them, or null.
func parseEOS(data []byte) ([]int32, error) {
	var file struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	raw := bytes.TrimSpace(file.EOS)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '[' {
		raw = append(append([]byte{'['}, raw...), ']')
	}
	var ids []int32
	if err := json.Unmarshal(raw, &ids); err != nil {
		return nil, fmt.Errorf("eos_token_id: %w", err)
	}
	for _, id := range ids {
		if id < 0 || id > maxID {
			return nil, fmt.Errorf("eos_token_id: %d is outside 0 to %d", id, maxID)
		}
	}
	return ids, nil
}
