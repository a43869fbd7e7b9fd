package image

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Store is a folder of compiled code. Any number of processes may use one.
type Store struct{ Folder string }

// DefaultStore is in the user's cache, or where PACELINE_CACHE says.
func DefaultStore() (Store, error) {
	root := os.Getenv("PACELINE_CACHE")
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return Store{}, fmt.Errorf("find a folder for compiled kernels: %w: set PACELINE_CACHE", err)
		}
		root = filepath.Join(cache, "paceline")
	}
	return Store{filepath.Join(root, "kernels")}, nil
}

// magic begins a file; the SHA-256 of the code and the code follow.
const magic = "paceline kernels 1\n"

// errDamaged says that a file isn't what was written.
var errDamaged = errors.New("damaged")

// Put keeps code under a key and its maker's name.
func (s Store) Put(key, maker string, code []byte) error {
	if err := os.MkdirAll(s.Folder, 0o755); err != nil {
		return fmt.Errorf("keep compiled kernels: %w", err)
	}
	f, err := os.CreateTemp(s.Folder, "new-*")
	if err != nil {
		return fmt.Errorf("keep compiled kernels: %w", err)
	}
	_, err = f.Write(encode(code))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.Folder, key+"-"+maker+".cubin"))
	}
	if err != nil {
		return fmt.Errorf("keep compiled kernels: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Get gives the code of a key, nil for none, and who made it. A damaged file is removed; the error then names it.
func (s Store) Get(key string) (code []byte, maker string, err error) {
	found, err := filepath.Glob(filepath.Join(s.Folder, key+"-*.cubin"))
	if err != nil {
		return nil, "", err
	}
	slices.Sort(found)
	for _, path := range slices.Backward(found) { // the newest compiler's first
		code, readErr := read(path)
		if readErr == nil {
			name := filepath.Base(path)
			return code, name[len(key)+1 : len(name)-len(".cubin")], err
		}
		err = errors.Join(err, fmt.Errorf("read compiled kernels: %w", readErr))
		if errors.Is(readErr, errDamaged) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return nil, "", err
}

func read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	code, ok := decode(data)
	if !ok {
		return nil, fmt.Errorf("%s is %w: removed, and made anew", path, errDamaged)
	}
	return code, nil
}

// encode is a file's content; decode gives the code in it, if it is whole.
func encode(code []byte) []byte {
	sum := sha256.Sum256(code)
	return slices.Concat([]byte(magic), sum[:], code)
}

func decode(data []byte) (code []byte, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok || len(rest) < sha256.Size {
		return nil, false
	}
	code = rest[sha256.Size:]
	sum := sha256.Sum256(code)
	return code, bytes.Equal(sum[:], rest[:sha256.Size])
}
