package baseline

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"github.com/paceline/paceline/bench/result"
)

// Differences names every field in which two keys differ, in words: "cores was 2,
// now 8". Series whose keys differ are not comparable; this is why.
func Differences(was, now result.Key) []string {
	var out []string
	compare("", reflect.ValueOf(was), reflect.ValueOf(now), &out)
	return out
}

// compare walks both structs; field names are those of the JSON.
func compare(name string, a, b reflect.Value, out *[]string) {
	if a.Kind() == reflect.Struct {
		for i := range a.NumField() {
			tag, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			compare(cmp.Or(tag, a.Type().Field(i).Name), a.Field(i), b.Field(i), out)
		}
		return
	}
	if x, y := show(a), show(b); x != y {
		*out = append(*out, fmt.Sprintf("%s was %s, now %s", name, short(x), short(y)))
	}
}

// short cuts a digest for people.
func short(s string) string {
	const hexDigits, prefixed = 64, 64 + len("sha256:")
	if len(s) == hexDigits || len(s) == prefixed {
		return s[:19] + "…"
	}
	return s
}

// show writes a value for people: nothing is "none".
func show(v reflect.Value) string {
	text := fmt.Sprint(v.Interface())
	if v.Kind() == reflect.Slice && v.Len() == 0 || v.IsZero() {
		return "none"
	}
	return text
}
