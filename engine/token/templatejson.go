package token

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// toJSON is the filter tojson as transformers define it: Python's json.dumps with
// ensure_ascii=False, so that neither letters nor < > & ' are escaped. indent is
// supported.
func toJSON(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	indent := -1
	for name, value := range params.KwArgs {
		switch {
		case name == "indent" && value.IsInteger() && value.Integer() >= 0 && value.Integer() <= 16:
			indent = value.Integer()
		case name == "indent" && isNone(value):
		case name == "ensure_ascii" && value.IsBool() && !value.Bool():
		default:
			return exec.AsValue(fmt.Errorf("tojson: the argument %s=%s is not supported", name, value))
		}
	}
	if len(params.Args) == 1 && params.Args[0].IsInteger() && params.Args[0].Integer() >= 0 && params.Args[0].Integer() <= 16 {
		indent = params.Args[0].Integer()
	} else if len(params.Args) > 0 {
		return exec.AsValue(fmt.Errorf("tojson: takes at most an indent of 0 to 16"))
	}
	w := jsonWriter{state: stateOf(e), indent: indent}
	if err := w.value(in, 0); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	return exec.AsSafeValue(w.out.String())
}

// jsonWriter writes as Python does.
type jsonWriter struct {
	state  *rendering
	indent int // spaces a level; -1: all in one line
	out    strings.Builder
}

func (w *jsonWriter) value(v *exec.Value, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if w.out.Len() > maxRenderedBytes {
		return fmt.Errorf("longer than the limit of %d bytes", maxRenderedBytes)
	}
	switch {
	case isNone(v) || v.IsNil():
		w.out.WriteString("null")
	case v.IsBool():
		w.out.WriteString(strconv.FormatBool(v.Bool()))
	case v.IsInteger():
		w.out.WriteString(strconv.Itoa(v.Integer()))
	case v.IsFloat():
		w.out.WriteString(pythonFloat(v.Float()))
	case v.IsString():
		w.text(v.String())
	case v.IsList():
		return w.sequence('[', ']', v.Len(), depth, func(i int) error {
			return w.value(exec.ToValue(v.Index(i).Interface()), depth+1)
		})
	case v.IsDict():
		return w.dictionary(v, depth)
	default:
		return fmt.Errorf("a value of this kind is not JSON: %.40q", v.String())
	}
	return nil
}

func (w *jsonWriter) dictionary(v *exec.Value, depth int) error {
	var names []string
	if o, ok := v.Interface().(object); ok {
		names = w.state.names(o)
	} else {
		for _, key := range v.Keys() {
			names = append(names, key.String())
		}
	}
	return w.sequence('{', '}', len(names), depth, func(i int) error {
		w.text(names[i])
		w.out.WriteString(": ")
		member, _ := v.GetItem(names[i])
		return w.value(member, depth+1)
	})
}

// sequence writes n parts between brackets.
func (w *jsonWriter) sequence(open, close byte, n, depth int, part func(i int) error) error {
	w.out.WriteByte(open)
	for i := range n {
		switch {
		case i > 0 && w.indent < 0:
			w.out.WriteString(", ")
		case i > 0:
			w.out.WriteByte(',')
		}
		w.newline(depth + 1)
		if err := part(i); err != nil {
			return err
		}
	}
	if n > 0 {
		w.newline(depth)
	}
	w.out.WriteByte(close)
	return nil
}

func (w *jsonWriter) newline(depth int) {
	if w.indent >= 0 {
		w.out.WriteByte('\n')
		w.out.WriteString(strings.Repeat(" ", w.indent*depth))
	}
}

// text writes a string, escaping what JSON demands and nothing else.
func (w *jsonWriter) text(s string) {
	w.out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(r)
		case r == '\n':
			w.out.WriteString(`\n`)
		case r == '\r':
			w.out.WriteString(`\r`)
		case r == '\t':
			w.out.WriteString(`\t`)
		case r == '\b':
			w.out.WriteString(`\b`)
		case r == '\f':
			w.out.WriteString(`\f`)
		case r < 0x20:
			fmt.Fprintf(&w.out, `\u%04x`, r)
		default:
			w.out.WriteRune(r)
		}
	}
	w.out.WriteByte('"')
}

// pythonFloat writes a number as Python's repr does: the shortest digits that give
// it back, with an exponent below 1e-4 and from 1e16.
func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
