package token

import (
	"regexp"
	"strings"
)

// prepareSource writes a template so that the Jinja library reads it as Python does:
// see inlineIfs, and it does to a template's white space what trim_blocks and
// lstrip_blocks mean in Python: the white space before a block that begins its
// line goes, and so does the line end right after a block. (The Jinja library has
// these settings, but strips before every block, wherever in the line it stands.)
// Line ends become \n, and the last one goes.
func prepareSource(source string) string {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	source = strings.TrimSuffix(source, "\n")
	var out strings.Builder
	lineStart := true // whether the text at hand begins a line
	for source != "" {
		at := nextTag(source)
		if at < 0 {
			out.WriteString(source)
			break
		}
		text, tag := source[:at], source[at:]
		n := tagLength(tag)
		tag, source = inlineIfs(tag[:n]), source[at+n:]
		block := tag[1] != '{'
		if block {
			text, tag = stripBefore(text, tag, lineStart)
		}
		out.WriteString(text)
		lineStart = false
		switch {
		case rawBegin.MatchString(tag):
			out.WriteString(tag)
			source = copyRaw(&out, source)
			continue
		case block && len(tag) > 4 && tag[len(tag)-3] == '+':
			tag = tag[:len(tag)-3] + tag[len(tag)-2:] // +%} keeps the line end
		case block && len(tag) > 4 && tag[len(tag)-3] != '-' && strings.HasPrefix(source, "\n"):
			source = source[1:]
			lineStart = true
		}
		out.WriteString(tag)
	}
	return out.String()
}

// stripBefore removes the blanks before a block that begins its line, unless the
// block says {%+, which goes too.
func stripBefore(text, tag string, lineStart bool) (string, string) {
	if tag[2] == '+' {
		return text, tag[:2] + tag[3:]
	}
	line := strings.LastIndexByte(text, '\n') + 1
	if (line > 0 || lineStart) && strings.Trim(text[line:], " \t\v\f") == "" {
		text = text[:line]
	}
	return text, tag
}

// nextTag finds the first {{, {% or {# in s; -1 without one.
func nextTag(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			return i
		}
	}
	return -1
}

// tagLength gives the length of the tag that s begins with, all of s when it has
// no end. A tag ends neither inside a text nor inside brackets.
func tagLength(s string) int {
	if s[1] == '#' {
		if end := strings.Index(s[2:], "#}"); end >= 0 {
			return 2 + end + 2
		}
		return len(s)
	}
	last := byte('%')
	if s[1] == '{' {
		last = '}'
	}
	open := 0
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case open == 0 && c == last && i+1 < len(s) && s[i+1] == '}':
			return i + 2
		case c == '\'' || c == '"':
			i += textLength(s[i:]) - 1
		case c == '(' || c == '[' || c == '{':
			open++
		case (c == ')' || c == ']' || c == '}') && open > 0:
			open--
		}
	}
	return len(s)
}

// textLength gives the length of the quoted text that s begins with.
func textLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}

var (
	rawBegin = regexp.MustCompile(`^\{%-?\s*raw\s*-?%\}$`)
	rawEnd   = regexp.MustCompile(`\{%[-+]?\s*endraw\s*[-+]?%\}`)
)

// copyRaw copies what follows a raw tag as it is, up to its end tag, and returns
// the rest.
func copyRaw(out *strings.Builder, source string) string {
	end := rawEnd.FindStringIndex(source)
	if end == nil {
		return source
	}
	out.WriteString(source[:end[0]])
	return source[end[0]:]
}
