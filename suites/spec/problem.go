package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a suite, with everything needed to mend it.
type Problem struct {
	File       string
	Line, Col  int    // 1…; 0 where the suite was not parsed from a file
	Path       string // "spec.workloads[0].load.concurrency"
	What       string // what is wrong
	Found      string // as written; empty where nothing was
	Wanted     string // what may stand here; empty where What says it
	DidYouMean string // the nearest known name, if one is near
}

// String is the problem in one line: "file:line:col: what: found x, wanted y; did
// you mean "z"?".
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Col)
	case p.Path != "":
		fmt.Fprintf(&b, "%s: ", p.Path)
	}
	b.WriteString(p.What)
	sep := ": "
	if p.Found != "" {
		b.WriteString(sep + "found " + p.Found)
		sep = ", "
	}
	if p.Wanted != "" {
		b.WriteString(sep + "wanted " + p.Wanted)
	}
	if p.DidYouMean != "" {
		fmt.Fprintf(&b, "; did you mean %q?", p.DidYouMean)
	}
	return b.String()
}

// Problems is the error of Parse and Validate: every mistake at once, in the order
// of the document.
type Problems []Problem

// Error gives one line a problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, q := range p {
		lines[i] = q.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders problems as a reader meets them and drops repetitions.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.CompactFunc(p, func(a, b Problem) bool { return a == b })
}
