package token

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeFiles makes a folder with files of the given contents.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const smallTokenizer = `{"model":{"vocab":{"a":0,"b":1}},"added_tokens":[{"id":2,"content":"<|end|>","special":true},{"id":5,"content":"<tool>","special":false}]}`

func TestReadConfig(t *testing.T) {
	vocab, err := parseVocabulary([]byte(smallTokenizer))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Config
		err   string
	}{
		{"no files", nil, Config{}, ""},
		{
			"texts, objects and nulls",
			map[string]string{"tokenizer_config.json": `{"bos_token":null,"eos_token":{"content":"<|end|>","special":true},"pad_token":"b","model_max_length":1e30,"chat_template":"x"}`},
			Config{EOS: []int32{2}, Special: map[string]string{"eos_token": "<|end|>", "pad_token": "b"}, ChatTemplate: "x"},
			"",
		},
		{
			"generation_config comes first",
			map[string]string{
				"tokenizer_config.json":  `{"eos_token":"<|end|>"}`,
				"generation_config.json": `{"eos_token_id":[5,0],"top_p":0.9}`,
				"config.json":            `{"eos_token_id":1}`,
			},
			Config{EOS: []int32{5, 0}, Special: map[string]string{"eos_token": "<|end|>"}},
			"",
		},
		{
			"then config.json",
			map[string]string{"generation_config.json": `{"eos_token_id":null}`, "config.json": `{"eos_token_id":1}`},
			Config{EOS: []int32{1}},
			"",
		},
		{
			"the template's own file comes first",
			map[string]string{"tokenizer_config.json": `{"chat_template":"old"}`, "chat_template.jinja": "new"},
			Config{Special: map[string]string{}, ChatTemplate: "new"},
			"",
		},
		{
			"named templates",
			map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"tool_use","template":"t"},{"name":"default","template":"d"}]}`},
			Config{Special: map[string]string{}, ChatTemplate: "d"},
			"",
		},
		{"no default among the named", map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"rag","template":"t"}]}`}, Config{}, "default"},
		{"broken JSON", map[string]string{"tokenizer_config.json": `{"eos_token":`}, Config{}, "tokenizer_config.json"},
		{"a number for a text", map[string]string{"tokenizer_config.json": `{"eos_token":3}`}, Config{}, "eos_token"},
		{"an end token of another model", map[string]string{"tokenizer_config.json": `{"eos_token":"</s>"}`}, Config{}, "different models"},
		{"a negative id", map[string]string{"generation_config.json": `{"eos_token_id":-1}`}, Config{}, "eos_token_id"},
		{"an id too large", map[string]string{"generation_config.json": `{"eos_token_id":99999999999}`}, Config{}, "generation_config.json"},
		{"a template too long", map[string]string{"chat_template.jinja": strings.Repeat("x", maxTemplateBytes+1)}, Config{}, "more than the"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readConfig(writeFiles(t, c.files), vocab)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestReadConfigRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "config.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(dir, &vocabulary{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got error %v, want one that says it is not a regular file", err)
	}
}

func FuzzParseTokenizerConfig(f *testing.F) {
	f.Add([]byte(`{"eos_token":{"content":"</s>"},"chat_template":[{"name":"default","template":"x"}]}`))
	f.Add([]byte(`{"eos_token":null,"chat_template":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseTokenizerConfig(data)
		if err != nil {
			return
		}
		for name, text := range c.Special {
			if text == "" || !slices.Contains(specialNames(), name) {
				t.Errorf("a special token %q = %q", name, text)
			}
		}
	})
}

func FuzzParseEOS(f *testing.F) {
	f.Add([]byte(`{"eos_token_id":[1,2]}`))
	f.Add([]byte(`{"eos_token_id":1}`))
	f.Add([]byte(`{"eos_token_id":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, err := parseEOS(data)
		for _, id := range ids {
			if err == nil && (id < 0 || id > maxID) {
				t.Errorf("id %d was accepted", id)
			}
		}
	})
}
