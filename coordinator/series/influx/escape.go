package influx

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/paceline/paceline/coordinator/series"
)

// maxName bounds a name in bytes.
const maxName = 256

// checkName says whether a name may be a tag's value or be asked for. Line protocol
// has no way to write a backslash at a value's end, nor a line break.
func checkName(what, s string) error {
	switch {
	case len(s) > maxName:
		return fmt.Errorf("%s has %d bytes, more than %d: %w", what, len(s), maxName, series.ErrName)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s %q is not UTF-8: %w", what, s, series.ErrName)
	case strings.ContainsRune(s, '\\') || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return fmt.Errorf("%s %q has a backslash or a control character: %w", what, s, series.ErrName)
	}
	return nil
}

// quote makes a Flux string literal. It is the only way in which a string from
// outside comes into a query. Anything but plain characters is written as its bytes,
// among them the dollar sign, which would begin an interpolation.
func quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '$' || c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
