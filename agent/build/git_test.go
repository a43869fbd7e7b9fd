package build

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// repository has two commits whose program says its version; it is left dirty.
func repository(t *testing.T) (dir, first, second string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: no program git")
	}
	dir = t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "source"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("init", "-q", "-b", "main")
	write("one")
	run("add", ".")
	run("commit", "-qm", "one")
	first = run("rev-parse", "HEAD")
	run("tag", "v1")
	write("two")
	run("commit", "-qam", "two")
	second = run("rev-parse", "HEAD")
	write("never committed")
	return dir, first, second
}

func recipe(dir string) Recipe {
	return Recipe{
		Repository: dir, Output: "out/prog", Env: []string{"SUFFIX=!"},
		Command: []string{"sh", "-c", `echo building; mkdir out; printf '%s%s' "$(cat source)" "$SUFFIX" >out/prog; echo x >>../../count`},
	}
}

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRevision(t *testing.T) {
	dir, first, second := repository(t)
	cache := t.TempDir()
	var logged []string
	for _, c := range []struct{ ref, commit, want string }{
		{"v1", first, "one!"}, {"main", second, "two!"}, {"HEAD~1", first, "one!"}, {first[:10], first, "one!"},
	} {
		b, err := Revision(t.Context(), recipe(dir), cache, c.ref, func(l string) { logged = append(logged, l) })
		if err != nil {
			t.Fatal(err)
		}
		if b.Commit != c.commit || contents(t, b.Path) != c.want {
			t.Errorf("%s: %+v with %q", c.ref, b, contents(t, b.Path))
		}
	}
	if n := strings.Count(contents(t, filepath.Join(cache, "count")), "x"); n != 2 || len(logged) != 2 {
		t.Errorf("built %d times, log %q: two commits are two builds", n, logged)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "work-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestBuildsWaitForOneAnother: two builds of one commit at once are one build.
func TestBuildsWaitForOneAnother(t *testing.T) {
	dir, _, _ := repository(t)
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Revision(t.Context(), recipe(dir), cache, "main", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(contents(t, filepath.Join(cache, "count")), "x"); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestBuildsThatFail(t *testing.T) {
	dir, _, _ := repository(t)
	for name, c := range map[string]struct {
		ref    string
		change func(*Recipe)
		is     error
		says   string
	}{
		"not in the repository": {"nowhere", nil, ErrRevision, dir},
		"a commit of elsewhere": {strings.Repeat("ab", 20), nil, ErrRevision, "abab"},
		"an option":             {"--help", nil, ErrRevision, "--help"},
		"a file, no commit":     {"HEAD:source", nil, ErrRevision, "HEAD:source"},
		"the command fails":     {"main", func(r *Recipe) { r.Command = []string{"sh", "-c", "echo undefined: frob >&2; exit 2"} }, ErrFailed, "undefined: frob"},
		"no file comes":         {"main", func(r *Recipe) { r.Command = []string{"true"} }, ErrFailed, "out/prog"},
		"no such command":       {"main", func(r *Recipe) { r.Command = []string{"no-such-compiler"} }, errRecipe, "no-such-compiler"},
		"no repository":         {"main", func(r *Recipe) { r.Repository = "/nowhere" }, errRecipe, "/nowhere"},
		"no git repository":     {"main", func(r *Recipe) { r.Repository = os.TempDir() }, errRecipe, os.TempDir()},
		"an output outside":     {"main", func(r *Recipe) { r.Output = "../prog" }, errRecipe, "../prog"},
		"no command":            {"main", func(r *Recipe) { r.Command = nil }, errRecipe, "no command"},
	} {
		t.Run(name, func(t *testing.T) {
			r, cache := recipe(dir), t.TempDir()
			if c.change != nil {
				c.change(&r)
			}
			_, err := Revision(t.Context(), r, cache, c.ref, nil)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v that says %q", err, c.is, c.says)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "*-*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
