package spec

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Parse reads a suite strictly. The error is Problems, with all that is wrong:
// unknown keys, wrong types, values out of range, unknown metrics. name is what
// messages call the document. Anchors, aliases, tags and merge keys are not part of
// the format.
func Parse(name string, src []byte) (*Suite, error) {
	s, _, err := parse(name, src)
	return s, err
}

// parse also gives the reader, which knows where everything stood.
func parse(name string, src []byte) (*Suite, *reader, error) {
	body, err := document(name, src)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{file: name, places: map[string]place{}, bad: map[string]bool{}}
	s := r.suite(body)
	for _, p := range s.check() {
		r.blame(p)
	}
	if len(r.problems) > 0 {
		return nil, nil, r.problems.sorted()
	}
	return s, r, nil
}

// document gives the body of the only document in src.
func document(name string, src []byte) (body ast.Node, err error) {
	one := func(line, col int, what, found, wanted string) error {
		return Problems{{File: name, Line: line, Col: col, What: what, Found: found, Wanted: wanted}}
	}
	if len(src) > MaxBytes {
		return nil, one(1, 1, "the suite is too large", fmt.Sprintf("%d bytes", len(src)), fmt.Sprintf("at most %d", MaxBytes))
	}
	if i := invalidUTF8(src); i >= 0 {
		line := 1 + strings.Count(string(src[:i]), "\n")
		return nil, one(line, i-strings.LastIndexByte(string(src[:i]), '\n'), "the suite is not UTF-8", fmt.Sprintf("byte 0x%02x", src[i]), "")
	}
	defer func() {
		// The YAML library may panic on input that nobody tried before it.
		if p := recover(); p != nil {
			body, err = nil, one(1, 1, fmt.Sprintf("not YAML that can be read: %v", p), "", "")
		}
	}()
	tokens := lexer.Tokenize(string(src))
	if t, what := unfit(tokens); t != nil {
		return nil, one(t.Position.Line, t.Position.Column, what, "", "")
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, col := 1, 1
		var msg string
		var y yaml.Error
		if !errors.As(err, &y) {
			msg = err.Error()
		} else {
			msg = y.GetMessage()
			if t := y.GetToken(); t != nil && t.Position != nil {
				line, col = t.Position.Line, t.Position.Column
			}
		}
		return nil, one(line, col, "not YAML: "+strings.ReplaceAll(msg, "\n", " "), "", "")
	}
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, one(1, 1, "the suite is empty", "", "apiVersion: "+APIVersion)
	case 1:
		return bodies[0], nil
	}
	p := placeOf(bodies[1])
	return nil, one(p.line, p.col, "more than one document", fmt.Sprintf("%d", len(bodies)), "one suite a file")
}

// unfit finds what makes tokens dangerous to parse or isn't part of the format.
func unfit(tokens token.Tokens) (*token.Token, string) {
	depth := 0
	if len(tokens) > maxLexemes {
		return tokens[maxLexemes], fmt.Sprintf("too many keys and values: more than %d words and marks", maxLexemes)
	}
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth = max(depth-1, 0)
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.DirectiveType:
			return t, fmt.Sprintf("%q: anchors, aliases, merge keys, tags and directives are not part of a suite", t.Value)
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if depth == 0 && t.Position.Column > maxColumn {
				return t, fmt.Sprintf("nested too deeply, or a key too long: structure beyond column %d", maxColumn)
			}
		}
		if depth > maxDepth {
			return t, fmt.Sprintf("nested too deeply: more than %d levels", maxDepth)
		}
	}
	return nil, ""
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}
