package token

import "strings"

// nulRune stands for the byte 0 in byte-level vocabularies.
const nulRune = 'Ā' // U+0100

// byteLevelText translates a token of a byte-level vocabulary to the bytes that it
// stands for, bytes that aren't UTF-8 as U+FFFD. GPT-2's table gives printable
// Latin-1 characters to themselves, and the others, in order, to U+0100 and up.
// ok is false when token has a character outside the table.
func byteLevelText(token string) (text string, ok bool) {
	var out []byte
	for _, r := range token {
		b, ok := byteOf(r)
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return strings.ToValidUTF8(string(out), replacement), true
}

// byteOf inverts GPT-2's table for one character.
func byteOf(r rune) (byte, bool) {
	if r < 0x100 {
		return byte(r), printable(byte(r))
	}
	next := rune(0x100)
	for b := range 256 {
		if printable(byte(b)) {
			continue
		}
		if next == r {
			return byte(b), true
		}
		next++
	}
	return 0, false
}

// printable reports whether GPT-2's table maps b to the character of that number.
func printable(b byte) bool {
	return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE
}
