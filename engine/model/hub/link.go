package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
)

// link shows the proven files in the commit's folder. config.json comes last: a folder
// that has it is whole.
func (p *pull) link(files []remote) error {
	dir := path.Join("snapshots", p.commit)
	if err := p.repo.MkdirAll(dir, 0o755); err != nil {
		return diskFault(p.Cache, err)
	}
	slices.SortStableFunc(files, func(a, b remote) int {
		switch {
		case a.name == configFile:
			return 1
		case b.name == configFile:
			return -1
		}
		return 0
	})
	for _, f := range files {
		at, to := path.Join(dir, f.name), path.Join("..", "..", "blobs", f.etag)
		if old, err := p.repo.Readlink(at); err == nil && old == to {
			continue
		}
		if err := p.place(at, func(name string) error { return p.repo.Symlink(to, name) }); err != nil {
			return diskFault(p.Cache, err)
		}
	}
	return nil
}

// point makes the revision lead to the commit.
func (p *pull) point() error {
	if p.name.Revision == p.commit {
		return nil
	}
	at := path.Join("refs", p.name.Revision)
	if err := p.repo.MkdirAll(path.Dir(at), 0o755); err != nil {
		return err
	}
	return p.place(at, func(name string) error { return p.repo.WriteFile(name, []byte(p.commit), 0o644) })
}

// place makes a file under another name and puts it in its place in one step.
func (p *pull) place(at string, create func(name string) error) error {
	name := path.Join(path.Dir(at), fmt.Sprintf(".%s.%016x", path.Base(at), rand.Uint64()))
	if err := create(name); err != nil {
		return err
	}
	if err := p.repo.Rename(name, at); err != nil {
		if rerr := p.repo.Remove(name); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return err
	}
	return nil
}
