package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// ErrNoChatTemplate is returned for a model whose folder has no chat template.
var ErrNoChatTemplate = errors.New("the model has no chat template (neither chat_template.jinja nor chat_template in tokenizer_config.json): give it a plain prompt, or add a template")

// maxRenderedBytes is the longest text that a template may render: several times
// what the longest context holds.
const maxRenderedBytes = 16 << 20

// Message is one turn of a conversation.
type Message struct {
	Role    string // "system", "user", "assistant", "tool"
	Content string
	// Extra are further members, a JSON object: tool_calls, name, ... A member
	// named role or content takes the place of the field above. nil: none. Of a
	// null content most templates make the word None, as in Python: leave it out.
	Extra json.RawMessage
}

// Conversation is what a chat template renders.
type Conversation struct {
	Messages []Message
	Tools    []json.RawMessage // what the model may call, each a JSON object
	// AddGenerationPrompt ends the text with the start of the assistant's turn.
	AddGenerationPrompt bool
	// Vars are further variables of the template, as JSON (enable_thinking, ...).
	Vars map[string]json.RawMessage
}

// Template is a chat template: a Jinja source, rendered as Hugging Face's
// transformers render it (trim_blocks, lstrip_blocks, tojson without escapes,
// raise_exception, loop controls). It may be used by many goroutines at once.
//
// It gives the template no file, no clock and no random numbers: the same
// conversation always renders the same. strftime_now is therefore undefined, and
// templates that ask for it take the date that they name themselves. Not
// supported, with an error when the template is read: inheritance, includes and
// imports, recursive loops, repetition with *, and powers.
type Template struct {
	program *exec.Template
	special map[string]string
}

// NewTemplate reads a template of at most 256 KiB; special are the named special
// tokens that it may use ([Config].Special).
func NewTemplate(source string, special map[string]string) (t *Template, err error) {
	defer recovered(&err, "read the chat template")
	if len(source) > maxTemplateBytes {
		return nil, fmt.Errorf("read the chat template: it has %d bytes, more than the limit of %d", len(source), maxTemplateBytes)
	}
	settings := config.New()
	settings.KeepTrailingNewline = true
	source = prepareSource(source)
	if err := checkTokens(source, settings); err != nil {
		return nil, fmt.Errorf("read the chat template: %w", err)
	}
	program, err := exec.NewTemplate("chat template", settings, onlySource(source), environment())
	if err != nil {
		// The library's outermost error quotes the whole source.
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return nil, fmt.Errorf("read the chat template: %w", shortened(err))
	}
	return &Template{program: program, special: special}, nil
}

// Render gives the text of a conversation. A conversation that the template
// refuses (raise_exception) is a [*RefusedError].
func (t *Template) Render(c Conversation) (text string, err error) {
	defer recovered(&err, "render the chat template")
	state := newRendering()
	vars, err := t.variables(state, c)
	if err != nil {
		return "", fmt.Errorf("render the chat template: %w", err)
	}
	vars[stateName] = state
	out := &limitedWriter{left: maxRenderedBytes}
	if err := t.program.Execute(out, exec.NewContext(vars)); err != nil {
		if state.cause != nil { // without the library's long account of the way there
			err = state.cause
		}
		var refused *RefusedError
		if errors.As(err, &refused) {
			return "", refused
		}
		return "", fmt.Errorf("render the chat template: %w", shortened(err))
	}
	return out.text.String(), nil
}

// variables makes the template's variables of a conversation.
func (t *Template) variables(state *rendering, c Conversation) (map[string]any, error) {
	messages := make(list, 0, len(c.Messages))
	for i, m := range c.Messages {
		message := object{"role": m.Role, "content": m.Content}
		order := []string{"role", "content"}
		if m.Extra != nil {
			extra, err := state.fromJSON(m.Extra)
			if err != nil {
				return nil, fmt.Errorf("message %d: %w", i, err)
			}
			members, ok := extra.(object)
			if !ok {
				return nil, fmt.Errorf("message %d: its further members are not a JSON object", i)
			}
			for _, name := range state.names(members) {
				if _, known := message[name]; !known {
					order = append(order, name)
				}
				message[name] = members[name]
			}
		}
		state.setNames(message, order)
		messages = append(messages, message)
	}
	vars := map[string]any{
		"messages":              messages,
		"add_generation_prompt": c.AddGenerationPrompt,
		"tools":                 null(""),
		"documents":             null(""),
	}
	if c.Tools != nil {
		tools := make(list, 0, len(c.Tools))
		for i, raw := range c.Tools {
			tool, err := state.fromJSON(raw)
			if err != nil {
				return nil, fmt.Errorf("tool %d: %w", i, err)
			}
			tools = append(tools, tool)
		}
		vars["tools"] = tools
	}
	for name, text := range t.special {
		vars[name] = text
	}
	for name, raw := range c.Vars {
		value, err := state.fromJSON(raw)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		vars[name] = value
	}
	return vars, nil
}

// RefusedError says that a template refused a conversation, in the template's own
// words.
type RefusedError struct{ Reason string }

// Error gives the template's reason.
func (e *RefusedError) Error() string {
	return "the model's chat template refuses this conversation: " + e.Reason
}

// recovered turns a panic of the Jinja library into an error: templates come with
// models, and a broken one must not end the program.
func recovered(err *error, doing string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: the Jinja library gave up on it: %v", doing, p)
	}
}

// shortened cuts an error's text: the library's errors quote values whole.
func shortened(err error) error {
	const most = 600
	text := err.Error()
	if len(text) <= most {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:most/2], "") + " ... " + strings.ToValidUTF8(text[len(text)-most/2:], ""))
}

// limitedWriter collects text up to a limit.
type limitedWriter struct {
	text strings.Builder
	left int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, fmt.Errorf("the text is longer than the limit of %d bytes", maxRenderedBytes)
	}
	w.left -= len(p)
	return w.text.Write(p)
}
