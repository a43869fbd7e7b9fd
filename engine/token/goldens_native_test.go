//go:build native

package token

import (
	"slices"
	"testing"
)

func TestTheShippedModelsIDsEqualTransformers(t *testing.T) {
	tok := openTest(t, modelFolder)
	var g tokenizeGoldens
	readModelGoldens(t, "tokenize.json", &g)
	if len(g.Cases) == 0 {
		t.Fatal("no cases")
	}
	if tok.Digest() != g.Tokenizer {
		t.Errorf("the goldens are of another tokenizer.json: %s, not %s", g.Tokenizer, tok.Digest())
	}
	for _, c := range g.Cases {
		for skip, want := range map[bool]string{false: c.Decoded, true: c.Plain} {
			if got, err := tok.Decode(c.IDs, skip); err != nil || got != want {
				t.Errorf("Decode of the ids of %.60q, special tokens skipped %v:\n got %q, %v\nwant %q", c.Text, skip, got, err, want)
			}
			checkStream(t, tok, c.IDs, skip)
		}
		got, err := tok.Encode(c.Text, false)
		if err != nil || !slices.Equal(got, c.IDs) {
			t.Errorf("Encode(%.60q) = %v, %v; want %v", c.Text, got, err, c.IDs)
		}
	}
}

func TestTheShippedModelsChatsHaveTheIDsOfTransformers(t *testing.T) {
	tok := openTest(t, modelFolder)
	var g chatGoldens
	readModelGoldens(t, "chat.json", &g)
	for _, c := range g.Cases {
		text, err := tok.Chat(Conversation{Messages: rawMessages(c.Messages), AddGenerationPrompt: c.Generate})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if got, err := tok.Encode(text, false); err != nil || !slices.Equal(got, c.IDs) {
			t.Errorf("%s: ids %v, %v; want %v", c.Name, got, err, c.IDs)
		}
	}
}
