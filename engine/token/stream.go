package token

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Decoder is what a Stream needs of a tokenizer.
type Decoder interface {
	// Decode gives the text of ids; see [Tokenizer.Decode].
	Decode(ids []int32, skipSpecial bool) (string, error)
	// Silent reports whether id never adds text: an id that the tokenizer doesn't
	// know, or a special token when those are skipped.
	Silent(id int32, skipSpecial bool) bool
}

const (
	// replacement is what decoders write for bytes that are not (yet) UTF-8.
	replacement = string(utf8.RuneError)
	// heldRunes is how many replacement characters at the end of the text may
	// still become a character with the next token. A character has at most four
	// bytes, so at most three of them can be there without the last; byte-level
	// decoders write one replacement character for all of them, byte-fallback
	// decoders one for each.
	heldRunes = 3
	// A window longer than windowMax ids is cut to its last windowKeep. Every id
	// in it has at least one byte; the cut may garble the first three of them, and
	// the characters held back are at most nine, so windowKeep is enough.
	windowMax  = 48
	windowKeep = 16
)

// Stream turns the ids of one generation into pieces of text as they come. Every
// piece is valid UTF-8, and the pieces joined, with Flush's last, are the decoded
// text of all ids. A character split over several tokens comes out with its last
// one.
//
// That holds for decoders that never change text already decoded except for its
// last three characters: byte-level ones (GPT-2's, Qwen's, Llama 3's) and
// byte-fallback ones on text that is valid UTF-8.
//
// The zero Stream is not usable. A Stream serves one goroutine at a time.
type Stream struct {
	dec         Decoder
	skipSpecial bool

	window []int32 // the last ids; enough of them to decode the next one right
	sent   int     // bytes of the window's text that were given out
}

// NewStream starts a stream of dec's text; skipSpecial leaves special tokens out.
func NewStream(dec Decoder, skipSpecial bool) *Stream {
	return &Stream{dec: dec, skipSpecial: skipSpecial}
}

// Push takes the next id and returns the text that is certain now, which may be
// empty. After an error the Stream must not be used any more.
func (s *Stream) Push(id int32) (string, error) {
	if s.dec.Silent(id, s.skipSpecial) {
		return "", nil
	}
	s.window = append(s.window, id)
	text, err := s.decode()
	if err != nil {
		return "", err
	}
	piece := s.take(text[:certain(text)])
	if len(s.window) > windowMax {
		s.window = append(s.window[:0], s.window[len(s.window)-windowKeep:]...)
		if text, err = s.decode(); err != nil {
			return "", err
		}
		s.sent = certain(text)
	}
	return piece, nil
}

// Flush ends the stream: it returns the text still held back, where an unfinished
// character shows as U+FFFD, and makes the Stream ready for another generation.
func (s *Stream) Flush() (string, error) {
	if len(s.window) == 0 {
		return "", nil
	}
	text, err := s.decode()
	if err != nil {
		return "", err
	}
	piece := s.take(text)
	s.window, s.sent = s.window[:0], 0
	return piece, nil
}

func (s *Stream) decode() (string, error) {
	text, err := s.dec.Decode(s.window, s.skipSpecial)
	if err != nil {
		return "", fmt.Errorf("decode the last %d tokens of a stream: %w", len(s.window), err)
	}
	return text, nil
}

// take gives out what of text was not given out before.
func (s *Stream) take(text string) string {
	from := s.sent
	if from >= len(text) {
		return ""
	}
	// Only a decoder that rewrote earlier text can leave this inside a character.
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	s.sent = len(text)
	return text[from:]
}

// certain returns how many bytes of text no further token can change.
func certain(text string) int {
	end := len(text)
	for range heldRunes {
		if !strings.HasSuffix(text[:end], replacement) {
			break
		}
		end -= len(replacement)
	}
	return end
}
