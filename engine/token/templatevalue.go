package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// maxDepth is how deep JSON in a conversation, brackets and blocks in a template
// and calls of macros may be nested.
const maxDepth = 64

// The values of a template. They are Go types that the Jinja library reads as
// what Python has, with what it lacks added: order, negative places, None.
type (
	// object is a dictionary. Its order lies in the rendering; see names.
	object map[string]any
	// list is a sequence.
	list []any
	// null is Python's None, as the library's own nil means undefined. Being a
	// string, it is false in conditions; the tests string and iterable know it.
	null string
)

// String is what Python prints for None.
func (null) String() string { return "None" }

// GetItem gives the value at a place, from the end when it is negative. (The
// library's own rule fails for the first of a list counted from the end.)
func (l list) GetItem(key any) (*exec.Value, bool) {
	at, ok := key.(int)
	if !ok {
		return exec.AsValue(nil), false
	}
	if at < 0 {
		at += len(l)
	}
	if at < 0 || at >= len(l) {
		return exec.AsValue(nil), false
	}
	return exec.ToValue(l[at]), true
}

// GetAttribute gives the methods that Python's dictionaries have, in their order.
func (o object) GetAttribute(name string) (*exec.Value, bool) {
	var method func(e *exec.Evaluator, args *exec.VarArgs) *exec.Value
	switch name {
	case "items":
		method = func(e *exec.Evaluator, _ *exec.VarArgs) *exec.Value {
			pairs := list{}
			for _, name := range stateOf(e).names(o) {
				pairs = append(pairs, list{name, o[name]})
			}
			return exec.AsValue(pairs)
		}
	case "keys":
		method = func(e *exec.Evaluator, _ *exec.VarArgs) *exec.Value {
			return exec.AsValue(texts(stateOf(e).names(o)))
		}
	case "values":
		method = func(e *exec.Evaluator, _ *exec.VarArgs) *exec.Value {
			values := list{}
			for _, name := range stateOf(e).names(o) {
				values = append(values, o[name])
			}
			return exec.AsValue(values)
		}
	case "get":
		method = func(_ *exec.Evaluator, args *exec.VarArgs) *exec.Value {
			if len(args.Args) < 1 || len(args.Args) > 2 {
				return exec.AsValue(fmt.Errorf("get() takes one or two arguments, not %d", len(args.Args)))
			}
			if value, ok := o[args.Args[0].String()]; ok {
				return exec.ToValue(value)
			}
			if len(args.Args) == 2 {
				return args.Args[1]
			}
			return exec.AsValue(null(""))
		}
	default:
		return exec.AsValue(nil), false
	}
	return exec.AsValue(method), true
}

// texts makes a list of strings.
func texts(s []string) list {
	l := make(list, len(s))
	for i := range s {
		l[i] = s[i]
	}
	return l
}

// identity tells dictionaries apart; a map's address doesn't change.
func identity(o object) uintptr { return reflect.ValueOf(o).Pointer() }

// names gives a dictionary's names in the order in which they were written.
func (r *rendering) names(o object) []string { return r.order[identity(o)] }

// setNames sets the order of a dictionary, which must live as long as r.
func (r *rendering) setNames(o object, names []string) { r.order[identity(o)] = names }

// fromJSON makes a template's value of JSON: objects in their order, whole numbers
// as int, others as float64, null as None.
func (r *rendering) fromJSON(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	value, err := r.readValue(dec, maxDepth)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: something follows the value")
	}
	return value, nil
}

func (r *rendering) readValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if depth == 0 {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch t := t.(type) {
	case nil:
		return null(""), nil
	case json.Number:
		if n, err := strconv.Atoi(t.String()); err == nil {
			return n, nil
		}
		return t.Float64()
	case json.Delim:
		if t == '[' {
			return r.readList(dec, depth)
		}
		return r.readObject(dec, depth)
	default: // string, bool
		return t, nil
	}
}

func (r *rendering) readList(dec *json.Decoder, depth int) (any, error) {
	values := list{}
	for dec.More() {
		value, err := r.readValue(dec, depth-1)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	_, err := dec.Token()
	return values, err
}

func (r *rendering) readObject(dec *json.Decoder, depth int) (any, error) {
	o := object{}
	var names []string
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("%v where a name was expected", t)
		}
		value, err := r.readValue(dec, depth-1)
		if err != nil {
			return nil, err
		}
		if _, known := o[name]; !known {
			names = append(names, name)
		}
		o[name] = value
	}
	_, err := dec.Token()
	r.setNames(o, names)
	return o, err
}
