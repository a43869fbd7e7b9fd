package spec

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files from what the code does now")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// Each .bad.yml has one mistake (but for "several"), and its messages beside it.
func TestBadSuites(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.bad.yml")
	if err != nil || len(files) < 70 {
		t.Fatalf("found %d bad suites, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".bad.yml"), func(t *testing.T) {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(f), src)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got error %v, want Problems", err)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Col < 1 || p.File == "" {
					t.Errorf("without a place: %+v", p)
				}
			}
			golden(t, strings.TrimSuffix(f, ".bad.yml")+".txt", []byte(err.Error()+"\n"))
		})
	}
}

func TestBadBytes(t *testing.T) {
	for name, c := range map[string]struct {
		src  []byte
		want string
	}{
		"not UTF-8": {[]byte("kind: Suite\nx: \xff\n"), "b.yml:2:4: the suite is not UTF-8: found byte 0xff"},
		"too large": {[]byte(strings.Repeat("#", MaxBytes+1)), "b.yml:1:1: the suite is too large: found 1048577 bytes, wanted at most 1048576"},
		"empty":     {nil, "b.yml:1:1: the suite is empty: wanted apiVersion: paceline/v1"},
	} {
		if _, err := Parse("b.yml", c.src); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func full(t *testing.T) *Suite {
	t.Helper()
	src, err := os.ReadFile("testdata/full.yml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse("full.yml", src)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFullSuite(t *testing.T) {
	s := full(t)
	golden(t, "testdata/full.resolved.yml", s.Resolved())
	again, err := Parse("resolved.yml", s.Resolved())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, again); diff != "" {
		t.Errorf("parsing the resolved suite (-original +again):\n%s", diff)
	}
	if err := s.Validate(); err != nil {
		t.Errorf("validate: %v", err)
	}
	if string(again.Resolved()) != string(s.Resolved()) {
		t.Error("resolving is not stable")
	}
}

// Defaults apply to workloads wherever they stand in the document.
func TestDefaultsApplyWhereverTheyStand(t *testing.T) {
	const head = "apiVersion: paceline/v1\nkind: Suite\nmetadata: {name: x}\nspec:\n"
	const work = "  workloads:\n    - name: a\n      data: {type: prompt, prompts: [hi]}\n      request: {top_k: 3}\n"
	const def = "  defaults:\n    request: {max_tokens: 9, top_k: 5}\n"
	for _, src := range []string{head + def + work, head + work + def} {
		s, err := Parse("x.yml", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if q := s.Workloads[0].Request; q.MaxTokens != 9 || q.TopK != 3 || q.API != "chat" {
			t.Errorf("got %+v, want max_tokens of the suite's defaults, top_k of its own, api of the program's", q)
		}
	}
}

func TestValidateChangesNothing(t *testing.T) {
	s := full(t)
	before := string(s.Resolved())
	s.Rounds = 0
	if err := s.Validate(); err == nil {
		t.Fatal("a suite of no rounds is valid")
	}
	s.Rounds = 3
	if string(s.Resolved()) != before {
		t.Error("validating changed the suite")
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yml", "testdata/bad/*.bad.yml", "../*.yml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := Parse("fuzz.yml", src)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("error is no Problems: %v", err)
			}
			return
		}
		again, err := Parse("resolved.yml", s.Resolved())
		if err != nil {
			t.Fatalf("the resolved suite doesn't parse: %v\n%s", err, s.Resolved())
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatalf("the resolved suite is another (-original +resolved):\n%s", diff)
		}
		if cells := s.Expand(); len(cells) == 0 || len(cells) > maxCells {
			t.Fatalf("%d cells", len(cells))
		}
	})
}

// Large hostile documents end in an error, not in a stack that overflows. The time
// they take is bounded by the size limit; it isn't asserted.
func TestHostileDocuments(t *testing.T) {
	for name, unit := range map[string]string{
		"flow lists": "[", "flow maps": "{", "flow pairs": "{a: ", "block lists": "- ", "explicit keys": "? ", "quotes": "\"", "anchors": "&a ",
		"commas": "[,", "lines": "a:\n", "indents": "a:\n ", "colons": ":", "tabs": "\t", "block texts": "|\n",
	} {
		t.Run(name, func(t *testing.T) {
			n := 9000 / len(unit)
			if _, err := Parse("h.yml", []byte(strings.Repeat(unit, n))); err == nil {
				t.Error("it parsed")
			}
		})
	}
}

func TestTooManyTokens(t *testing.T) {
	_, err := Parse("m.yml", []byte(strings.Repeat("a: b\n", maxLexemes/3+1)))
	if err == nil || !strings.Contains(err.Error(), "too many keys and values") {
		t.Errorf("got %v", err)
	}
}
