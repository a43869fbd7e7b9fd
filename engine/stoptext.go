package engine

import "strings"

// stopFinder looks for stop texts in a text that comes in pieces. It holds back what may be the
// beginning of one. The stop text that is complete first ends the text, the longest of those
// that are complete at one place; so the result doesn't depend on where pieces begin.
type stopFinder struct {
	stops []string
	held  string
}

// push takes the next piece and gives the text that is certain to come before any stop text.
// found says that a stop text came: the text ends with what is returned.
func (f *stopFinder) push(piece string) (text string, found bool) {
	if len(f.stops) == 0 {
		return piece, false
	}
	all := f.held + piece
	for end := len(f.held) + 1; end <= len(all); end++ {
		longest := 0
		for _, stop := range f.stops {
			if strings.HasSuffix(all[:end], stop) {
				longest = max(longest, len(stop))
			}
		}
		if longest > 0 {
			f.held = ""
			return all[:end-longest], true
		}
	}
	keep := 0
	for _, stop := range f.stops {
		for n := min(len(stop)-1, len(all)); n > keep; n-- {
			if strings.HasSuffix(all, stop[:n]) {
				keep = n
			}
		}
	}
	f.held = all[len(all)-keep:]
	return all[:len(all)-keep], false
}

// rest gives what is held back, once no more text comes.
func (f *stopFinder) rest() string {
	text := f.held
	f.held = ""
	return text
}
