package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// fakeJob is a GitHub job with its files.
func fakeJob(t *testing.T) githubJob {
	t.Helper()
	dir := t.TempDir()
	j := githubJob{on: true, summary: filepath.Join(dir, "summary.md"), outputs: filepath.Join(dir, "output"), workspace: dir}
	for _, p := range []string{j.summary, j.outputs} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func failed() *format.Report {
	return &format.Report{RunID: "r1", Suite: "ci", Overall: gate.Run{Kind: gate.Fail, Exit: gate.ExitFail, Headline: "it got worse"}}
}

func TestGitHubFrom(t *testing.T) {
	env := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "/s", "GITHUB_OUTPUT": "/o", "GITHUB_WORKSPACE": "/w"}
	get := func(k string) string { return env[k] }
	if got, want := githubFrom(get), (githubJob{true, "/s", "/o", "/w"}); got != want {
		t.Errorf("%+v", got)
	}
	env["GITHUB_ACTIONS"] = "" // as on a laptop that has the rest left over
	if got := githubFrom(get); got != (githubJob{}) {
		t.Errorf("%+v", got)
	}
}

// TestJobIsTold twice, as by two runs of one step: both are appended.
func TestJobIsTold(t *testing.T) {
	j := fakeJob(t)
	var w bytes.Buffer
	for range 2 {
		j.tell(&w, failed(), format.Annotations(failed()))
	}
	if n := strings.Count(w.String(), "::error title=paceline ci%3A FAIL (exit 1)::it got worse\n"); n != 2 {
		t.Errorf("annotations: %s", w.String())
	}
	if s := read(t, j.summary); strings.Count(s, "<!-- paceline:ci -->") != 2 || !strings.Contains(s, "\n\n<!--") {
		t.Errorf("summary: %s", s)
	}
	s := read(t, j.outputs)
	if strings.Count(s, "verdict<<") != 2 || strings.Count(s, "\nfail\n") != 2 || strings.Count(s, "\n1\n") != 2 {
		t.Errorf("outputs: %s", s)
	}
}

// TestJobThatCantBeTold: it is said, and what can be told is.
func TestJobThatCantBeTold(t *testing.T) {
	j := fakeJob(t)
	outputs := j.outputs
	j.summary = filepath.Join(j.workspace, "no", "summary.md")
	var w bytes.Buffer
	j.tell(&w, failed(), nil)
	if !strings.Contains(w.String(), "summary is not written") || !strings.Contains(read(t, outputs), "verdict") {
		t.Errorf("%s", w.String())
	}
	j = fakeJob(t)
	if err := os.Truncate(j.summary, format.SummaryLimit-100); err != nil {
		t.Fatal(err)
	}
	w.Reset()
	j.tell(&w, failed(), nil)
	if st, err := os.Stat(j.summary); err != nil || st.Size() != format.SummaryLimit-100 || !strings.Contains(w.String(), "nearly full") {
		t.Errorf("%s, %v", w.String(), err)
	}
	w.Reset()
	githubJob{}.tell(&w, failed(), format.Annotations(failed()))
	if w.Len() > 0 {
		t.Errorf("no job, and yet: %s", w.String())
	}
}

func TestRepositoryPath(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"repo/.git", "repo/bench", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"repo/bench/my.yml", "other/my.yml"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "repo"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ root, path, want string }{
		{"", "repo/bench/my.yml", "bench/my.yml"},
		{"repo", "repo/bench/my.yml", "bench/my.yml"},
		{"link", "repo/bench/my.yml", "bench/my.yml"},
		{"", "link/bench/my.yml", "bench/my.yml"},
		{"repo", "other/my.yml", ""},
		{"repo", "repo/bench/none.yml", ""},
		{"repo", "repo/bench", ""},
	} {
		j := githubJob{}
		if c.root != "" {
			j.workspace = filepath.Join(dir, c.root)
		}
		if got := j.repositoryPath(filepath.Join(dir, c.path)); got != c.want {
			t.Errorf("%s in %q is %q, want %q", c.path, c.root, got, c.want)
		}
	}
}

// TestAnnotationsOfABadSuite: each mistake at its place.
func TestAnnotationsOfABadSuite(t *testing.T) {
	j := fakeJob(t)
	path := filepath.Join(j.workspace, "bad.yml")
	if err := os.WriteFile(path, []byte("apiVersion: paceline/v1\nkind: Suit\nnope: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := spec.Parse(path, []byte(read(t, path)))
	as := j.annotations(failed(), fail(exitRequest, "%w", err))
	if len(as) < 2 {
		t.Fatalf("%+v", as)
	}
	for _, a := range as {
		if a.File != "bad.yml" || a.Line == 0 || strings.Contains(a.Text, "bad.yml") {
			t.Errorf("%+v", a)
		}
	}
}
