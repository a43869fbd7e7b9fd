// Package build holds the scripts that build what Paceline needs and doesn't
// write itself; there is no Go in it but the test of the scripts.
package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// workplace is where a test runs a script: a copy of this folder, a cache, and a PATH
// with the everyday tools and a cargo that only pretends.
type workplace struct {
	root, bin string
}

const fakeCargo = `#!/usr/bin/env bash
if [ "$1" = --version ]; then echo "cargo ${FAKE_CARGO_VERSION:-1.90.0} (0123456 2026-01-01)"; exit 0; fi
echo built >>"$FAKE_CARGO_LOG"
[ -z "${FAKE_CARGO_FAILS:-}" ] || { echo "error: could not compile" >&2; exit 101; }
grep -q '^tiktoken-rs = "=' crates/tokenizers/Cargo.toml && [ -s Cargo.lock ] || exit 1
while [ $# -gt 0 ]; do [ "$1" = --target-dir ] && target=$2; shift; done
mkdir -p "$target/release" && echo library >"$target/release/libtokenizers_ffi.a"
`

const fakeStrip = "#!/usr/bin/env bash\ncp \"$4\" \"$3\"\n"

func newWorkplace(t *testing.T) *workplace {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the scripts are for Unix")
	}
	b := &workplace{root: t.TempDir()}
	b.bin = filepath.Join(b.root, "bin")
	for _, dir := range []string{b.bin, filepath.Join(b.root, "build")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tool := range []string{
		"bash", "cat", "cc", "chmod", "cp", "cut", "dirname", "env", "flock", "go", "grep", "head", "mkdir",
		"mktemp", "mv", "rm", "sed", "sha256sum", "shasum", "sort",
	} {
		path, err := exec.LookPath(tool)
		if err != nil {
			continue // sha256sum or shasum, flock or none: the scripts know
		}
		if err := os.Symlink(path, filepath.Join(b.bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	b.write(t, "bin/cargo", fakeCargo)
	b.write(t, "bin/strip", fakeStrip)
	for _, name := range []string{"cache.sh", "tokenizers.sh", "influxd.sh", "tokenizers-v1.27.0.Cargo.lock"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, "build/"+name, string(data))
	}
	b.write(t, "go.mod", "module m\n\nrequire github.com/daulet/tokenizers v1.27.0\n")
	return b
}

func (b *workplace) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.root, name), []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// run runs a script and returns the last line of its output, what it said, and its
// error.
func (b *workplace) run(t *testing.T, script string, env ...string) (last, said string, err error) {
	t.Helper()
	// The real go needs its own folders; HOME is only where a cache would go.
	goEnv, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Split(string(goEnv), "\n")
	cmd := exec.Command("bash", filepath.Join(b.root, "build", script))
	cmd.Dir = b.root
	cmd.Env = append([]string{
		"PATH=" + b.bin, "HOME=" + b.root, "PACELINE_CACHE=" + filepath.Join(b.root, "cache"), "GOTOOLCHAIN=local",
		"GOMODCACHE=" + folders[0], "GOCACHE=" + folders[1], "GOPROXY=" + folders[2],
		"FAKE_CARGO_LOG=" + filepath.Join(b.root, "cargo.log"),
	}, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], stderr.String(), err
}

// builds says how often cargo was asked to build.
func (b *workplace) builds() int {
	data, _ := os.ReadFile(filepath.Join(b.root, "cargo.log"))
	return strings.Count(string(data), "built")
}

// leftovers are scratch folders that a script should have removed.
func (b *workplace) leftovers(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.root, "cache", "*", "*", ".build.*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTokenizersIsBuiltOnceAndFound(t *testing.T) {
	b := newWorkplace(t)
	first, said, err := b.run(t, "tokenizers.sh")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if _, err := os.Stat(filepath.Join(first, "libtokenizers.a")); err != nil || !strings.HasPrefix(first, filepath.Join(b.root, "cache")) {
		t.Fatalf("the last line %q is not the cached library's folder: %v", first, err)
	}
	second, said, err := b.run(t, "tokenizers.sh")
	if err != nil || second != first || b.builds() != 1 {
		t.Errorf("the second call gave %q, %v after %d builds, want %q after one\n%s", second, err, b.builds(), first, said)
	}
	if other, said, err := b.run(t, "tokenizers.sh", "FAKE_CARGO_VERSION=1.91.0"); err != nil || other == first || b.builds() != 2 {
		t.Errorf("another toolchain gave %q, %v after %d builds, want another folder after two\n%s", other, err, b.builds(), said)
	}
	if left := b.leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTokenizersCallsAtOnceBuildOnce(t *testing.T) {
	b := newWorkplace(t)
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("skipped: no flock on this machine, calls at once each build")
	}
	var calls sync.WaitGroup
	var folders [4]string
	for i := range folders {
		calls.Go(func() {
			last, said, err := b.run(t, "tokenizers.sh")
			if err != nil {
				t.Errorf("call %d: %v\n%s", i, err, said)
			}
			folders[i] = last
		})
	}
	calls.Wait()
	for _, folder := range folders {
		if folder != folders[0] {
			t.Errorf("folders %q", folders)
		}
	}
	if b.builds() != 1 {
		t.Errorf("built %d times, want once", b.builds())
	}
}

func TestScriptsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		name, script string
		spoil        func(t *testing.T, b *workplace)
		env          string
		want         string
	}{
		{"no cargo", "tokenizers.sh", func(t *testing.T, b *workplace) { remove(t, b, "bin/cargo") }, "", "install Rust 1.78.0 or newer"},
		{"an old cargo", "tokenizers.sh", nil, "FAKE_CARGO_VERSION=1.77.9", "cargo 1.77.9 is too old, 1.78.0 or newer"},
		{"an old cargo for influxd", "influxd.sh", nil, "FAKE_CARGO_VERSION=1.9.0", "cargo 1.9.0 is too old"},
		{"no cargo for influxd", "influxd.sh", func(t *testing.T, b *workplace) { remove(t, b, "bin/cargo") }, "", "install Rust"},
		{"a build that fails", "tokenizers.sh", nil, "FAKE_CARGO_FAILS=1", "cargo could not build the library"},
		{"no compiler", "tokenizers.sh", func(t *testing.T, b *workplace) { remove(t, b, "bin/cc") }, "", "install a C compiler"},
		{"no lock file", "tokenizers.sh", func(t *testing.T, b *workplace) { remove(t, b, "build/tokenizers-v1.27.0.Cargo.lock") }, "", "restore it from version control"},
		{"another version in go.mod", "tokenizers.sh", func(t *testing.T, b *workplace) {
			b.write(t, "go.mod", "module m\n\nrequire github.com/daulet/tokenizers v1.26.0 // indirect\n")
		}, "", "change both together"},
		{"nowhere to cache", "tokenizers.sh", func(t *testing.T, b *workplace) { b.write(t, "cache", "") }, "", "PACELINE_CACHE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newWorkplace(t)
			if c.spoil != nil {
				c.spoil(t, b)
			}
			last, said, err := b.run(t, c.script, c.env)
			if err == nil || !strings.Contains(said, c.want) {
				t.Errorf("got %v and %q, want an error with %q", err, said, c.want)
			}
			if last != "" {
				t.Errorf("printed %q although it failed", last)
			}
			if left := b.leftovers(t); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func remove(t *testing.T, b *workplace, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(b.root, name)); err != nil {
		t.Fatal(err)
	}
}

func TestARelativeCacheIsTakenFromHere(t *testing.T) {
	b := newWorkplace(t)
	last, said, err := b.run(t, "tokenizers.sh", "PACELINE_CACHE=here")
	if err != nil || !strings.HasPrefix(last, filepath.Join(b.root, "here")+"/") {
		t.Errorf("gave %q, %v, want a folder in %s/here\n%s", last, err, b.root, said)
	}
}

func TestInfluxdIsFoundInTheCache(t *testing.T) {
	b := newWorkplace(t)
	dir := filepath.Join(b.root, "cache", "influxd", "v2.9.1")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(t, "cache/influxd/v2.9.1/influxd", "#!/bin/sh\n")
	last, said, err := b.run(t, "influxd.sh")
	if want := filepath.Join(dir, "influxd"); err != nil || last != want {
		t.Errorf("gave %q, %v, want %q\n%s", last, err, want, said)
	}
}
