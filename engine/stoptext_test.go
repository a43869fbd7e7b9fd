package engine

import (
	"strings"
	"testing"
)

func TestStopFinder(t *testing.T) {
	for _, c := range []struct {
		name   string
		stops  []string
		pieces []string
		want   []string // what each push gives; the last one also gets the rest
		found  bool
	}{
		{"no stops", nil, []string{"a", "b"}, []string{"a", "b"}, false},
		{"within a piece", []string{"END"}, []string{"the ENDing"}, []string{"the "}, true},
		{"spans pieces", []string{"END"}, []string{"the E", "N", "D!"}, []string{"the ", "", ""}, true},
		{"a beginning that comes to nothing", []string{"END"}, []string{"E", "NO"}, []string{"", "ENO"}, false},
		{"held back to the end", []string{"END"}, []string{"an EN"}, []string{"an EN"}, false},
		{"repeated beginning", []string{"aab"}, []string{"aa", "aab"}, []string{"", "aa"}, true},
		{"the first to be complete wins", []string{"abcd", "bc"}, []string{"xabcd"}, []string{"xa"}, true},
		{"of two complete at once the longer", []string{"c", "bc"}, []string{"abc"}, []string{"a"}, true},
		{"a character of several bytes", []string{"→x"}, []string{"a→", "x"}, []string{"a", ""}, true},
		{"at the very beginning", []string{"a"}, []string{"abc"}, []string{""}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := stopFinder{stops: c.stops}
			for i, p := range c.pieces {
				got, found := f.push(p)
				end := i == len(c.pieces)-1
				if end && !found {
					got += f.rest()
				}
				if got != c.want[i] || found != (c.found && end) {
					t.Errorf("piece %d %q: got %q, %v, want %q, %v", i, p, got, found, c.want[i], c.found && end)
				}
			}
		})
	}
}

// FuzzStopFinder: wherever the pieces begin, the text before the stop is the same, and holds none.
func FuzzStopFinder(f *testing.F) {
	f.Add("the END of ENDs", "END", "s", uint8(3))
	f.Add("aaaaab", "aab", "ab", uint8(1))
	f.Add("→→→", "→→", "x", uint8(2))
	f.Fuzz(func(t *testing.T, text, a, b string, size uint8) {
		if a == "" || b == "" || size == 0 || len(text) > 1000 {
			return
		}
		whole := stopFinder{stops: []string{a, b}}
		want, found := whole.push(text)
		if !found {
			want += whole.rest()
			if want != text {
				t.Fatalf("lost text: %q of %q", want, text)
			}
		}
		if found != (strings.Contains(text, a) || strings.Contains(text, b)) {
			t.Fatalf("found %v in %q", found, text)
		}
		pieces := stopFinder{stops: []string{a, b}}
		var got strings.Builder
		ended := false
		for rest := text; rest != "" && !ended; {
			n := min(int(size), len(rest))
			var piece string
			piece, ended = pieces.push(rest[:n])
			got.WriteString(piece)
			rest = rest[n:]
		}
		if !ended {
			got.WriteString(pieces.rest())
		}
		if got.String() != want || ended != found {
			t.Errorf("in pieces of %d: %q, %v; whole: %q, %v", size, got.String(), ended, want, found)
		}
	})
}
