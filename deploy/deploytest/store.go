package deploytest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Store stands in for the action cache and the store of artifacts: folders that outlive
// a job. The real cache also keeps what a pull request's job saves from other branches;
// the action saves nothing there.
type Store struct {
	Dir string
}

// service does what a step's `uses` names.
func (j *Job) service(s scope, step Step) error {
	with := map[string]string{}
	for k, v := range step.With {
		var err error
		if with[k], err = s.expand(v); err != nil {
			return err
		}
	}
	switch step.Uses {
	case "actions/cache@v4", "actions/cache/restore@v4":
		// Where actions/cache finds nothing it would save at the job's end; the built
		// program that it is used for is given to the jobs of tests.
		return j.Store.restore(with["key"], with["restore-keys"], with["path"])
	case "actions/cache/save@v4":
		return j.Store.save(with["key"], with["path"])
	case "actions/upload-artifact@v4":
		to := filepath.Join(j.Store.Dir, "artifacts", with["name"])
		if err := os.RemoveAll(to); err != nil { // overwrite: true
			return err
		}
		return copyTree(with["path"], to)
	}
	return fmt.Errorf("nothing here stands in for %s", step.Uses)
}

// entries are the cached keys, oldest first: folders with a running number.
func (st *Store) entries() ([]fs.DirEntry, error) {
	es, err := os.ReadDir(filepath.Join(st.Dir, "cache"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return es, err
}

// Keys are the keys that are cached, oldest first.
func (st *Store) Keys() ([]string, error) {
	es, err := st.entries()
	var keys []string
	for _, e := range es {
		_, key, _ := strings.Cut(e.Name(), " ")
		keys = append(keys, key)
	}
	return keys, err
}

func (st *Store) restore(key, prefixes, path string) error {
	es, err := st.entries()
	if err != nil {
		return err
	}
	newest := func(fits func(key string) bool) string {
		for i := len(es) - 1; i >= 0; i-- {
			if _, k, _ := strings.Cut(es[i].Name(), " "); fits(k) {
				return es[i].Name()
			}
		}
		return ""
	}
	found := newest(func(k string) bool { return k == key })
	for _, p := range strings.Fields(prefixes) {
		if found == "" {
			found = newest(func(k string) bool { return strings.HasPrefix(k, p) })
		}
	}
	if found == "" {
		return nil
	}
	return copyTree(filepath.Join(st.Dir, "cache", found, filepath.Base(path)), path)
}

func (st *Store) save(key, path string) error {
	if key == "" || strings.ContainsAny(key, ",/\n ") || len(key) > 512 {
		return fmt.Errorf("%q is no key of the cache", key)
	}
	es, err := st.entries()
	if err != nil {
		return err
	}
	for _, e := range es {
		if _, k, _ := strings.Cut(e.Name(), " "); k == key {
			return nil // the cache keeps what it has
		}
	}
	dir := filepath.Join(st.Dir, "cache", fmt.Sprintf("%06d %s", len(es), key))
	return copyTree(path, filepath.Join(dir, filepath.Base(path)))
}

// copyTree copies a file or a folder; a path that isn't there copies nothing.
func copyTree(from, to string) error {
	st, err := os.Stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.IsDir():
		return os.CopyFS(to, os.DirFS(from))
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, st.Mode().Perm())
}
