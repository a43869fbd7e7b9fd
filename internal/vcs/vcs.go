// Package vcs asks git about the repository that a command is used in: what is checked
// out, from where it branched off, and what a file was like there.
//
// It runs the git program and parses its answers. It changes nothing in a repository
// and asks no other host. What a branch or a merge base means for a verdict is
// coordinator/core's and judge/baseline's.
package vcs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Errors that callers test for.
var (
	// ErrNoRepository: the folder is in no repository, or there is no git here.
	ErrNoRepository = errors.New("no git repository")
	// ErrUnknown: the repository has no such branch, tag or commit.
	ErrUnknown = errors.New("not in the repository")
	// ErrNoFile: the commit has no such file.
	ErrNoFile = errors.New("no such file there")
	// ErrUnrelated: two commits have no common ancestor that the repository knows.
	ErrUnrelated = errors.New("no common ancestor")
)

// maxFile bounds a file that is read out of a commit, in bytes.
const maxFile = 4 << 20

// Commit is a commit's place in history.
type Commit struct {
	Hash   string
	Parent string    // the first; empty for a root, or where a shallow clone ends
	Time   time.Time // of the committer
}

// Repo is a repository with a work tree. Make it with Open.
type Repo struct {
	root string // of the work tree, without symbolic links
}

// Open finds the repository that has the folder in its work tree. ErrNoRepository.
func Open(ctx context.Context, dir string) (*Repo, error) {
	out, err := git(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil {
		var failed *failedError
		switch {
		case errors.Is(err, exec.ErrNotFound):
			return nil, fmt.Errorf("%w: the program git is not installed", ErrNoRepository)
		case errors.As(err, &failed) && strings.Contains(failed.said, "not a git repository"):
			return nil, fmt.Errorf("%w at %s or above it", ErrNoRepository, dir)
		}
		return nil, fmt.Errorf("find the git repository of %s: %w", dir, err)
	}
	root := line(out)
	if root == "" {
		return nil, fmt.Errorf("%w with a work tree at %s", ErrNoRepository, dir)
	}
	return &Repo{root: root}, nil
}

// Root is the folder of the work tree.
func (r *Repo) Root() string { return r.root }

// Branch is what is checked out; empty for a detached HEAD.
func (r *Repo) Branch(ctx context.Context) (string, error) {
	out, err := git(ctx, r.root, "symbolic-ref", "--quiet", "--short", "HEAD")
	var failed *failedError
	if errors.As(err, &failed) && failed.code == 1 {
		return "", nil
	}
	return line(out), err
}

// Commit reads a commit by any name that git knows. ErrUnknown.
func (r *Repo) Commit(ctx context.Context, name string) (Commit, error) {
	hash, err := r.resolve(ctx, name)
	if err != nil {
		return Commit{}, err
	}
	out, err := git(ctx, r.root, "log", "-1", "--no-show-signature", "--format=%H %ct %P", hash, "--")
	if err != nil {
		return Commit{}, fmt.Errorf("read commit %s: %w", name, err)
	}
	return parseCommit(line(out))
}

// resolve gives the hash of the commit that a name means. ErrUnknown.
func (r *Repo) resolve(ctx context.Context, name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, " \t\n\x00") {
		return "", fmt.Errorf("%.100q: %w", name, ErrUnknown)
	}
	out, err := git(ctx, r.root, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	var failed *failedError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	if err != nil {
		return "", fmt.Errorf("look up %s: %w", name, err)
	}
	hash := line(out)
	if !isHash(hash) {
		return "", fmt.Errorf("look up %s: git says %.60q, want a commit", name, hash)
	}
	return hash, nil
}

// Ref is what the name of a base means.
type Ref struct {
	Hash   string
	Branch string // without the name of a remote; empty for a commit or a tag
}

// Base finds what a base is called: a branch here or of the remote origin, where a
// clone made by CI has it, or any other name of a commit. ErrUnknown.
func (r *Repo) Base(ctx context.Context, name string) (Ref, error) {
	short := name
	for _, prefix := range []string{"refs/heads/", "refs/remotes/", "origin/"} {
		short = strings.TrimPrefix(short, prefix)
	}
	candidates := []string{"refs/heads/" + short, "refs/remotes/origin/" + short}
	if short != name {
		candidates = []string{"refs/remotes/origin/" + short, "refs/heads/" + short}
	}
	for _, full := range candidates {
		hash, err := r.resolve(ctx, full)
		if err == nil {
			return Ref{Hash: hash, Branch: short}, nil
		}
		if !errors.Is(err, ErrUnknown) {
			return Ref{}, err
		}
	}
	hash, err := r.resolve(ctx, name)
	return Ref{Hash: hash}, err
}

// MergeBase is the newest commit that both have. ErrUnrelated.
func (r *Repo) MergeBase(ctx context.Context, a, b string) (string, error) {
	out, err := git(ctx, r.root, "merge-base", "--end-of-options", a, b)
	var failed *failedError
	if errors.As(err, &failed) && failed.code == 1 {
		return "", ErrUnrelated
	}
	if err != nil {
		return "", fmt.Errorf("find the merge base of %s and %s: %w", a, b, err)
	}
	return line(out), nil
}

// Shallow says whether the clone has only part of the history.
func (r *Repo) Shallow(ctx context.Context) (bool, error) {
	out, err := git(ctx, r.root, "rev-parse", "--is-shallow-repository")
	return line(out) == "true", err
}

// Ancestors gives a commit and those before it along the first parents, which are the
// branch's own, newest first, at most n. cut: there are more, or may be.
func (r *Repo) Ancestors(ctx context.Context, commit string, n int) (hashes []string, cut bool, err error) {
	out, err := git(ctx, r.root, "rev-list", "--first-parent", fmt.Sprintf("--max-count=%d", n+1), "--end-of-options", commit)
	if err != nil {
		return nil, false, fmt.Errorf("list the ancestors of %s: %w", commit, err)
	}
	if hashes, err = parseHashes(out); err != nil {
		return nil, false, err
	}
	if len(hashes) > n {
		return hashes[:n], true, nil
	}
	cut, err = r.Shallow(ctx)
	return hashes, cut, err
}

// Path is a file's path within the repository, with slashes; ok is false where it lies
// elsewhere.
func (r *Repo) Path(file string) (path string, ok bool) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	// The folder may be reached by a symbolic link; the file may be gone by now.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(dir, filepath.Base(abs))
	}
	rel, err := filepath.Rel(r.root, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// Show reads a file as it is in a commit. ErrNoFile.
func (r *Repo) Show(ctx context.Context, commit, path string) ([]byte, error) {
	name := commit + ":" + path
	out, err := git(ctx, r.root, "cat-file", "-s", name)
	var failed *failedError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("%s in %.12s: %w", path, commit, ErrNoFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	size, err := parseSize(line(out))
	if err != nil || size > maxFile {
		return nil, fmt.Errorf("read %s: its size is %.20s, at most %d bytes are read", name, line(out), maxFile)
	}
	if out, err = git(ctx, r.root, "cat-file", "blob", name); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return out, nil
}

// failedError is git's own no.
type failedError struct {
	code int
	said string
}

func (e *failedError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("git ended with code %d", e.code)
	}
	return "git says: " + e.said
}

// git runs the program in a folder and gives its standard output.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, &failedError{code: exit.ExitCode(), said: strings.TrimPrefix(said, "fatal: ")}
	}
	if err != nil {
		return nil, fmt.Errorf("run git: %w", err)
	}
	return stdout.Bytes(), nil
}
