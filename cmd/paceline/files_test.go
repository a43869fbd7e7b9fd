package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Symlink(dir, at("link")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		flags outputFlags
		says  []string // nil: it is fine
	}{
		"nothing":           {},
		"several":           {flags: outputFlags{outputs: []string{"junit=" + at("a.xml"), "markdown=" + at("a.md"), "openmetrics=" + at("m.txt")}, out: at("r.json"), report: at("r.html")}},
		"a device twice":    {flags: outputFlags{outputs: []string{"junit=/dev/null", "json=/dev/null"}}},
		"no kind":           {outputFlags{outputs: []string{"report.xml"}}, []string{`--output "report.xml"`, "KIND=PATH", "junit=report.xml"}},
		"no path":           {outputFlags{outputs: []string{"junit="}}, []string{"--output junit=", "--format junit"}},
		"standard output":   {outputFlags{outputs: []string{"markdown=-"}}, []string{"--format markdown"}},
		"unknown kind":      {outputFlags{outputs: []string{"junt=" + at("a.xml")}}, []string{`did you mean "junit"?`}},
		"a far kind":        {outputFlags{outputs: []string{"spreadsheet=" + at("a.xml")}}, []string{"known are human", "openmetrics"}},
		"no folder":         {outputFlags{outputs: []string{"junit=" + at("no/a.xml")}}, []string{"--output junit", "there is no folder " + at("no")}},
		"a folder":          {outputFlags{outputs: []string{"junit=" + dir}}, []string{"it is a folder"}},
		"the same twice":    {outputFlags{outputs: []string{"junit=" + at("a"), "json=" + at("x/../a")}}, []string{"--output junit and --output json"}},
		"the same file":     {outputFlags{outputs: []string{"junit=" + at("a"), "json=" + at("./a")}}, []string{"--output junit and --output json", "the file " + at("a")}},
		"by another way":    {outputFlags{outputs: []string{"junit=" + at("a"), "json=" + at("link/a")}}, []string{"--output junit and --output json"}},
		"the report":        {outputFlags{outputs: []string{"junit=" + at("r.html")}, report: at("r.html")}, []string{"--report and --output junit"}},
		"the samples":       {outputFlags{outputs: []string{"junit=" + at("r.samples.jsonl")}, out: at("r.json")}, []string{"the samples of --out and --output junit"}},
		"a report nowhere":  {outputFlags{report: at("no/r.html")}, []string{"--report", "there is no folder"}},
		"a result nowhere":  {outputFlags{out: dir}, []string{"--out", "it is a folder"}},
		"a file for folder": {outputFlags{outputs: []string{"junit=/dev/null/a.xml"}}, []string{"there is no folder /dev/null"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.flags.checkFiles()
			if c.says == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var exit *exitError
			if !errors.As(err, &exit) || exit.code != exitRequest {
				t.Fatalf("got %v, want exit 2", err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q doesn't say %q", err, s)
				}
			}
		})
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("checking left %v, %v", entries, err)
	}
}

// TestWriteFile: there is the old file, or a whole new one.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.xml")
	put := func(s string, err error) error {
		return writeFile(path, func(w io.Writer) error {
			_, werr := fmt.Fprint(w, s)
			return errors.Join(werr, err)
		})
	}
	want := func(s string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != s {
			t.Errorf("there is %q, %v; want %q", b, err, s)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("%s is left", e.Name())
			}
		}
	}
	if err := put("one", nil); err != nil {
		t.Fatal(err)
	}
	want("one")
	broken := errors.New("broken")
	if err := put("half", broken); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	want("one")
	// A link stays a link to the new file.
	real := filepath.Join(dir, "real.xml")
	if err := os.Rename(path, real); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, path); err != nil {
		t.Fatal(err)
	}
	if err := put("two", nil); err != nil {
		t.Fatal(err)
	}
	want("two")
	if st, err := os.Lstat(path); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", st.Mode(), err)
	}
	if st, err := os.Stat(real); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	// A device is written to and stays one.
	path = os.DevNull
	if err := put("gone", nil); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(os.DevNull); err != nil || st.Mode().IsRegular() {
		t.Errorf("%s became %v, %v", os.DevNull, st.Mode(), err)
	}
}
