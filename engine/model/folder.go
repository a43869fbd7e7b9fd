package model

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// folder opens files of one model folder and nothing outside it: os.Root refuses
// names and links that lead out.
type folder struct {
	root *os.Root
	at   string // the model folder within root; "." where it is root itself
}

// openFolder opens dir. A snapshot in a hub's cache is made of links into the folder
// blobs beside it, so there the root is the folder of the repository that holds both.
func openFolder(dir string) (folder, error) {
	root, at := dir, "."
	if real, err := filepath.EvalSymlinks(absolute(dir)); err == nil {
		snapshots, commit := filepath.Split(real)
		repo, kind := filepath.Split(filepath.Clean(snapshots))
		if repo = filepath.Clean(repo); kind == "snapshots" && strings.HasPrefix(filepath.Base(repo), "models--") {
			root, at = repo, path.Join(kind, commit)
		}
	}
	r, err := os.OpenRoot(root)
	return folder{r, at}, err
}

// open opens a regular file. A pipe would block and a device never end, so the
// kind is looked at before the file is opened.
func (d folder) open(name string) (*os.File, int64, error) {
	file := path.Join(d.at, name)
	info, err := d.root.Stat(file)
	if err != nil {
		if link, lerr := d.root.Lstat(file); lerr == nil && link.Mode()&fs.ModeSymlink != 0 && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, invalidf("%s is a link that leads out of the folder: copy the model with cp -rL, which follows them", name)
		}
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, invalidf("%s is no regular file (%v)", name, info.Mode().Type())
	}
	f, err := d.root.Open(file)
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// read returns the contents of a small file of at most limit bytes.
func (d folder) read(name string, limit int64) ([]byte, error) {
	f, size, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, invalidf("%s has %d bytes, the limit is %d", name, size, limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = invalidf("%s grew past %d bytes while it was read", name, limit)
	}
	return data, err
}

// exists reports whether the folder has an entry of that name, of any kind.
func (d folder) exists(name string) bool {
	_, err := d.root.Lstat(path.Join(d.at, name))
	return err == nil
}
