package token

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/parser"
)

// environment is what templates may use: of the library's parts those that chat
// templates need and that reach nothing outside, with Python's meaning.
func environment() *exec.Environment {
	filters := map[string]exec.FilterFunction{}
	for _, name := range []string{
		"abs", "batch", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first",
		"float", "int", "join", "last", "length", "list", "lower", "map", "max", "min", "reject",
		"rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr", "slice",
		"sort", "string", "sum", "title", "unique", "upper",
	} {
		if f, ok := builtins.Filters.Get(name); ok {
			filters[name] = asList(f)
		}
	}
	filters["tojson"] = toJSON
	filters["trim"] = trim
	filters["items"] = items
	filters[iterFilter] = iterable

	tests := exec.NewTestSet(map[string]exec.TestFunction{}).Update(builtins.Tests)
	override := map[string]exec.TestFunction{
		"none":     func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) { return isNone(v), nil },
		"string":   func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) { return isText(v), nil },
		"iterable": func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) { return isSequence(v), nil },
		"sequence": func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) { return isSequence(v), nil },
		"number": func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) {
			return v.IsNumber() || v.IsBool(), nil
		},
		"integer": func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) {
			return v.IsInteger() || v.IsBool(), nil
		},
		"true": func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) {
			return v.IsBool() && v.Bool(), nil
		},
		"false": func(_ *exec.Context, v *exec.Value, _ *exec.VarArgs) (bool, error) {
			return v.IsBool() && !v.Bool(), nil
		},
	}
	tests.Update(exec.NewTestSet(override))

	structures := map[string]parser.ControlStructureParser{}
	for _, name := range []string{"if", "set", "raw", "break", "continue", "with", "call", "filter"} {
		if p, ok := builtins.ControlStructures.Get(name); ok {
			structures[name] = p
		}
	}
	structures["for"] = parseFor
	structures["macro"] = parseMacro
	structures["set"] = parseSet

	globals := map[string]any{"raise_exception": raise, "range": rangeOf, "none": null("")}
	if f, ok := builtins.GlobalFunctions.Get("namespace"); ok {
		globals["namespace"] = f
	}
	return &exec.Environment{
		Context:           exec.NewContext(globals),
		Filters:           exec.NewFilterSet(filters),
		Tests:             tests,
		ControlStructures: exec.NewControlStructureSet(structures),
		Methods:           methods(),
	}
}

// asList makes a filter's list one of ours.
func asList(f exec.FilterFunction) exec.FilterFunction {
	return func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
		result := f(e, in, params)
		if _, ours := result.Interface().(list); ours || result.IsError() || !result.IsList() {
			return result
		}
		l := make(list, result.Len())
		for i := range l {
			l[i] = result.Index(i)
		}
		return exec.AsValue(l)
	}
}

// trim is the filter of that name, Python's str.strip.
func trim(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	args := params
	if chars, ok := params.KwArgs["chars"]; ok {
		args = &exec.VarArgs{Args: []*exec.Value{chars}}
	}
	text, err := stripping(strings.TrimFunc)(in.String(), in, args)
	if err != nil {
		return exec.AsValue(err)
	}
	return exec.AsValue(text)
}

// items is the filter of that name: a dictionary's pairs; nothing for undefined.
func items(e *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if o, ok := in.Interface().(object); ok {
		method, _ := o.GetAttribute("items")
		return method.Interface().(func(*exec.Evaluator, *exec.VarArgs) *exec.Value)(e, nil)
	}
	if in.IsNil() {
		return exec.AsValue(list{})
	}
	return exec.AsValue(fmt.Errorf("items: %.40q is not a dictionary", in.String()))
}

// iterable gives what a loop goes over, as a list: a dictionary's names in their
// order, a text's characters. Looping over an undefined value does nothing.
func iterable(e *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	if o, ok := in.Interface().(object); ok {
		return exec.AsValue(texts(stateOf(e).names(o)))
	}
	switch {
	case in.IsNil():
		return exec.AsValue(list{})
	case isText(in):
		characters := list{}
		for _, r := range in.String() {
			characters = append(characters, string(r))
		}
		return exec.AsValue(characters)
	case in.IsList() || in.IsDict():
		return in
	}
	return exec.AsValue(fmt.Errorf("can't loop over %.40q", in.String()))
}

// raise is the global raise_exception: the template refuses the conversation.
func raise(e *exec.Evaluator, args *exec.VarArgs) *exec.Value {
	return exec.AsValue(stateOf(e).end(&RefusedError{Reason: args.First().String()}))
}

// rangeOf is Python's range, up to maxRange numbers.
func rangeOf(_ *exec.Evaluator, args *exec.VarArgs) *exec.Value {
	bounds := make([]int, len(args.Args))
	for i, a := range args.Args {
		if !a.IsInteger() {
			return exec.AsValue(fmt.Errorf("range: %.40q is not a whole number", a.String()))
		}
		bounds[i] = a.Integer()
	}
	start, stop, step := 0, 0, 1
	switch len(bounds) {
	case 1:
		stop = bounds[0]
	case 2:
		start, stop = bounds[0], bounds[1]
	case 3:
		start, stop, step = bounds[0], bounds[1], bounds[2]
	}
	if len(bounds) == 0 || len(bounds) > 3 || step == 0 {
		return exec.AsValue(errors.New("range takes one to three whole numbers, the last not 0"))
	}
	numbers := list{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(numbers) == maxRange {
			return exec.AsValue(fmt.Errorf("range: more than %d numbers", maxRange))
		}
		numbers = append(numbers, i)
	}
	return exec.AsValue(numbers)
}

// isNone reports whether v is None; an undefined value isn't.
func isNone(v *exec.Value) bool {
	_, is := v.Interface().(null)
	return is
}

func isText(v *exec.Value) bool { return v.IsString() && !isNone(v) }

// isSequence is what can be looped over: an undefined value, too, as in Python.
func isSequence(v *exec.Value) bool { return isText(v) || v.IsList() || v.IsDict() || v.IsNil() }

// onlySource is a loader that has one template and no files.
type onlySource string

var _ loaders.Loader = onlySource("")

// Read gives the source whatever its name; includes can't be parsed.
func (s onlySource) Read(string) (io.Reader, error) { return strings.NewReader(string(s)), nil }

// Resolve gives the name as it is.
func (s onlySource) Resolve(name string) (string, error) { return name, nil }

// Inherit gives the same loader.
func (s onlySource) Inherit(string) (loaders.Loader, error) { return s, nil }
