package token

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// templateCase is one case of testdata/templates.json; testdata/render.py writes it.
type templateCase struct {
	Name     string                     `json:"name"`
	Template string                     `json:"template"`
	Messages []json.RawMessage          `json:"messages"`
	Tools    []json.RawMessage          `json:"tools"`
	Generate bool                       `json:"generate"`
	Vars     map[string]json.RawMessage `json:"vars"`
	Want     string                     `json:"want"`
	Refused  string                     `json:"refused"` // the reason that Python gives
	Error    string                     `json:"error"`   // Python's type of error
}

func templateCases(t *testing.T) []templateCase {
	t.Helper()
	data, err := os.ReadFile("testdata/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []templateCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 50 {
		t.Fatalf("%d cases, want at least 50", len(cases))
	}
	return cases
}

func (c templateCase) conversation() Conversation {
	conv := Conversation{Tools: c.Tools, AddGenerationPrompt: c.Generate, Vars: c.Vars}
	for _, m := range c.Messages {
		conv.Messages = append(conv.Messages, Message{Extra: m})
	}
	return conv
}

func testSpecial() map[string]string {
	return map[string]string{"bos_token": "<s>", "eos_token": "</s>"}
}

func TestTemplatesRenderAsInPython(t *testing.T) {
	for _, c := range templateCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			tpl, err := NewTemplate(c.Template, testSpecial())
			if err != nil {
				t.Fatalf("NewTemplate: %v", err)
			}
			got, err := tpl.Render(c.conversation())
			var refused *RefusedError
			switch {
			case c.Refused != "":
				if !errors.As(err, &refused) || refused.Reason != c.Refused {
					t.Errorf("got error %v, want refused with %q", err, c.Refused)
				}
			case c.Error != "":
				if err == nil {
					t.Errorf("rendered %q, want an error as Python's %s", got, c.Error)
				}
			case err != nil:
				t.Errorf("Render: %v", err)
			case got != c.Want:
				t.Errorf("rendered\n got %q\nwant %q", got, c.Want)
			}
		})
	}
}
