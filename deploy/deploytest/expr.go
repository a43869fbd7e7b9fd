package deploytest

import (
	"fmt"
	"strings"
)

// scope is what an expression may name: contexts by dotted path, and how the job stands.
type scope struct {
	values    map[string]string // "inputs.suite", "steps.run.outputs.verdict", …
	known     map[string]bool   // paths that may be named though they are empty
	failed    bool
	cancelled bool
}

// expand replaces each ${{ … }} in a text by its value.
func (s scope) expand(text string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		expr, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return "", fmt.Errorf("%q: an expression has no end", text)
		}
		v, err := s.eval(expr)
		if err != nil {
			return "", err
		}
		out.WriteString(v)
		text = after
	}
}

// condition evaluates a step's `if`. Unless it asks how the job stands, it also wants
// that nothing failed before.
func (s scope) condition(text string) (bool, error) {
	if text == "" {
		return !s.failed && !s.cancelled, nil
	}
	expr := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "${{"), "}}")
	v, err := s.eval(expr)
	if err != nil {
		return false, err
	}
	asks := false
	for _, f := range []string{"always()", "success()", "failure()", "cancelled()"} {
		asks = asks || strings.Contains(expr, f)
	}
	return truth(v) && (asks || !s.failed && !s.cancelled), nil
}

// truth is what a value counts as: in expressions the empty string and false are false.
func truth(v string) bool { return v != "" && v != "false" }

func (s scope) eval(expr string) (string, error) {
	p := parser{scope: s, rest: expr}
	v, err := p.or()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%q is more than this knows of expressions", p.rest)
	}
	if err != nil {
		return "", fmt.Errorf("expression %q: %w", strings.TrimSpace(expr), err)
	}
	return v, nil
}

// parser evaluates while it reads: or > and > comparison > not > value.
type parser struct {
	scope scope
	rest  string
}

// peek gives the next token without taking it.
func (p *parser) peek() string {
	p.rest = strings.TrimLeft(p.rest, " \n")
	for _, op := range []string{"&&", "||", "==", "!=", "!", "(", ")"} {
		if strings.HasPrefix(p.rest, op) {
			return op
		}
	}
	if strings.HasPrefix(p.rest, "'") {
		if end := strings.IndexByte(p.rest[1:], '\''); end >= 0 {
			return p.rest[:end+2]
		}
		return p.rest
	}
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", r)
	})
	switch {
	case end < 0:
		return p.rest
	case end == 0:
		return p.rest[:1]
	}
	return p.rest[:end]
}

func (p *parser) take() string {
	t := p.peek()
	p.rest = p.rest[len(t):]
	return t
}

func (p *parser) or() (string, error) {
	v, err := p.and()
	for err == nil && p.peek() == "||" {
		p.take()
		var w string
		if w, err = p.and(); !truth(v) {
			v = w
		}
	}
	return v, err
}

func (p *parser) and() (string, error) {
	v, err := p.compare()
	for err == nil && p.peek() == "&&" {
		p.take()
		var w string
		if w, err = p.compare(); truth(v) {
			v = w
		}
	}
	return v, err
}

func (p *parser) compare() (string, error) {
	v, err := p.not()
	if op := p.peek(); err == nil && (op == "==" || op == "!=") {
		p.take()
		var w string
		if w, err = p.not(); err != nil {
			return "", err
		}
		return fmt.Sprint(strings.EqualFold(v, w) == (op == "==")), nil
	}
	return v, err
}

func (p *parser) not() (string, error) {
	if p.peek() == "!" {
		p.take()
		v, err := p.not()
		return fmt.Sprint(!truth(v)), err
	}
	return p.value()
}

func (p *parser) value() (string, error) {
	t := p.take()
	switch {
	case t == "(":
		v, err := p.or()
		if err == nil && p.take() != ")" {
			err = fmt.Errorf("a bracket has no end")
		}
		return v, err
	case len(t) >= 2 && t[0] == '\'' && t[len(t)-1] == '\'':
		return t[1 : len(t)-1], nil
	case p.peek() == "(":
		return p.call(t)
	}
	v, ok := p.scope.values[t]
	if !ok && !p.scope.known[t] {
		return "", fmt.Errorf("nothing is called %q", t)
	}
	return v, nil
}

func (p *parser) call(name string) (string, error) {
	if p.take(); p.take() != ")" {
		return "", fmt.Errorf("%s: functions with arguments are not known here", name)
	}
	switch name {
	case "always":
		return "true", nil
	case "success":
		return fmt.Sprint(!p.scope.failed && !p.scope.cancelled), nil
	case "failure":
		return fmt.Sprint(p.scope.failed), nil
	case "cancelled":
		return fmt.Sprint(p.scope.cancelled), nil
	}
	return "", fmt.Errorf("no function is called %q", name)
}
