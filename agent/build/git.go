// Package build makes a file that can be started out of a revision of a git
// repository, by the recipe in the agent's configuration.
//
// Every commit is built once, in a clean clone of it, one at a time on a machine, and
// kept. What is done with the file is package agent's.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Recipe says how a revision is built.
type Recipe struct {
	Repository string   // path on this machine
	Command    []string // run in a clean clone of the revision
	Output     string   // file that it makes, relative to the clone
	Env        []string // NAME=value
}

// Built is what came of it.
type Built struct {
	Path   string // of the file
	Commit string // full
}

// Errors, wrapped by those of Revision.
var (
	ErrRevision = errors.New("no such revision")        // the repository has none of that name
	ErrFailed   = errors.New("the build failed")        // its command did, or made no file
	errRecipe   = errors.New("the recipe is not right") // this machine's configuration
)

// Check says what is wrong with a recipe before anything is built.
func (r Recipe) Check() error {
	switch {
	case r.Repository == "":
		return fmt.Errorf("%w: it names no repository", errRecipe)
	case len(r.Command) == 0 || r.Command[0] == "":
		return fmt.Errorf("%w: it has no command", errRecipe)
	case !filepath.IsLocal(r.Output):
		return fmt.Errorf("%w: the output %q must be a path below the repository", errRecipe, r.Output)
	}
	return nil
}

// Resolve gives the commit that a revision names in the recipe's repository.
func (r Recipe) Resolve(ctx context.Context, ref string) (string, error) {
	if st, err := os.Stat(r.Repository); err != nil || !st.IsDir() {
		return "", fmt.Errorf("%w: there is no repository at %s", errRecipe, r.Repository)
	}
	if ref == "" || strings.HasPrefix(ref, "-") {
		return "", fmt.Errorf("revision %q: %w", ref, ErrRevision)
	}
	out, err := git(ctx, r.Repository, "rev-parse", "--quiet", "--verify", "--end-of-options", ref+"^{commit}")
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if _, err := git(ctx, r.Repository, "rev-parse", "--git-dir"); err != nil {
			return "", fmt.Errorf("%w: %s is no git repository that can be read: %w", errRecipe, r.Repository, err)
		}
		hint := ""
		if shallow, _ := git(ctx, r.Repository, "rev-parse", "--is-shallow-repository"); shallow == "true" {
			hint = "; the clone is shallow: git fetch --unshallow brings the rest"
		}
		return "", fmt.Errorf("%w: %q is not a commit of %s%s", ErrRevision, ref, r.Repository, hint)
	}
	return out, nil
}

// Revision builds what a revision names, or finds it in the cache folder. log is given
// every line of the build's output; it may be nil.
func Revision(ctx context.Context, r Recipe, cache, ref string, log func(string)) (Built, error) {
	if err := r.Check(); err != nil {
		return Built{}, fmt.Errorf("build %s: %w", ref, err)
	}
	commit, err := r.Resolve(ctx, ref)
	if err != nil {
		return Built{}, fmt.Errorf("build %s: %w", ref, err)
	}
	dir := filepath.Join(cache, commit+"-"+r.digest())
	b := Built{Path: filepath.Join(dir, filepath.Base(r.Output)), Commit: commit}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return b, fmt.Errorf("build %s: %w", ref, err)
	}
	unlock, err := lock(ctx, filepath.Join(cache, "lock"))
	if err != nil {
		return b, fmt.Errorf("build %s: %w", ref, err)
	}
	defer unlock()
	if _, err := os.Stat(b.Path); err == nil {
		return b, nil
	}
	if err := r.build(ctx, cache, dir, commit, log); err != nil {
		return b, fmt.Errorf("build %.12s of %s: %w", commit, r.Repository, err)
	}
	return b, nil
}

// build makes dir with the file in it, or nothing.
func (r Recipe) build(ctx context.Context, cache, dir, commit string, log func(string)) (err error) {
	work, err := os.MkdirTemp(cache, "work-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	tree := filepath.Join(work, "tree")
	if _, err := git(ctx, work, "clone", "--quiet", "--no-checkout", "--shared", "--", r.Repository, tree); err != nil {
		return err
	}
	if _, err := git(ctx, tree, "checkout", "--quiet", "--detach", commit); err != nil {
		return err
	}
	if err := r.run(ctx, tree, log); err != nil {
		return err
	}
	made := filepath.Join(tree, r.Output)
	if st, err := os.Stat(made); err != nil || !st.Mode().IsRegular() {
		return fmt.Errorf("%w: %s ended well, but made no file %s", ErrFailed, r.Command[0], r.Output)
	}
	kept := filepath.Join(work, "kept")
	if err := os.Mkdir(kept, 0o755); err != nil {
		return err
	}
	if err := os.Rename(made, filepath.Join(kept, filepath.Base(r.Output))); err != nil {
		return err
	}
	return os.Rename(kept, dir)
}

// tailLines is how much of a failed build's output its error has.
const tailLines = 15

func (r Recipe) run(ctx context.Context, tree string, log func(string)) error {
	cmd := exec.CommandContext(ctx, r.Command[0], r.Command[1:]...)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), r.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out := &lines{log: log}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.flush()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: %w", errRecipe, err)
	case err != nil:
		return fmt.Errorf("%w: %s: %w; its last lines:\n  %s", ErrFailed, strings.Join(r.Command, " "), err, strings.Join(out.kept, "\n  "))
	}
	return nil
}

// digest tells recipes apart, so that a changed one builds again.
func (r Recipe) digest() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic("build: a recipe has only strings: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:4])
}

// git runs it in a folder and gives what it says.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// lock waits until nobody else builds into the cache.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lines hands a build's output on by lines and keeps the last ones.
type lines struct {
	log func(string)

	mu   sync.Mutex // guards what follows
	part []byte
	kept []string
}

var _ io.Writer = (*lines)(nil)

// maxLine bounds one line.
const maxLine = 4 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 && len(l.part) < maxLine {
			return len(p), nil
		}
		if i < 0 {
			i = len(l.part) - 1
		}
		l.line(string(l.part[:i]))
		l.part = l.part[i+1:]
	}
}

func (l *lines) line(s string) {
	if l.kept = append(l.kept, s); len(l.kept) > tailLines {
		l.kept = l.kept[1:]
	}
	if l.log != nil {
		l.log(s)
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.part) > 0 {
		l.line(string(l.part))
		l.part = nil
	}
}
