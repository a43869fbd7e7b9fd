package token

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The shipped model, and what Hugging Face's transformers make of it;
// engine/model/train writes both.
const (
	modelFolder   = "../model/robotstories"
	goldensFolder = "../model/testdata/goldens"
)

type tokenizeGoldens struct {
	Tokenizer string `json:"tokenizer_sha256"`
	Cases     []struct {
		Text    string  `json:"text"`
		IDs     []int32 `json:"ids"`
		Decoded string  `json:"decoded"`
		Plain   string  `json:"decoded_no_special"`
	} `json:"cases"`
}

type chatGoldens struct {
	Tokenizer string `json:"tokenizer_sha256"`
	Cases     []struct {
		Name     string            `json:"name"`
		Messages []json.RawMessage `json:"messages"`
		Generate bool              `json:"add_generation_prompt"`
		Text     string            `json:"text"`
		IDs      []int32           `json:"ids"`
	} `json:"cases"`
}

func readModelGoldens(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(goldensFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func rawMessages(raw []json.RawMessage) []Message {
	messages := make([]Message, len(raw))
	for i := range raw {
		messages[i].Extra = raw[i]
	}
	return messages
}

func TestTheShippedModelsChatsEqualTransformers(t *testing.T) {
	load := func([]byte) (codec, error) { return &echo{}, nil }
	tok, err := open(modelFolder, load)
	if err != nil {
		t.Fatal(err)
	}
	var g chatGoldens
	readModelGoldens(t, "chat.json", &g)
	if len(g.Cases) == 0 {
		t.Fatal("no cases")
	}
	if tok.Digest() != g.Tokenizer {
		t.Errorf("the goldens are of another tokenizer.json: %s, not %s", g.Tokenizer, tok.Digest())
	}
	for _, c := range g.Cases {
		got, err := tok.Chat(Conversation{Messages: rawMessages(c.Messages), AddGenerationPrompt: c.Generate})
		if err != nil || got != c.Text {
			t.Errorf("%s: rendered\n     %q, %v\nwant %q", c.Name, got, err, c.Text)
		}
	}
}
