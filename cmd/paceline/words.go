package main

import (
	"errors"
	"strings"
)

// shellWords splits a command as a POSIX shell does, quotes and backslashes and
// nothing else: no variables, no pipes. Whoever needs those writes sh -c '…'.
func shellWords(s string) ([]string, error) {
	var out []string
	var word strings.Builder
	in := false // a word has begun, if only by empty quotes
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("a single quote has no end")
			}
			word.WriteString(s[i+1 : i+1+end])
			i += end + 1
			in = true
		case c == '"':
			var ok bool
			if i, ok = doubleQuoted(s, i+1, &word); !ok {
				return nil, errors.New("a double quote has no end")
			}
			in = true
		case c == '\\':
			if i++; i == len(s) {
				return nil, errors.New("a backslash stands at the end")
			}
			word.WriteByte(s[i])
			in = true
		case c == ' ' || c == '\t' || c == '\n':
			if in {
				out = append(out, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, word.String())
	}
	return out, nil
}

// doubleQuoted takes text up to a closing double quote and gives where that is.
func doubleQuoted(s string, i int, to *strings.Builder) (int, bool) {
	for ; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i, true
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\"\\$`", s[i+1]) >= 0:
			i++
		}
		to.WriteByte(s[i])
	}
	return i, false
}

// quoteWord writes a word so that a shell reads it back.
func quoteWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\n'\"$&|;<>()*?\\`{}[]#~!") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
