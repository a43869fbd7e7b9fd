package token

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// pieces is a decoder whose token i is the bytes pieces[i]. Ids outside add
// nothing; specials are silent when special tokens are skipped.
type pieces struct {
	pieces   []string
	specials []int32
	lossy    func(bytes string) string
	fail     error
}

func (d *pieces) Decode(ids []int32, skipSpecial bool) (string, error) {
	var b strings.Builder
	for _, id := range ids {
		if !d.Silent(id, skipSpecial) {
			b.WriteString(d.pieces[id])
		}
	}
	return d.lossy(b.String()), d.fail
}

func (d *pieces) Silent(id int32, skipSpecial bool) bool {
	return id < 0 || int(id) >= len(d.pieces) || skipSpecial && slices.Contains(d.specials, id)
}

// eachByte writes one U+FFFD for each byte that isn't UTF-8.
func eachByte(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

// eachPrefix writes one U+FFFD for the longest beginning of a character, as
// Rust's library and most decoders do.
func eachPrefix(s string) string {
	var b strings.Builder
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			for n < len(s) && n < 3 && prefixOfRune(s[:n+1]) {
				n++
			}
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// prefixOfRune reports whether s is the beginning of some character.
func prefixOfRune(s string) bool {
	for _, tail := range []string{"\x80", "\x90", "\xa0", "\xbf", "\x80\x80", "\x90\x80", "\xa0\x80", "\xbf\x80", "\x80\x80\x80", "\x90\x80\x80"} {
		if r, n := utf8.DecodeRuneInString(s + tail); r != utf8.RuneError && n == len(s)+len(tail) {
			return true
		}
	}
	return false
}

func allBytes() []string {
	all := make([]string, 256)
	for i := range all {
		all[i] = string([]byte{byte(i)})
	}
	return all
}

// push streams ids and returns the pieces, Flush's last.
func push(t *testing.T, d Decoder, ids []int32, skipSpecial bool) []string {
	t.Helper()
	s := NewStream(d, skipSpecial)
	var got []string
	for _, id := range ids {
		piece, err := s.Push(id)
		if err != nil {
			t.Fatalf("Push(%d): %v", id, err)
		}
		got = append(got, piece)
	}
	last, err := s.Flush()
	if err != nil {
		t.Fatalf("Flush: %v", err)
	}
	return append(got, last)
}

// checkStream says that a stream's pieces are valid and joined are the whole.
func checkStream(t *testing.T, d Decoder, ids []int32, skipSpecial bool) {
	t.Helper()
	got := push(t, d, ids, skipSpecial)
	for i, piece := range got {
		if !utf8.ValidString(piece) {
			t.Fatalf("piece %d of ids %v is not UTF-8: %q", i, ids, piece)
		}
	}
	want, err := d.Decode(ids, skipSpecial)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	if joined := strings.Join(got, ""); joined != want {
		t.Fatalf("ids %v (skip special %v): the stream\n gave %q\n want %q", ids, skipSpecial, joined, want)
	}
}

func TestStreamGivesPiecesWhenTheyAreCertain(t *testing.T) {
	robot := []int32{0xF0, 0x9F, 0xA4, 0x96} // 🤖
	for _, c := range []struct {
		name string
		ids  []int32
		want []string
	}{
		{"letters at once", []int32{'a', 'b'}, []string{"a", "b", ""}},
		{"a split character with its last byte", robot, []string{"", "", "", "🤖", ""}},
		{"an unfinished character at the end", robot[:2], []string{"", "", "�"}},
		{"an unfinished character before a letter", []int32{0xF0, 0x9F, 'a'}, []string{"", "", "�a", ""}},
		{"a replacement character that was meant", []int32{256, 'a'}, []string{"", "�a", ""}},
		{"one at the end", []int32{'a', 256}, []string{"a", "", "�"}},
		{"a fourth is not held", []int32{256, 256, 256, 256}, []string{"", "", "", "�", "���"}},
		{"unknown ids", []int32{-1, 'a', 9999, 'b'}, []string{"", "a", "", "b", ""}},
		{"nothing", nil, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &pieces{pieces: append(allBytes(), replacement), lossy: eachPrefix}
			if got := push(t, d, c.ids, false); !slices.Equal(got, c.want) {
				t.Errorf("pieces %q, want %q", got, c.want)
			}
		})
	}
}

func TestStreamEqualsTheWholeText(t *testing.T) {
	texts := []string{"robot", "你好", "🤖", "👩‍👩‍👧", "é", replacement, "\x00", " ", "\xff", "\xe4\xbd", "\xf0\x9f\xa4"}
	for name, lossy := range map[string]func(string) string{"prefix": eachPrefix, "byte": eachByte} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 14))
			d := &pieces{pieces: append(allBytes(), texts...), lossy: lossy, specials: []int32{'<', 260}}
			for range 800 {
				var ids []int32
				for range 1 + rng.IntN(120) {
					switch rng.IntN(6) {
					case 0: // any id, some of them unknown
						ids = append(ids, rng.Int32N(int32(len(d.pieces)+3))-1)
					case 1: // bytes that go on
						ids = append(ids, 0x80+rng.Int32N(0x40))
					case 2:
						ids = append(ids, 0xC0+rng.Int32N(0x40))
					default: // a character in bytes
						for _, b := range []byte(string(rune(rng.IntN(0x1FFFF)))) {
							ids = append(ids, int32(b))
						}
					}
				}
				checkStream(t, d, ids, rng.IntN(2) == 0)
			}
		})
	}
}

func TestStreamOfBrokenBytesHoldsLittleAndStaysFast(t *testing.T) {
	ids := slices.Repeat([]int32{0xFF, 0xE4, 0xBD}, 3000)
	d := &pieces{pieces: allBytes(), lossy: eachPrefix}
	s := NewStream(d, false)
	given := 0
	for i, id := range ids {
		piece, err := s.Push(id)
		if err != nil {
			t.Fatal(err)
		}
		given += utf8.RuneCountInString(piece)
		if held := i/3*2 - given; held > heldRunes {
			t.Fatalf("after %d ids %d characters are held back, want at most %d", i+1, held, heldRunes)
		}
		if len(s.window) > windowMax {
			t.Fatalf("the window has %d ids, want at most %d", len(s.window), windowMax)
		}
	}
	checkStream(t, d, ids[:600], false)
}

func TestStreamStartsAgainAfterFlush(t *testing.T) {
	s := NewStream(&pieces{pieces: allBytes(), lossy: eachPrefix}, false)
	for range 2 {
		if _, err := s.Push(0xE4); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Flush(); got != replacement || err != nil {
			t.Errorf("Flush gave %q, %v; want %q", got, err, replacement)
		}
	}
}

func TestStreamReportsTheDecodersError(t *testing.T) {
	broken := errors.New("broken")
	s := NewStream(&pieces{pieces: allBytes(), lossy: eachPrefix, fail: broken}, false)
	if _, err := s.Push('a'); !errors.Is(err, broken) {
		t.Errorf("Push gave error %v, want %v", err, broken)
	}
	if _, err := s.Flush(); !errors.Is(err, broken) {
		t.Errorf("Flush gave error %v, want %v", err, broken)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("a🤖b"), true)
	f.Add([]byte("\xf0\x9f\xa4\xf0\x9f\xa4\x96\xff\xfe\x80\x80\x80\x80"), false)
	f.Fuzz(func(t *testing.T, data []byte, bytewise bool) {
		d := &pieces{pieces: allBytes(), lossy: eachPrefix}
		if bytewise {
			d.lossy = eachByte
		}
		ids := make([]int32, len(data))
		for i, b := range data {
			ids[i] = int32(b)
		}
		checkStream(t, d, ids, false)
	})
}
