package serve

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// object reads the members of a JSON object. It keeps the first failure and gives zeros
// after it, so that callers ask once, at the end. A null member counts as one that isn't
// there.
type object struct {
	members map[string]json.RawMessage
	failure *failure
}

// parseObject reads a body.
func parseObject(body []byte) *object {
	o := &object{}
	if !utf8.Valid(body) {
		o.fail(refuse("", "the body is not UTF-8"))
		return o
	}
	if err := json.Unmarshal(body, &o.members); err != nil || o.members == nil {
		o.fail(refuse("", "the body is not a JSON object: %s", inWords(err)))
		return o
	}
	for name, raw := range o.members {
		if string(raw) == "null" {
			delete(o.members, name)
		}
	}
	return o
}

// inWords says where JSON is wrong.
func inWords(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return "it is null"
	case errors.As(err, &syntax):
		return syntax.Error() + " (byte " + strconv.FormatInt(syntax.Offset, 10) + ")"
	case errors.As(err, &kind):
		return "it is a JSON " + kind.Value
	}
	return err.Error()
}

func (o *object) fail(f *failure) {
	if o.failure == nil {
		o.failure = f
	}
}

// names are the members' names, in order.
func (o *object) names() []string {
	out := make([]string, 0, len(o.members))
	for name := range o.members {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (o *object) has(name string) bool { return o.members[name] != nil }

// read decodes a member into what into points to.
func (o *object) read(name string, into any, want string) bool {
	raw := o.members[name]
	if raw == nil || o.failure != nil {
		return false
	}
	if err := json.Unmarshal(raw, into); err != nil {
		o.fail(refuse(name, "%s: want %s, not %s", name, want, shown(raw)))
		return false
	}
	return true
}

// shown is the beginning of a value.
func shown(raw []byte) string {
	const most = 60
	if len(raw) <= most {
		return string(raw)
	}
	cut := most
	for !utf8.RuneStart(raw[cut]) {
		cut--
	}
	return string(raw[:cut]) + "…"
}

func (o *object) text(name string) (s string) {
	o.read(name, &s, "a text")
	return s
}

func (o *object) flag(name string, otherwise bool) bool {
	v := otherwise
	if !o.read(name, &v, "true or false") {
		return otherwise
	}
	return v
}

// number is a finite number from low to high.
func (o *object) number(name string, low, high, otherwise float64) float64 {
	v := otherwise
	if !o.read(name, &v, "a number") {
		return otherwise
	}
	if !(v >= low && v <= high) {
		o.fail(refuse(name, "%s %v: want %v to %v", name, v, low, high))
	}
	return v
}

// count is a whole number from low to high. 16.0 is one too: some clients write all
// numbers so.
func (o *object) count(name string, low, high, otherwise int64) int64 {
	raw := o.members[name]
	if raw == nil || o.failure != nil {
		return otherwise
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(raw), 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			o.fail(refuse(name, "%s: want a whole number, not %s", name, shown(raw)))
			return otherwise
		}
		v = int64(f)
	}
	switch {
	case v < low:
		o.fail(refuse(name, "%s %d: want at least %d", name, v, low))
	case v > high:
		o.fail(refuse(name, "%s %d: want at most %d", name, v, high))
	}
	return v
}

// is says whether a member has one of the values, given as JSON.
func (o *object) is(name string, values []string) bool {
	var got any
	if json.Unmarshal(o.members[name], &got) != nil {
		return false
	}
	return slices.ContainsFunc(values, func(v string) bool {
		var want any
		return json.Unmarshal([]byte(v), &want) == nil && reflect.DeepEqual(got, want)
	})
}
