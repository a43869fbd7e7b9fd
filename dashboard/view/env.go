package view

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/result"
)

// Field is one named fact.
type Field struct{ Name, Value string }

// Differing is a fact that is not the same here and there.
type Differing struct {
	Name, Here, There string
	Class             bool // part of the hardware class: results are not comparable
}

// Facts lists a round's machine, software and subject.
func Facts(r *result.Round) []Field {
	flat := factsOf(r)
	out := make([]Field, 0, len(flat))
	for _, k := range slices.Sorted(maps.Keys(flat)) {
		out = append(out, Field{k, flat[k]})
	}
	return out
}

// Difference lists what differs between two rounds. Load averages always do and are
// left out.
func Difference(here, there *result.Round) []Differing {
	a, b := factsOf(here), factsOf(there)
	names := map[string]bool{}
	for k := range a {
		names[k] = true
	}
	for k := range b {
		names[k] = true
	}
	var out []Differing
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if k == "load1" || a[k] == b[k] {
			continue
		}
		out = append(out, Differing{Name: k, Here: orMissing(a[k]), There: orMissing(b[k]), Class: strings.HasPrefix(k, "hardware ")})
	}
	return out
}

func orMissing(s string) string {
	if s == "" {
		return Missing
	}
	return s
}

// factsOf flattens environment and identity to named texts; what is empty is left out.
func factsOf(r *result.Round) map[string]string {
	out := map[string]string{}
	flatten(out, "", r.Environment)
	flatten(out, "subject ", r.Subject)
	return out
}

func flatten(out map[string]string, prefix string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		return // plain structs of strings and numbers have an encoding
	}
	var m any
	if json.Unmarshal(b, &m) == nil {
		walk(out, prefix, m)
	}
}

func walk(out map[string]string, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			walk(out, name+strings.ReplaceAll(k, "_", " ")+" ", x)
		}
	case []any:
		for i, x := range v {
			walk(out, fmt.Sprintf("%s%d ", name, i+1), x)
		}
	case nil:
	case float64:
		if v != 0 {
			out[strings.TrimSpace(name)] = bytesOr(name, v)
		}
	default:
		if s := fmt.Sprint(v); s != "" && s != "false" {
			out[strings.TrimSpace(name)] = s
		}
	}
}

func bytesOr(name string, v float64) string {
	if strings.HasSuffix(strings.TrimSpace(name), "bytes") {
		return fmt.Sprintf("%.1f GiB", v/(1<<30))
	}
	return fmt.Sprintf("%.12g", v)
}
