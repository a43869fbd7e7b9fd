package format

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain makes a text safe for a terminal and one line: names and reasons come from
// suites, servers and machines. Control and formatting characters become spaces, and
// two marks in a row are set apart, because CI runners take "##[" anywhere in a line,
// and "##vso[" likewise, for a command.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == 0x2028 || c == 0x2029 || c&0xfffe == 0xfffe {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "�"))
	for strings.Contains(s, "##") {
		s = strings.ReplaceAll(s, "##", "# #")
	}
	return s
}

// inert keeps lines of a text that people read in a job's log from being workflow
// commands, which are lines that begin with two colons.
func inert(text string) string {
	if !strings.Contains(text, "::") {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		rest := strings.TrimLeftFunc(l, unicode.IsSpace)
		if strings.HasPrefix(rest, "::") {
			lines[i] = l[:len(l)-len(rest)] + ": " + rest[1:]
		}
	}
	return strings.Join(lines, "\n")
}

// clip shortens a text to so many bytes, with "…" where something is gone.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const dots = "…"
	cut := max(most-len(dots), 0)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + dots
}

func short(commit string) string { return cutRunes(commit, 10) }

func cutRunes(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
