package token

import "strings"

// The Jinja library reads "a if c else b" only as a whole tag. In Python it may
// stand in brackets, as an argument, and in a chain. Here it is written so that the
// library reads it everywhere:
//
//	((c) and [a] or [b])[0]
//
// A list with one value is true, and "and" and "or" look at no more than they need,
// so exactly one of a and b is evaluated and the result is its value.

// inlineIfs rewrites the inline ifs of a tag, {{ }} or {% %}.
func inlineIfs(tag string) string {
	if len(tag) < 4 || tag[1] == '#' || !strings.HasSuffix(tag, "}") {
		return tag
	}
	from, to := 2, len(tag)-2
	if tag[from] == '-' || tag[from] == '+' {
		from++
	}
	if to > from && (tag[to-1] == '-' || tag[to-1] == '+') {
		to--
	}
	if from > to {
		return tag
	}
	inner := lowerNone(tag[from:to])
	// Beyond these the library, or checkTokens before it, refuses the template.
	if deepest(inner) > maxDepth || strings.Count(inner, "else") > maxDepth {
		return tag[:from] + inner + tag[to:]
	}
	switch {
	case tag[1] == '{':
		inner = rewriteItem(inner)
	case strings.HasPrefix(strings.TrimSpace(inner), "set "):
		if at := assignment(inner); at >= 0 {
			inner = rewriteBrackets(inner[:at+1]) + rewriteItem(inner[at+1:])
		}
	default: // "if" begins a block, and filters a loop
		inner = rewriteBrackets(inner)
	}
	return tag[:from] + inner + tag[to:]
}

// lowerNone writes None as none: the library takes the first for undefined, and
// the second is a variable of ours.
func lowerNone(s string) string {
	if !strings.Contains(s, "None") {
		return s
	}
	out := []byte(s)
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' || s[i] == '"':
			i += textLength(s[i:]) - 1
		case isWord(s, i, "None"):
			out[i] = 'n'
		}
	}
	return string(out)
}

// assignment finds the = of a set block; -1 without one.
func assignment(s string) int {
	at := -1
	scan(s, func(i int) bool {
		if isAssign(s, i) {
			at = i
		}
		return at < 0
	})
	return at
}

// isAssign reports whether s[i] is an = that is no part of a comparison.
func isAssign(s string, i int) bool {
	return s[i] == '=' && (i+1 == len(s) || s[i+1] != '=') && (i == 0 || !strings.ContainsRune("=!<>", rune(s[i-1])))
}

// scan calls at for the places of s that lie neither in texts nor in brackets;
// opening brackets and quotes are among them. It ends when at returns false.
func scan(s string, at func(i int) bool) {
	for i := 0; i < len(s); i++ {
		if !at(i) {
			return
		}
		switch s[i] {
		case '\'', '"':
			i += textLength(s[i:]) - 1
		case '(', '[', '{':
			i += bracketLength(s[i:]) - 1
		}
	}
}

// bracketLength gives the length of the bracketed part that s begins with.
func bracketLength(s string) int {
	open := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\'', '"':
			i += textLength(s[i:]) - 1
		case '(', '[', '{':
			open++
		case ')', ']', '}':
			if open--; open == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// deepest says how deep the brackets of s are nested.
func deepest(s string) int {
	open, most := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\'', '"':
			i += textLength(s[i:]) - 1
		case '(', '[', '{':
			open++
			most = max(most, open)
		case ')', ']', '}':
			open--
		}
	}
	return most
}

// rewriteBrackets rewrites what lies inside the brackets of s.
func rewriteBrackets(s string) string {
	var out strings.Builder
	done := 0
	scan(s, func(i int) bool {
		if s[i] != '(' && s[i] != '[' && s[i] != '{' {
			return true
		}
		n := bracketLength(s[i:])
		out.WriteString(s[done : i+1])
		out.WriteString(rewriteList(s[i+1 : max(i+1, i+n-1)]))
		done = max(i+1, i+n-1)
		return true
	})
	out.WriteString(s[done:])
	return out.String()
}

// rewriteList rewrites the parts of what stands between brackets: items, members,
// arguments.
func rewriteList(s string) string {
	var out strings.Builder
	done := 0
	scan(s, func(i int) bool {
		if s[i] == ',' || s[i] == ':' || isAssign(s, i) {
			out.WriteString(rewriteItem(s[done:i]))
			out.WriteByte(s[i])
			done = i + 1
		}
		return true
	})
	out.WriteString(rewriteItem(s[done:]))
	return out.String()
}

// rewriteItem rewrites one expression.
func rewriteItem(s string) string {
	then := word(s, "if")
	if then < 0 {
		return rewriteBrackets(s)
	}
	value, condition, other := s[:then], s[then+2:], " no_alternative "
	if at := word(condition, "else"); at >= 0 {
		condition, other = condition[:at], rewriteItem(condition[at+4:])
	}
	if strings.TrimSpace(value) == "" || strings.TrimSpace(condition) == "" || strings.TrimSpace(other) == "" {
		return rewriteBrackets(s) // not an inline if: let the library say what is wrong
	}
	return " ((" + rewriteBrackets(condition) + ") and [" + rewriteBrackets(value) + "] or [" + other + "])[0] "
}

// word finds w as a word of s, outside texts and brackets; -1 without one.
func word(s, w string) int {
	at := -1
	scan(s, func(i int) bool {
		if isWord(s, i, w) {
			at = i
		}
		return at < 0
	})
	return at
}

// isWord reports whether the word w stands at s[i].
func isWord(s string, i int, w string) bool {
	return strings.HasPrefix(s[i:], w) && (i == 0 || !inWord(s[i-1])) && (i+len(w) == len(s) || !inWord(s[i+len(w)]))
}

func inWord(c byte) bool {
	return c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
