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
	// maxOdd is how many ids in a row may leave the text unlike what was given out.
	maxOdd = utf8.UTFMax
	// A window longer than windowMax ids is cut. Where its text was never whole
	// characters, the last windowKeep ids stay: the cut may garble the first three
	// of them, and the characters held back have at most nine.
	windowMax  = 48
	windowKeep = 16
)

// Stream turns the ids of one generation into pieces of text as they come. Every
// piece is valid UTF-8, and the pieces joined, with Flush's last, are the decoded
// text of all ids. A character split over several tokens comes out with its last
// one.
//
// That holds for byte-level decoders (GPT-2's, Qwen's, Llama 3's) with any ids, and
// for byte-fallback ones (Llama 2's) with ids of valid text: those turn characters
// already decoded into U+FFFD when broken bytes follow them.
//
// The zero Stream is not usable. A Stream serves one goroutine at a time.
type Stream struct {
	dec         Decoder
	skipSpecial bool

	window []int32 // the last ids; enough of them to decode the next one right
	given  string  // what was given out of the window's text
	odd    int     // ids in a row after which the text didn't begin with given
	// clean is how many of the window's ids were whole characters when the last
	// piece was given out, and before how many when the one before it was. A cut
	// at before leaves a piece as context: some decoders treat a text's first
	// token differently.
	clean, before int
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
	end := certain(text)
	piece, ok := s.take(text, end)
	if !ok {
		return "", nil
	}
	if piece != "" && end == len(text) {
		s.before, s.clean = s.clean, len(s.window)
	}
	if len(s.window) > windowMax {
		if err := s.cut(end); err != nil {
			return "", err
		}
	}
	return piece, nil
}

// cut shortens the window, of whose text the first end bytes are certain.
func (s *Stream) cut(end int) error {
	at := s.before
	if at == 0 {
		at = len(s.window) - windowKeep
	}
	s.window = append(s.window[:0], s.window[at:]...)
	s.clean, s.before = max(0, s.clean-at), 0
	text, err := s.decode()
	if err != nil {
		return err
	}
	// More than end may have been given out: three bytes that showed as two
	// replacement characters can turn out to be one that was meant.
	s.given = text[:min(len(text), certain(text)+max(0, len(s.given)-end))]
	return nil
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
	s.odd = maxOdd
	piece, _ := s.take(text, len(text))
	*s = Stream{dec: s.dec, skipSpecial: s.skipSpecial, window: s.window[:0]}
	return piece, nil
}

func (s *Stream) decode() (string, error) {
	text, err := s.dec.Decode(s.window, s.skipSpecial)
	if err != nil {
		return "", fmt.Errorf("decode the last %d tokens of a stream: %w", len(s.window), err)
	}
	return text, nil
}

// take gives out what of text, up to end, was not given out before. It reports
// false when text doesn't begin with what was: while a byte-fallback decoder waits
// for the last byte of a character it shows the ones before it as broken, too.
func (s *Stream) take(text string, end int) (string, bool) {
	if !strings.HasPrefix(text, s.given) {
		if s.odd++; s.odd < maxOdd {
			return "", false
		}
		// Those bytes are broken for good. What was given out stays; go on after it.
		from := min(len(s.given), len(text))
		for from < len(text) && !utf8.RuneStart(text[from]) {
			from++
		}
		s.given = text[:from]
	}
	s.odd = 0
	if end <= len(s.given) {
		return "", true
	}
	piece := text[len(s.given):end]
	s.given = text[:end]
	return piece, true
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
