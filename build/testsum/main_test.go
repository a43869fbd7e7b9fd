package main

import (
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const stream = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA/one","Output":"    a_test.go:7: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA/one"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:9: no device\n"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
{"Action":"build-output","ImportPath":"q","Output":"q.go:1: oops\n"}
{"Action":"build-fail","ImportPath":"q"}
{"Action":"fail","Package":"q"}
`

func TestSum(t *testing.T) {
	var shown strings.Builder
	c, err := sum(strings.NewReader(stream), &shown)
	if err != nil {
		t.Fatal(err)
	}
	if c.Passed != 1 || c.Failed != 2 || len(c.Skipped) != 1 {
		t.Errorf("counts %+v, want 1 passed, 2 failed (a test and a build), 1 skipped", c)
	}
	for _, want := range []string{"got 1, want 2", "q.go:1: oops"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, shown.String())
		}
	}
	file := filepath.Join(t.TempDir(), "counts")
	for range 2 {
		if err := c.addTo(file); err != nil {
			t.Fatal(err)
		}
	}
	all, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code := all.report(&out, -1); code != 1 {
		t.Errorf("exit code %d with failures", code)
	}
	want := "skip  p TestC: no device\nskip  p TestC: no device\n2 passed, 4 failed, 2 skipped\n"
	if out.String() != want {
		t.Errorf("report\n%swant\n%s", out.String(), want)
	}
}

func TestNothingRunIsAFailure(t *testing.T) {
	var out strings.Builder
	if code := (counts{}).report(&out, -1); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if code := (counts{Passed: 1, Skipped: []string{"x"}}).report(&out, 0); code != 1 {
		t.Errorf("a skip too many: exit code %d", code)
	}
	if code := (counts{Passed: 1}).report(&out, 0); code != 0 {
		t.Errorf("all well: exit code %d", code)
	}
}

func TestNoted(t *testing.T) {
	for text, want := range map[string]counts{
		"pass examples/ci drive":                 {Passed: 1, noted: true},
		"fail examples/ci drive":                 {Failed: 1, noted: true},
		"skip examples/ci drive: a busy machine": {Skipped: []string{"examples/ci drive: a busy machine"}, noted: true},
	} {
		got, err := noted(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if code := got.report(io.Discard, -1); code != got.Failed {
			t.Errorf("%q: exit code %d", text, code)
		}
	}
	for _, text := range []string{"", "pass", "pass ", "skip without a reason", "lost x"} {
		if _, err := noted(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
