//go:build native

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/coordinator/ledger"
)

// TestConfiguredBuilds measures builds of every kind that a machine's configuration
// provides.
func TestConfiguredBuilds(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: no program git")
	}
	repo, commit := wrapperRepository(t)
	runtime := filepath.Join(t.TempDir(), "runtime")
	write(t, runtime, 0o700, "#!/bin/sh\n# run --rm IMAGE PORT: a container runtime that knows one image.\n[ \"$3\" = tiny@sha256:cd ] || { echo no such image: $3 >&2; exit 125; }\nexec "+self(t)+" test-server $4 good\n")
	image := "sha256:" + strings.Repeat("cd", 32)
	config := filepath.Join(t.TempDir(), agentConfigName)
	write(t, config, 0o600, fmt.Sprintf(`targets:
  tiny:
    launch: {args: ["{build}", test-server, "{port}", good]}
    accepts: [sha256, git]
  box:
    launch: {args: [%q, run, --rm, "{image}", "{port}"]}
    accepts: [image]
  gone: {url: "http://127.0.0.1:1"}
builds:
  binaries:
    - {sha256: %s, path: %q}
    - {sha256: %s, path: %q}
  git: {repository: %q, command: [sh, build.sh], output: out/paceline, env: {PROGRAM: %q}}
  images: [{digest: "%s", name: "tiny@sha256:cd"}]
`, runtime, selfHash(t), self(t), strings.Repeat("ee", 32), self(t), repo, self(t), image))

	run := func(args ...string) (outcome, string) {
		data := t.TempDir()
		return paceline(t, append([]string{"run", quick(t), "--data", data, "--agent-config", config}, args...)...), data
	}
	t.Run("a worker by digest", func(t *testing.T) {
		o, data := run("--build", "sha256:"+selfHash(t))
		o.expect(t, 0, "NOTHING WAS COMPARED")
		if r, x := only(t, data); r.Subject.Target != "engine" || x.Subject.BinaryHash != selfHash(t) {
			t.Errorf("%+v, %+v", r.Subject, x.Subject)
		}
	})
	t.Run("a worker by revision", func(t *testing.T) {
		o, data := run("--build", "git:v1", "--commit", commit, "--branch", "main")
		o.expect(t, 0, "NOTHING WAS COMPARED")
		r, x := only(t, data)
		if r.Subject.Build != "git:"+commit || x.Subject.Revision != commit {
			t.Errorf("%+v, %+v", r.Subject, x.Subject)
		}
		if y := rounds(t, data, r.ID)[0]; y.Join != ledger.JoinBase {
			t.Errorf("the round is %s: its commit is known", y.Join)
		}
	})
	t.Run("another commit than claimed", func(t *testing.T) {
		o, _ := run("--build", "git:v1", "--commit", strings.Repeat("1", 40), "--branch", "main")
		o.expect(t, exitRequest, "claims commit 111111111111", commit[:12])
	})
	t.Run("a server by digest", func(t *testing.T) {
		o, data := run("--target", "tiny", "--build", "sha256:"+selfHash(t))
		o.expect(t, 0, "NOTHING WAS COMPARED", "--target tiny")
		if r, x := only(t, data); r.Subject.Target != "tiny" || x.Subject.BinaryHash != selfHash(t) || x.Subject.Engine != "vllm" {
			t.Errorf("%+v, %+v", r.Subject, x.Subject)
		}
	})
	t.Run("a server by revision", func(t *testing.T) {
		o, data := run("--target", "tiny", "--build", "git:main")
		o.expect(t, 0, "NOTHING WAS COMPARED")
		if _, x := only(t, data); x.Subject.Revision != commit || x.Subject.BinaryHash == "" {
			t.Errorf("%+v", x.Subject)
		}
	})
	t.Run("an image", func(t *testing.T) {
		o, data := run("--target", "box", "--build", "image:"+image)
		o.expect(t, 0, "NOTHING WAS COMPARED")
		if r, x := only(t, data); r.Subject.Build != "image:"+image || x.Subject.Build != image || x.Subject.BinaryHash != "" {
			t.Errorf("%+v, %+v", r.Subject, x.Subject)
		}
	})
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"a file that was replaced":  {[]string{"--build", "sha256:" + strings.Repeat("ee", 32)}, exitMachine, []string{strings.Repeat("ee", 32), selfHash(t)}},
		"not in the repository":     {[]string{"--build", "git:nowhere"}, exitRequest, []string{`"nowhere" is not a commit`}},
		"a revision that is broken": {[]string{"--build", "git:broken"}, exitMachine, []string{"the build failed", "undefined: frob"}},
		"an image that isn't there": {[]string{"--target", "box", "--build", "image:sha256:" + strings.Repeat("0", 64)}, exitMachine, []string{"not allowed"}},
		"a kind it doesn't take":    {[]string{"--target", "box"}, exitMachine, []string{"takes builds of the kinds image"}},
		"a server that is down":     {[]string{"--target", "gone"}, exitMachine, []string{"nothing listens there"}},
		"a target with a near name": {[]string{"--target", "tinny"}, exitRequest, []string{`did you mean "tiny"`}},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := run(c.args...)
			o.expect(t, c.code, c.says...)
		})
	}
}

func write(t *testing.T, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// wrapperRepository is one whose build makes this very program: main and v1 are one
// commit, the branch broken doesn't build.
func wrapperRepository(t *testing.T) (dir, commit string) {
	t.Helper()
	dir = t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	write(t, filepath.Join(dir, "build.sh"), 0o600, "mkdir out && cp \"$PROGRAM\" out/paceline\n")
	git("add", ".")
	git("commit", "-qm", "one")
	git("tag", "v1")
	commit = git("rev-parse", "HEAD")
	git("checkout", "-q", "-b", "broken")
	write(t, filepath.Join(dir, "build.sh"), 0o600, "echo main.go:3: undefined: frob >&2; exit 1\n")
	git("commit", "-qam", "two")
	git("checkout", "-q", "main")
	return dir, commit
}
