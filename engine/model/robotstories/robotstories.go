// Package robotstories carries the model that ships inside the program: a very
// small Qwen2 that tells short stories about robots, so that there is a real model
// to measure with nothing to download. Its card is README.md in this folder; the
// scripts in engine/model/train made it.
//
// It only hands out the files. engine/model opens them as a checkpoint and
// engine/token as a tokenizer, once Extract has put them into a folder.
package robotstories

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed README.md config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json
var files embed.FS

// FS is the model folder: config.json, generation_config.json, model.safetensors,
// tokenizer.json, tokenizer_config.json and README.md at its root.
func FS() fs.FS { return files }

// Digest is the SHA-256, in hex, over names, lengths and contents of all files of
// the folder. It names this version of the shipped model, for example in the name
// of the folder that it is extracted to; the digest that results are keyed by is
// that of engine/model.
func Digest() string {
	sum := sha256.New()
	for _, name := range names() {
		data := content(name)
		var size [16]byte
		binary.LittleEndian.PutUint64(size[:8], uint64(len(name)))
		binary.LittleEndian.PutUint64(size[8:], uint64(len(data)))
		sum.Write(size[:])
		io.WriteString(sum, name)
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Extract makes dir hold the files of the model. What is there with the same
// contents already is left alone, so a second call writes nothing. A folder that
// was missing or empty appears whole or not at all, also when several processes
// extract at once. In any other folder each differing file is replaced in one
// step, and files that aren't the model's stay. The error names the file or folder
// and the cause, for example a full disk.
func Extract(dir string) error {
	same, err := holds(dir)
	if err != nil || same {
		return err
	}
	if !empty(dir) {
		return replace(dir)
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("extract the shipped model: %w", err)
	}
	staged, err := os.MkdirTemp(parent, ".robotstories-*")
	if err != nil {
		return fmt.Errorf("extract the shipped model to %s: %w", dir, err)
	}
	defer os.RemoveAll(staged) // nothing is left there after the rename
	if err := os.Chmod(staged, 0o755); err != nil {
		return fmt.Errorf("extract the shipped model to %s: %w", dir, err)
	}
	for _, name := range names() {
		if err := write(staged, name); err != nil {
			return err
		}
	}
	if err := os.Rename(staged, dir); err != nil {
		if same, herr := holds(dir); herr == nil && same {
			return nil // somebody else was faster
		}
		return fmt.Errorf("extract the shipped model to %s: %w", dir, err)
	}
	return nil
}

// holds reports whether every file of the model lies in dir as it should.
func holds(dir string) (bool, error) {
	for _, name := range names() {
		same, err := equal(filepath.Join(dir, name), content(name))
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// equal compares sizes first: most differences show there.
func equal(path string, want []byte) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the shipped model: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() != int64(len(want)) {
		return false, nil
	}
	got, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("compare the shipped model: %w", err)
	}
	return bytes.Equal(got, want), nil
}

func empty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0
}

func replace(dir string) error {
	for _, name := range names() {
		if same, err := equal(filepath.Join(dir, name), content(name)); err != nil {
			return err
		} else if same {
			continue
		}
		if err := write(dir, name); err != nil {
			return err
		}
	}
	return nil
}

// write puts one file into dir under its final name once it is on the disk.
func write(dir, name string) (err error) {
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("extract %s of the shipped model: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("extract %s of the shipped model to %s: %w", name, dir, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(content(name))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}

// names lists the embedded files in the order of their names.
func names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the compiler put the folder there
	}
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list
}

func content(name string) []byte {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the compiler put the file there
	}
	return data
}
