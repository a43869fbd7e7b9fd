package spec

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestSchema: everything has a type and an explanation, and good suites fit.
func TestSchema(t *testing.T) {
	var root schema
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	leaves := 0
	var walk func(path string, s *schema)
	walk = func(path string, s *schema) {
		if s.Type == nil && s.Const == "" {
			t.Errorf("%s has no type", path)
		}
		if s.Description == "" && !strings.HasSuffix(path, anyElement) {
			t.Errorf("%s isn't explained", path)
		}
		for name, p := range s.Properties {
			walk(join(path, name), p)
		}
		if s.Items != nil {
			walk(path+anyElement, s.Items)
		} else if s.Properties == nil {
			leaves++
		}
	}
	walk("", &root)
	if leaves < 60 {
		t.Errorf("%d keys: the format has more", leaves)
	}
	files, err := filepath.Glob("../*.yml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d shipped suites, %v", len(files), err)
	}
	for _, f := range append(files, "testdata/full.yml", "testdata/full.resolved.yml") {
		if err := fits(t, &root, f); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	for f, words := range map[string]string{
		"unknown-key": `"gate"`, "load-type": `"uniform"`, "metric-unknown": "happiness", "matrix-axis": "concurency", "workloads-missing": "workloads",
	} {
		err := fits(t, &root, "testdata/bad/"+f+".bad.yml")
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want an error with %s", f, err, words)
		}
	}
}

func fits(t *testing.T, s *schema, file string) error {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(js, &v); err != nil {
		t.Fatal(err)
	}
	return s.check("", v)
}

// check holds a value against a schema, as an editor does.
func (s *schema) check(path string, v any) error {
	kind := map[string]string{"map[string]interface {}": "object", "[]interface {}": "array", "string": "string", "bool": "boolean", "float64": "number"}[fmt.Sprintf("%T", v)]
	if f, ok := v.(float64); ok && s.Type == "integer" && f == math.Trunc(f) {
		kind = "integer"
	}
	if kind != s.Type {
		return fmt.Errorf("%s is %T, want %v", path, v, s.Type)
	}
	text, _ := v.(string)
	if s.Enum != nil && !slices.Contains(s.Enum, text) || s.Const != "" && s.Const != text || !regexp.MustCompile(s.Pattern).MatchString(text) {
		return fmt.Errorf("%s is %q", path, text)
	}
	for _, key := range s.Required {
		if v.(map[string]any)[key] == nil {
			return fmt.Errorf("%s lacks %q", path, key)
		}
	}
	if m, ok := v.(map[string]any); ok {
		for key, x := range m {
			p, known := s.Properties[key]
			if !known && s.Additional == false {
				return fmt.Errorf("%s has an unknown key %q", path, key)
			}
			if known {
				if err := p.check(join(path, key), x); err != nil {
					return err
				}
			}
		}
	}
	if list, ok := v.([]any); ok {
		for i, x := range list {
			if err := s.Items.check(at(path, i), x); err != nil {
				return err
			}
		}
	}
	return nil
}
