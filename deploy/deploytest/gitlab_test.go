package deploytest

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// pipeline runs the template's script as a GitLab runner does, in a folder that stands
// for the checkout with what the cache brought. GitLab's own part (cache, reports,
// rules) is outside and not tested here.
type pipeline struct {
	t         *testing.T
	script    string
	variables map[string]string // the template's defaults
	dir       string
}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "gitlab", "paceline.gitlab-ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]struct {
		Script    []string          `yaml:"script"`
		Variables map[string]string `yaml:"variables"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	job := doc[".paceline"]
	if len(job.Script) == 0 {
		t.Fatal("the template has no script")
	}
	return &pipeline{t, strings.Join(job.Script, "\n"), job.Variables, t.TempDir()}
}

// run gives the job's exit code and the calls of paceline.
func (p *pipeline) run(variables map[string]string, ends string) (code int, calls [][]string) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	record := filepath.Join(p.t.TempDir(), "calls")
	all := maps.Clone(p.variables)
	maps.Copy(all, map[string]string{"PACELINE": self, "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_SHA": "c0ffee", "PATH": os.Getenv("PATH"), recordTo: record, runEnds: ends})
	maps.Copy(all, variables)
	cmd := exec.Command("sh", "-e", "-c", p.script) // images may have no bash
	cmd.Dir = p.dir
	for k, v := range all {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(record)
	if err != nil {
		p.t.Fatalf("paceline was not called: %v\n%s", err, out)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var c call
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			p.t.Fatal(err)
		}
		calls = append(calls, c.Args)
	}
	return cmd.ProcessState.ExitCode(), calls
}

func mergeRequest(source string) map[string]string {
	return map[string]string{
		"CI_COMMIT_REF_NAME": source, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": source, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_MERGE_REQUEST_IID": "7",
	}
}

func TestGitLab(t *testing.T) {
	p := newPipeline(t)
	main := map[string]string{"CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main", "PACELINE_LAUNCH": "{build} --port {port}"}

	code, calls := p.run(mergeRequest("early"), "0")
	if code != 0 || len(calls) != 1 || !slices.Contains(calls[0], "--git=no") || has(calls[0], "--baseline") {
		t.Errorf("a first merge request: exit %d after %q", code, calls)
	}
	code, calls = p.run(main, "0")
	if code != 0 || len(calls) != 2 || calls[1][1] != "export" || !slices.Contains(calls[0], "--launch={build} --port {port}") || has(calls[0], "--base-ref") || has(calls[0], "--model") {
		t.Errorf("the default branch: exit %d after %q", code, calls)
	}
	code, calls = p.run(main, "1")
	if code != 1 || len(calls) != 2 || calls[0][1] != "import" || calls[1][0] != "run" {
		t.Errorf("the default branch, slower: exit %d after %q", code, calls)
	}
	for _, ends := range []string{"0", "1", "3", "4"} {
		code, calls = p.run(mergeRequest("x`touch OWNED`;$(touch OWNED)"), ends)
		if string('0'+rune(code)) != ends || len(calls) != 2 || calls[0][1] != "import" || !has(calls[1], "--baseline=.paceline/") || !slices.Contains(calls[1], "--branch=x`touch OWNED`;$(touch OWNED)") {
			t.Errorf("a merge request that ends with %s: exit %d after %q", ends, code, calls)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, "OWNED")); err == nil {
		t.Error("a branch's name was executed")
	}
	server := mergeRequest("main") // of a fork
	server["PACELINE_COORDINATOR"] = "https://paceline.example.com"
	code, calls = p.run(server, "0")
	if code != 0 || len(calls) != 1 || has(calls[0], "--data") || !slices.Contains(calls[0], "--branch=merge-request/7") || !slices.Contains(calls[0], "--base-ref=main") {
		t.Errorf("a fork's main at a coordinator: exit %d after %q", code, calls)
	}
}
