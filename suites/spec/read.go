package spec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/paceline/paceline/bench/metric"
)

// place is where something stands, from 1.
type place struct{ line, col int }

// reader turns nodes into fields and keeps where each one stood. A path of which it
// reported something is bad: what the check says about it would only repeat that.
type reader struct {
	file     string
	problems Problems
	places   map[string]place
	bad      map[string]bool
	outline  *outline // what is read is the format itself and no document
}

// member is a key that a mapping may have, and what reads its value.
type member struct {
	key  string
	read func(path string, n ast.Node)
}

func placeOf(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return placeOf(m.Values[0].Key)
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return placeOf(m.Key)
	}
	return placeOfToken(n.GetToken())
}

func placeOfToken(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

func (r *reader) report(path string, at place, p Problem) {
	p.File, p.Line, p.Col, p.Path = r.file, at.line, at.col, path
	r.problems = append(r.problems, p)
	r.bad[path] = true
}

// wrong reports a value of the wrong kind.
func (r *reader) wrong(path string, n ast.Node, wanted string) {
	what := key(path)
	if path == "" {
		what = "the document"
	}
	r.report(path, placeOf(n), Problem{What: what + " has the wrong type", Found: describe(n), Wanted: wanted})
}

// blame gives a problem of the check its place: that of its path, or of the nearest
// thing around it.
func (r *reader) blame(p Problem) {
	path := p.Path
	for q := path; ; {
		if r.bad[q] || r.bad[""] {
			return
		}
		i := strings.LastIndexAny(q, ".[")
		if i < 0 {
			break
		}
		q = q[:i]
	}
	for {
		if at, ok := r.places[path]; ok {
			r.report(p.Path, at, p)
			return
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			r.report(p.Path, place{1, 1}, p)
			return
		}
		path = path[:i]
	}
}

// describe says what a node is, with its value where that is short.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.LiteralNode:
		return "a text"
	case *ast.StringNode:
		return strconv.Quote(clip(n.Value))
	}
	return clip(n.GetToken().Value)
}

func clip(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// mapping reads the members of a mapping; keys that it lacks are left alone.
func (r *reader) mapping(path string, n ast.Node, members ...member) {
	if r.outline != nil {
		r.outline.object(path)
		for _, m := range members {
			m.read(join(path, m.key), nil)
		}
		return
	}
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.wrong(path, n, "a mapping with "+keysOf(members))
		return
	}
	if _, known := r.places[path]; !known {
		r.places[path] = placeOf(n)
	}
	seen := map[string]ast.Node{}
	for _, v := range values {
		key, at := keyOf(v), placeOf(v.Key)
		i := slices.IndexFunc(members, func(m member) bool { return m.key == key })
		switch {
		case i < 0:
			near := metric.Nearest(key, keys(members))
			r.report(join(path, key), at, Problem{What: "unknown key " + strconv.Quote(clip(key)), Wanted: keysOf(members), DidYouMean: near})
		case seen[key] != nil:
			first := placeOf(seen[key])
			r.report(join(path, key), at, Problem{What: fmt.Sprintf("key %q appears twice, first in line %d", key, first.line)})
		default:
			seen[key] = v.Key
			r.places[join(path, key)] = placeOfValue(v)
		}
	}
	// In the order of members, not of the document: defaults come before what
	// they are defaults of.
	for _, m := range members {
		for _, v := range values {
			if keyOf(v) == m.key && seen[m.key] == ast.Node(v.Key) {
				m.read(join(path, m.key), v.Value)
			}
		}
	}
}

// placeOfValue is where problems of a value point: at its key where the value is
// empty or has parts of its own.
func placeOfValue(v *ast.MappingValueNode) place {
	switch v.Value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode, *ast.NullNode:
		return placeOf(v.Key)
	}
	return placeOf(v.Value)
}

func keyOf(v *ast.MappingValueNode) string {
	if s, ok := v.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return v.Key.GetToken().Value
}

func keys(members []member) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = m.key
	}
	return out
}

func keysOf(members []member) string { return strings.Join(keys(members), ", ") }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// list reads the elements of a sequence of at most limit.
func (r *reader) list(path string, n ast.Node, limit int, wanted string, read func(path string, n ast.Node)) {
	if r.outline != nil {
		r.outline.array(path, limit)
		read(path+anyElement, nil)
		return
	}
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(path, n, wanted)
		return
	}
	if len(s.Values) > limit {
		r.report(path, placeOf(n), Problem{What: "too many entries", Found: strconv.Itoa(len(s.Values)), Wanted: fmt.Sprintf("at most %d", limit)})
		return
	}
	for i, v := range s.Values {
		p := at(path, i)
		r.places[p] = placeOf(v)
		read(p, v)
	}
}

func (r *reader) text(to *string) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "string", *to) {
			return
		}
		var s string
		switch n := n.(type) {
		case *ast.StringNode:
			s = n.Value
		case *ast.LiteralNode:
			s = n.Value.Value
		default:
			r.wrong(path, n, "a string (quote it if it looks like something else)")
			return
		}
		if len(s) > maxText {
			r.report(path, placeOf(n), Problem{What: "text too long", Found: fmt.Sprintf("%d bytes", len(s)), Wanted: fmt.Sprintf("at most %d", maxText)})
			return
		}
		*to = s
	}
}

func (r *reader) flag(to *bool) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "boolean", *to) {
			return
		}
		if b, ok := n.(*ast.BoolNode); ok {
			*to = b.Value
			return
		}
		r.wrong(path, n, "true or false")
	}
}

func (r *reader) whole(to *int) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "integer", *to) {
			return
		}
		if v, ok := integer(n); ok && v <= math.MaxInt32 {
			*to = int(v)
			return
		}
		r.wrong(path, n, "a whole number, 0 or more")
	}
}

func (r *reader) seed(to *uint64) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "integer", *to) {
			return
		}
		if v, ok := integer(n); ok {
			*to = v
			return
		}
		r.wrong(path, n, "a whole number from 0 to 18446744073709551615")
	}
}

// integer is a number that isn't negative.
func integer(n ast.Node) (uint64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := i.Value.(type) {
	case uint64:
		return v, true
	case int64:
		return uint64(v), v >= 0
	}
	return 0, false
}

func (r *reader) number(to *float64) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "number", *to) {
			return
		}
		switch v := n.(type) {
		case *ast.FloatNode:
			if !math.IsInf(v.Value, 0) && !math.IsNaN(v.Value) {
				*to = v.Value + 0 // −0 is 0
				return
			}
		case *ast.IntegerNode:
			switch i := v.Value.(type) {
			case uint64:
				*to = float64(i)
				return
			case int64:
				*to = float64(i)
				return
			}
		case *ast.StringNode:
			if s, found := strings.CutSuffix(v.Value, "%"); found {
				if p, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
					r.wrong(path, n, fmt.Sprintf("a share: %s", strconv.FormatFloat(p/100, 'f', -1, 64)))
					return
				}
			}
		}
		r.wrong(path, n, "a number")
	}
}

func (r *reader) limit(to **float64) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "number", nil) {
			return
		}
		var v float64
		r.number(&v)(path, n)
		if !r.bad[path] {
			*to = &v
		}
	}
}

func (r *reader) span(to *time.Duration) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "duration", to.String()) {
			return
		}
		if s, ok := n.(*ast.StringNode); ok {
			if d, err := time.ParseDuration(s.Value); err == nil {
				*to = d
				return
			}
		}
		r.wrong(path, n, "a duration with its unit, such as 3s or 1m30s")
	}
}
