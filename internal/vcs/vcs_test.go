package vcs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a repository made by git in a temporary folder.
type repository struct {
	*Repo
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &repository{t: t, dir: dir}
	r.git("init", "-q", "-b", "main")
	if r.Repo, err = Open(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	args = append([]string{"-C", r.dir, "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"}, args...)
	out, err := exec.Command("git", args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file and commits it.
func (r *repository) commit(text string) string {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "suite.yml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", text)
	return r.git("rev-parse", "HEAD")
}

// clone is a clone of r.
func (r *repository) clone(args ...string) *repository {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "clone")
	r.git(append(append([]string{"clone", "-q"}, args...), "file://"+r.dir, dir)...)
	repo, err := Open(r.t.Context(), dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return &repository{Repo: repo, t: r.t, dir: dir}
}

func TestNoRepository(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", "/")
	dir := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))
	if _, err := Open(t.Context(), dir); !errors.Is(err, ErrNoRepository) {
		t.Errorf("got %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(t.Context(), dir); !errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("without git: %v", err)
	}
}

func TestHistory(t *testing.T) {
	r := newRepository(t)
	ctx := t.Context()
	one, two := r.commit("1"), r.commit("2")
	r.git("checkout", "-q", "-b", "topic/x")
	a := r.commit("a")
	r.git("checkout", "-q", "main")
	three := r.commit("3")
	r.git("checkout", "-q", "topic/x")

	if b, err := r.Branch(ctx); b != "topic/x" || err != nil {
		t.Errorf("branch %q, %v", b, err)
	}
	c, err := r.Commit(ctx, "HEAD")
	if err != nil || c.Hash != a || c.Parent != two || c.Time.IsZero() {
		t.Errorf("HEAD is %+v, %v", c, err)
	}
	if c, err = r.Commit(ctx, a[:9]); err != nil || c.Hash != a {
		t.Errorf("a short hash: %+v, %v", c, err)
	}
	if c, err = r.Commit(ctx, one); err != nil || c.Parent != "" {
		t.Errorf("the root is %+v, %v", c, err)
	}
	for _, name := range []string{"nope", "", "-x", "--all", "a b", strings.Repeat("0", 40), "HEAD:suite.yml"} {
		if _, err := r.Commit(ctx, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("commit %q: %v", name, err)
		}
	}
	if got, err := r.MergeBase(ctx, a, three); err != nil || got != two {
		t.Errorf("merge base %s, %v", got, err)
	}
	if got, cut, err := r.Ancestors(ctx, three, 200); err != nil || cut || strings.Join(got, " ") != strings.Join([]string{three, two, one}, " ") {
		t.Errorf("ancestors %v, %v, %v", got, cut, err)
	}
	if got, cut, err := r.Ancestors(ctx, three, 2); err != nil || !cut || len(got) != 2 {
		t.Errorf("two ancestors: %v, %v, %v", got, cut, err)
	}
	if b, err := r.Show(ctx, two, "suite.yml"); err != nil || string(b) != "2" {
		t.Errorf("the file is %q, %v", b, err)
	}
	if _, err := r.Show(ctx, two, "other.yml"); !errors.Is(err, ErrNoFile) {
		t.Errorf("another file: %v", err)
	}
	r.git("checkout", "-q", "--detach")
	if b, err := r.Branch(ctx); b != "" || err != nil {
		t.Errorf("detached: branch %q, %v", b, err)
	}
	r.git("checkout", "-q", "--orphan", "alone")
	z := r.commit("z")
	if _, err := r.MergeBase(ctx, z, three); !errors.Is(err, ErrUnrelated) {
		t.Errorf("unrelated: %v", err)
	}
	if path, ok := r.Path(filepath.Join(r.dir, "sub", "..", "suite.yml")); !ok || path != "suite.yml" {
		t.Errorf("path %q, %v", path, ok)
	}
	if path, ok := r.Path(filepath.Join(r.dir, "..", "elsewhere.yml")); ok {
		t.Errorf("path %q lies elsewhere", path)
	}
}

// TestBase: what a base is called in a clone that CI made.
func TestBase(t *testing.T) {
	r := newRepository(t)
	ctx := t.Context()
	one := r.commit("1")
	r.git("tag", "v1")
	r.git("checkout", "-q", "-b", "release/2")
	two := r.commit("2")
	r.git("checkout", "-q", "main")
	c := r.clone()
	c.git("checkout", "-q", "--detach", "origin/release/2")
	c.git("branch", "-q", "-D", "main")
	for name, want := range map[string]Ref{
		"main": {one, "main"}, "origin/main": {one, "main"}, "refs/heads/main": {one, "main"}, "refs/remotes/origin/release/2": {two, "release/2"},
		"release/2": {two, "release/2"}, "v1": {one, ""}, one[:10]: {one, ""},
	} {
		if got, err := c.Base(ctx, name); err != nil || got != want {
			t.Errorf("%s is %+v, %v, want %+v", name, got, err, want)
		}
	}
	if _, err := c.Base(ctx, "gone"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestShallowClone(t *testing.T) {
	r := newRepository(t)
	ctx := t.Context()
	r.commit("1")
	r.git("checkout", "-q", "-b", "topic")
	r.commit("a")
	r.git("checkout", "-q", "main")
	r.commit("2")
	c := r.clone("--depth", "1", "--no-single-branch")
	if s, err := c.Shallow(ctx); !s || err != nil {
		t.Errorf("shallow: %v, %v", s, err)
	}
	if _, err := c.MergeBase(ctx, "origin/topic", "origin/main"); !errors.Is(err, ErrUnrelated) {
		t.Errorf("merge base: %v", err)
	}
	if got, cut, err := c.Ancestors(ctx, "origin/main", 200); len(got) != 1 || !cut || err != nil {
		t.Errorf("ancestors %v, %v, %v", got, cut, err)
	}
}

func TestFromCI(t *testing.T) {
	for name, c := range map[string]struct {
		env  string
		want CI
	}{
		"GitHub push": {"GITHUB_ACTIONS=true GITHUB_REF_NAME=feature/x GITHUB_REF_TYPE=branch", CI{"GitHub Actions", "feature/x", "", false}},
		"GitHub pull request": {
			"GITHUB_ACTIONS=true GITHUB_REF_NAME=7/merge GITHUB_REF_TYPE=branch GITHUB_HEAD_REF=feature/x GITHUB_BASE_REF=main",
			CI{"GitHub Actions", "feature/x", "main", true},
		},
		"GitHub tag":           {"GITHUB_ACTIONS=true GITHUB_REF_NAME=v1 GITHUB_REF_TYPE=tag", CI{"GitHub Actions", "", "", false}},
		"GitLab branch":        {"GITLAB_CI=true CI_COMMIT_BRANCH=x CI_DEFAULT_BRANCH=main", CI{"GitLab CI", "x", "main", false}},
		"GitLab merge request": {"GITLAB_CI=true CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=x CI_MERGE_REQUEST_TARGET_BRANCH_NAME=next CI_DEFAULT_BRANCH=main", CI{"GitLab CI", "x", "next", true}},
		"Buildkite":            {"BUILDKITE=true BUILDKITE_BRANCH=x BUILDKITE_PIPELINE_DEFAULT_BRANCH=main", CI{"Buildkite", "x", "main", false}},
		"Buildkite pull":       {"BUILDKITE=true BUILDKITE_BRANCH=main BUILDKITE_PULL_REQUEST=7 BUILDKITE_PULL_REQUEST_BASE_BRANCH=main BUILDKITE_PIPELINE_DEFAULT_BRANCH=main", CI{"Buildkite", "main", "main", true}},
		"CircleCI":             {"CIRCLECI=true CIRCLE_BRANCH=x", CI{"CircleCI", "x", "", false}},
		"Jenkins":              {"JENKINS_URL=http://j BRANCH_NAME=PR-1 CHANGE_BRANCH=x CHANGE_TARGET=main", CI{"Jenkins", "x", "main", true}},
		"another":              {"CI=true", CI{"CI", "", "", false}},
	} {
		env := map[string]string{}
		for _, kv := range strings.Fields(c.env) {
			k, v, _ := strings.Cut(kv, "=")
			env[k] = v
		}
		if got, ok := FromCI(func(k string) string { return env[k] }); !ok || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, ok, c.want)
		}
	}
	if _, ok := FromCI(func(string) string { return "" }); ok {
		t.Error("CI without a variable of one")
	}
}

func FuzzParse(f *testing.F) {
	h := strings.Repeat("a1", 20)
	f.Add(h + " 1700000000 " + h + " " + h)
	f.Add(h + " 1700000000")
	f.Add(h + "\n" + h + "\n")
	f.Add("fatal: bad")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := parseCommit(s); err == nil && (!isHash(c.Hash) || c.Parent != "" && !isHash(c.Parent)) {
			t.Errorf("%q is read as %+v", s, c)
		}
		hs, err := parseHashes([]byte(s))
		for _, h := range hs {
			if err == nil && !isHash(h) {
				t.Errorf("%q has the hash %q", s, h)
			}
		}
	})
}
