package token

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
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

func render(t *testing.T, source string, c Conversation) (string, error) {
	t.Helper()
	tpl, err := NewTemplate(source, testSpecial())
	if err != nil {
		return "", err
	}
	return tpl.Render(c)
}

func TestTemplatesThatAreTooMuchAreRefused(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"a long source", strings.Repeat("x", maxTemplateBytes+1), "more than the limit"},
		{"deep brackets", "{{ " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200) + " }}", "nested deeper"},
		{"very deep brackets", "{{ " + strings.Repeat("(", 250_000) + " }}", "nested deeper"},
		{"a long chain", "{{ " + strings.Repeat("1 if 0 else ", 20_000) + "2 }}", "read the chat template"},
		{"deep blocks", strings.Repeat("{% if true %}", 200) + strings.Repeat("{% endif %}", 200), "nested deeper"},
		{"a file", "{% include '/etc/passwd' %}", "include"},
		{"another template", "{% extends 'base' %}", "extends"},
		{"repetition", "{{ 'a' * 1000000000 }}", "not supported"},
		{"a recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "not supported"},
		{"many rounds", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "steps"},
		{"a long range", "{% for a in range(100000000) %}{% endfor %}", "more than 100000 numbers"},
		{"a macro without end", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "deep"},
		{"text that doubles", "{% set ns = namespace(s='ab') %}{% for a in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "more than"},
		{"text that doubles in a variable", "{% set s = 'ab' %}" + strings.Repeat("{% set s = s ~ s %}", 60), "more than"},
		{"replacing that doubles", "{% set s = 'aaaaaaaa' %}" + strings.Repeat("{% set s = s.replace('a', 'aaaaaaaa') %}", 60), "more than"},
		{"a long text", "{% for a in range(9999) %}{{ '" + strings.Repeat("x", 4000) + "' }}{% endfor %}", "longer than the limit"},
		{"an unfinished block", "{% if true %}x", "read the chat template"},
		{"an unfinished text", "{{ 'a }}", "read the chat template"},
		{"an unknown block", "{% frobnicate %}", "frobnicate"},
		{"an unknown filter", "{{ 'a'|frobnicate }}", "frobnicate"},
		{"half an inline if", "{{ ('a' if) }}", "read the chat template"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := render(t, c.source, Conversation{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("rendered %.60q, error %.300v; want an error with %q", got, err, c.want)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestMessagesMembersAndVariables(t *testing.T) {
	source := "{% for m in messages %}{{ m.role }}:{{ m.content }}:{{ m.name }};{% endfor %}{{ style }}{{ tools|length if tools else 0 }}"
	got, err := render(t, source, Conversation{
		Messages: []Message{
			{Role: "user", Content: "a"},
			{Role: "tool", Content: "b", Extra: json.RawMessage(`{"name":"clock"}`)},
			{Role: "tool", Content: "c", Extra: json.RawMessage(`{"content":"d"}`)},
		},
		Tools: []json.RawMessage{json.RawMessage(`{"x":1}`)},
		Vars:  map[string]json.RawMessage{"style": json.RawMessage(`"short"`)},
	})
	if want := "user:a:;tool:b:clock;tool:d:;short1"; err != nil || got != want {
		t.Errorf("rendered %q, %v; want %q", got, err, want)
	}
	for _, c := range []struct {
		name string
		conv Conversation
		want string
	}{
		{"a message's members", Conversation{Messages: []Message{{Extra: json.RawMessage(`[1]`)}}}, "message 0"},
		{"a tool", Conversation{Tools: []json.RawMessage{json.RawMessage(`{`)}}, "tool 0"},
		{"a variable", Conversation{Vars: map[string]json.RawMessage{"v": json.RawMessage(`1 2`)}}, "variable v"},
		{"depth", Conversation{Tools: []json.RawMessage{json.RawMessage(strings.Repeat("[", 9999))}}, "nested deeper"},
	} {
		if _, err := render(t, source, c.conv); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// A template is used by all requests of a server at once.
func TestATemplateServesManyAtOnce(t *testing.T) {
	cases := templateCases(t)
	var users sync.WaitGroup
	for _, c := range cases[:12] {
		tpl, err := NewTemplate(c.Template, testSpecial())
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			users.Go(func() {
				for range 5 {
					if got, err := tpl.Render(c.conversation()); err != nil || got != c.Want {
						t.Errorf("%s: %v, %q", c.Name, err, got)
						return
					}
				}
			})
		}
	}
	users.Wait()
}

func FuzzTemplate(f *testing.F) {
	data, err := os.ReadFile("testdata/templates.json")
	if err != nil {
		f.Fatal(err)
	}
	var cases []templateCase
	if err := json.Unmarshal(data, &cases); err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		f.Add(c.Template, string(c.Messages[0]))
	}
	f.Add("{% for x in messages %}{% for y in x %}{{ y[::-1] }}{% endfor %}{% endfor %}", `{"role":"a","content":null}`)
	f.Add("{%- raw -%}{% endraw +%}\n{{ 'x", `{}`)
	f.Fuzz(func(t *testing.T, source, message string) {
		tpl, err := NewTemplate(source, testSpecial())
		if err != nil {
			return
		}
		text, err := tpl.Render(Conversation{Messages: []Message{{Role: "user", Extra: json.RawMessage(message)}}})
		if err == nil && len(text) > maxRenderedBytes {
			t.Errorf("rendered %d bytes", len(text))
		}
	})
}
