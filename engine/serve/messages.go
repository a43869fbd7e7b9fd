package serve

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/paceline/paceline/engine/token"
)

// maxMessages bounds a conversation; the context ends it long before.
const maxMessages = 4096

// messages reads the turns of a conversation.
func messages(o *object) []token.Message {
	var list []json.RawMessage
	if !o.has("messages") {
		o.fail(refuse("messages", "messages: missing: give at least one, such as [{\"role\": \"user\", \"content\": \"Hello\"}]"))
	}
	if !o.read("messages", &list, "a list of messages") {
		return nil
	}
	if len(list) == 0 || len(list) > maxMessages {
		o.fail(refuse("messages", "messages: %d of them: want 1 to %d", len(list), maxMessages))
		return nil
	}
	out := make([]token.Message, 0, len(list))
	for i, raw := range list {
		m, f := message(raw, fmt.Sprintf("messages[%d]", i))
		if f != nil {
			o.fail(f)
			return nil
		}
		out = append(out, m)
	}
	return out
}

// message reads one turn; at names it in failures.
func message(raw json.RawMessage, at string) (token.Message, *failure) {
	o := parseObject(raw)
	if o.failure != nil {
		return token.Message{}, refuse(at, "%s: want a message such as {\"role\": \"user\", \"content\": \"Hello\"}, not %s", at, shown(raw))
	}
	extra := map[string]json.RawMessage{}
	known := []string{"content", "name", "reasoning_content", "refusal", "role", "tool_call_id", "tool_calls"}
	for _, name := range o.names() {
		switch name {
		case "role", "content":
		case "name", "reasoning_content", "tool_call_id", "tool_calls":
			extra[name] = o.members[name]
		default: // refusal too: clients send it back as null, which is not here any more
			f := unknown(name, known)
			f.param = at + "." + name
			f.message = at + ": " + f.message
			return token.Message{}, f
		}
	}
	m := token.Message{Role: o.text("role")}
	switch {
	case o.failure != nil, m.Role == "":
		return m, refuse(at+".role", "%s.role: want system, developer, user, assistant or tool", at)
	case m.Role == "developer":
		m.Role = "system" // OpenAI's newer word; templates know the older
	case m.Role != "system" && m.Role != "user" && m.Role != "assistant" && m.Role != "tool":
		return m, refuse(at+".role", "%s.role %q: want system, developer, user, assistant or tool", at, shown([]byte(m.Role)))
	}
	var f *failure
	if m.Content, f = content(o, at+".content"); f != nil {
		return m, f
	}
	if !o.has("content") && extra["tool_calls"] == nil {
		return m, refuse(at+".content", "%s.content: missing", at)
	}
	if len(extra) > 0 {
		b, err := json.Marshal(extra)
		if err != nil {
			return m, refuse(at, "%s: %v", at, err)
		}
		m.Extra = b
	}
	return m, nil
}

// content is a text, or a list of parts that are texts.
func content(o *object, at string) (string, *failure) {
	raw := o.members["content"]
	if len(raw) == 0 {
		return "", nil
	}
	if raw[0] != '[' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return "", refuse(at, "%s: want a text or a list of parts, not %s", at, shown(raw))
		}
		return s, nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return "", refuse(at, "%s: want parts such as {\"type\": \"text\", \"text\": \"Hello\"}, not %s", at, shown(raw))
	}
	var b strings.Builder
	for i, p := range parts {
		if p.Type != "text" || p.Text == nil {
			return "", refuse(fmt.Sprintf("%s[%d]", at, i), "%s[%d]: a part of type %q: this engine reads text only", at, i, shown([]byte(p.Type)))
		}
		b.WriteString(*p.Text)
	}
	return b.String(), nil
}
