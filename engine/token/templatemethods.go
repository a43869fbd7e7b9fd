package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// methods are the methods of Python's values. Those that split give lists.
func methods() exec.Methods {
	text := map[string]exec.Method[string]{}
	for _, name := range []string{
		"capitalize", "isalnum", "isalpha", "isdigit", "islower", "isspace", "isupper",
		"join", "lower", "removeprefix", "removesuffix", "title", "upper",
	} {
		if m, ok := builtins.Methods.Str.Get(name); ok {
			text[name] = m
		}
	}
	for _, name := range []string{"splitlines", "partition", "rpartition"} {
		if m, ok := builtins.Methods.Str.Get(name); ok {
			text[name] = listing(m)
		}
	}
	text["count"] = counting
	text["find"] = finding(strings.Index)
	text["rfind"] = finding(strings.LastIndex)
	text["startswith"] = matching(strings.HasPrefix)
	text["endswith"] = matching(strings.HasSuffix)
	text["split"] = splitting(strings.SplitN)
	text["rsplit"] = splitting(splitLast)
	text["replace"] = replace
	text["strip"] = stripping(strings.TrimFunc)
	text["lstrip"] = stripping(strings.TrimLeftFunc)
	text["rstrip"] = stripping(strings.TrimRightFunc)
	m := builtins.Methods
	return exec.Methods{Bool: m.Bool, Int: m.Int, Float: m.Float, Str: exec.NewMethodSet(text), Dict: m.Dict, List: m.List}
}

// listing makes a method's list of texts one of ours.
func listing(m exec.Method[string]) exec.Method[string] {
	return func(self string, v *exec.Value, args *exec.VarArgs) (any, error) {
		result, err := m(self, v, args)
		if s, ok := result.([]string); ok {
			return texts(s), err
		}
		if s, ok := result.([]any); ok {
			return list(s), err
		}
		return result, err
	}
}

// counting is Python's str.count.
func counting(self string, _ *exec.Value, args *exec.VarArgs) (any, error) {
	if len(args.Args) != 1 || !isText(args.Args[0]) {
		return nil, errors.New("count takes one text")
	}
	return strings.Count(self, args.Args[0].String()), nil
}

// finding is find or rfind; places count characters.
func finding(find func(s, part string) int) exec.Method[string] {
	return func(self string, _ *exec.Value, args *exec.VarArgs) (any, error) {
		if len(args.Args) != 1 || !isText(args.Args[0]) {
			return nil, errors.New("find takes one text")
		}
		at := find(self, args.Args[0].String())
		if at > 0 {
			at = utf8.RuneCountInString(self[:at])
		}
		return at, nil
	}
}

// matching is startswith or endswith, of a text or of any of several.
func matching(match func(s, part string) bool) exec.Method[string] {
	return func(self string, _ *exec.Value, args *exec.VarArgs) (any, error) {
		if len(args.Args) != 1 {
			return nil, errors.New("startswith and endswith take one text or several in brackets")
		}
		parts := args.Args[0]
		if isText(parts) {
			return match(self, parts.String()), nil
		}
		for i := range parts.Len() {
			if match(self, parts.Index(i).String()) {
				return true, nil
			}
		}
		return false, nil
	}
}

// splitting is split or rsplit, at a text or at white space.
func splitting(split func(s, sep string, parts int) []string) exec.Method[string] {
	return func(self string, _ *exec.Value, args *exec.VarArgs) (any, error) {
		parts := -1
		if len(args.Args) == 2 && args.Args[1].IsInteger() && args.Args[1].Integer() >= 0 {
			parts = args.Args[1].Integer() + 1
		} else if len(args.Args) > 1 {
			return nil, errors.New("split takes a text, and at most how often")
		}
		if len(args.Args) == 0 || isNone(args.Args[0]) && parts < 0 {
			return texts(strings.FieldsFunc(self, pythonSpace)), nil
		}
		sep := args.Args[0].String()
		if !isText(args.Args[0]) || sep == "" {
			return nil, errors.New("split takes a text that isn't empty")
		}
		return texts(split(self, sep, parts)), nil
	}
}

// splitLast is strings.SplitN from the end.
func splitLast(s, sep string, parts int) []string {
	if parts < 0 {
		return strings.Split(s, sep)
	}
	var last []string
	for at := strings.LastIndex(s, sep); at >= 0 && len(last)+1 < parts; at = strings.LastIndex(s, sep) {
		last = append(last, s[at+len(sep):])
		s = s[:at]
	}
	last = append(last, s)
	slices.Reverse(last)
	return last
}

// replace is Python's str.replace.
func replace(self string, _ *exec.Value, args *exec.VarArgs) (any, error) {
	count := -1
	if len(args.Args) == 3 && args.Args[2].IsInteger() {
		count = args.Args[2].Integer()
	} else if len(args.Args) != 2 {
		return nil, errors.New("replace takes two texts, and how often")
	}
	if !args.Args[0].IsString() || !args.Args[1].IsString() {
		return nil, errors.New("replace takes two texts")
	}
	old, with := args.Args[0].String(), args.Args[1].String()
	if n := strings.Count(self, old); n > 0 && len(self)+n*len(with) > maxValueBytes {
		return nil, fmt.Errorf("replace would give more than %d bytes", maxValueBytes)
	}
	return strings.Replace(self, old, with, count), nil
}

// stripping is strip, lstrip or rstrip.
func stripping(trim func(string, func(rune) bool) string) exec.Method[string] {
	return func(self string, _ *exec.Value, args *exec.VarArgs) (any, error) {
		switch {
		case len(args.Args) == 0 || isNone(args.Args[0]):
			return trim(self, pythonSpace), nil
		case len(args.Args) == 1 && args.Args[0].IsString():
			cut := args.Args[0].String()
			return trim(self, func(r rune) bool { return strings.ContainsRune(cut, r) }), nil
		}
		return nil, errors.New("strip takes no argument or one text")
	}
}

// pythonSpace is what Python's strip removes: Unicode's white space and the four
// separators of ASCII.
func pythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
