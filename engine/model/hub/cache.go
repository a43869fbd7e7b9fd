package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/paceline/paceline/engine/model"
)

// ErrAbsent is wrapped by the error of Find when the cache doesn't hold the model, or
// not the whole of it.
var ErrAbsent = errors.New("not in the cache")

// CacheDir is the folder that holds models: HF_HUB_CACHE, else hub in HF_HOME, else
// huggingface/hub in the user's folder for caches, as huggingface_hub has it on Linux.
func CacheDir(getenv func(string) string) (string, error) {
	if dir := getenv("HF_HUB_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := getenv("HF_HOME"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "hub"))
	}
	cache := getenv("XDG_CACHE_HOME")
	if cache == "" {
		home := getenv("HOME")
		if home == "" {
			return "", refuse("no folder for models: set HF_HOME")
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Abs(filepath.Join(cache, "huggingface", "hub"))
}

// Snapshot is a whole model in a cache.
type Snapshot struct {
	Name   Name
	Commit string
	Dir    string // holds config.json and the other files, as links
	Bytes  int64  // of the files
}

// Find gives the snapshot of a name's revision. It asks no hub: a branch is where it
// was when it was pulled last.
func Find(cache string, n Name) (Snapshot, error) {
	repo := filepath.Join(cache, n.folder())
	commit := n.Revision
	if !commitPattern.MatchString(commit) {
		ref, err := os.ReadFile(filepath.Join(repo, "refs", filepath.FromSlash(n.Revision)))
		commit = strings.TrimSpace(string(ref))
		if err != nil || !commitPattern.MatchString(commit) {
			return Snapshot{}, fmt.Errorf("%w: %s has no %s", ErrAbsent, cache, n)
		}
	}
	s := Snapshot{Name: n, Commit: commit, Dir: filepath.Join(repo, "snapshots", commit)}
	if err := s.whole(); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s has no whole %s: %w", ErrAbsent, cache, n, err)
	}
	return s, s.measure()
}

// whole says what is missing of a snapshot that another program began, too. A pull
// links config.json last.
func (s *Snapshot) whole() error {
	if _, err := os.Stat(filepath.Join(s.Dir, configFile)); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.Dir, weightsFile)); err == nil {
		return nil
	}
	index, err := os.ReadFile(filepath.Join(s.Dir, indexFile))
	if err != nil {
		return err
	}
	shards, err := model.Shards(index)
	if err != nil {
		return err
	}
	for _, name := range shards {
		if _, err := os.Stat(filepath.Join(s.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// measure adds up the files behind the links.
func (s *Snapshot) measure() error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(s.Dir, e.Name())); err == nil && info.Mode().IsRegular() {
			s.Bytes += info.Size()
		}
	}
	return nil
}

// List gives every whole model of a cache, by name: once for each branch or tag that
// leads to it, or by its commit where none does. A cache that isn't there is empty.
func List(cache string) ([]Snapshot, error) {
	entries, err := os.ReadDir(cache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, diskFault(cache, err)
	}
	var out []Snapshot
	for _, e := range entries {
		n, ok := nameOf(e.Name())
		if !ok {
			continue
		}
		names, err := revisions(filepath.Join(cache, e.Name()))
		if err != nil {
			return nil, diskFault(cache, err)
		}
		led := map[string]bool{}
		for _, n.Revision = range names { // branches and tags come first
			if s, err := Find(cache, n); err == nil && !led[n.Revision] {
				led[s.Commit] = true
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b Snapshot) int { return cmp.Compare(a.Name.String(), b.Name.String()) })
	return out, nil
}

// revisions are the names below refs of a model's folder, then its commits.
func revisions(repo string) (names []string, err error) {
	for _, folder := range []string{"refs", "snapshots"} {
		top := filepath.Join(repo, folder)
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == top {
				return err
			}
			rel, err := filepath.Rel(top, path)
			if name := filepath.ToSlash(rel); goodRevision(name) && d.IsDir() == (folder == "snapshots") {
				names = append(names, name)
			}
			if d.IsDir() && folder == "snapshots" {
				return fs.SkipDir
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return names, nil
}
