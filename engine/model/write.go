package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// FolderOptions say how WriteFolder makes a folder.
type FolderOptions struct {
	// Need is about how many bytes it will take; the disk must have them free.
	Need int64
	// Replace lets it take the place of a model that is there.
	Replace bool

	// free tells the free bytes of the disk that holds a folder; nil asks the system.
	free func(dir string) (int64, error)
}

// WriteFolder makes the model folder dir: whole, or not at all. fill writes the files into
// a folder beside it, which is opened as a check and then renamed. dir must not exist or be
// empty, unless o.Replace is set: then it may be a model's folder, whose place the new one
// takes in one step where the system can do that. A process that is killed meanwhile leaves
// ".NAME.partial-…" beside dir, and dir as it was.
func WriteFolder(dir string, o FolderOptions, fill func(temp string) error) (err error) {
	defer func() {
		if errors.Is(err, syscall.ENOSPC) { // others wrote while we did
			err = fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
	}()
	if err := o.mayTake(dir); err != nil {
		return err
	}
	parent, name := filepath.Split(absolute(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	if err := checkSpace(parent, o.Need, o.free); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, "."+name+".partial-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // what it is called now: the new one before the swap, or the old one after it
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	if err := fill(temp); err != nil {
		return err
	}
	check, err := Open(temp)
	if err != nil {
		return err
	}
	if err := check.Close(); err != nil {
		return err
	}
	if err := o.mayTake(dir); err != nil { // somebody else may have made it meanwhile
		return err
	}
	if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) { // nothing, or an empty one
		return os.Rename(temp, dir)
	}
	return swapFolders(temp, dir)
}

// mayTake says why dir can't be written; nil if it can.
func (o FolderOptions) mayTake(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0:
		return nil
	case err != nil:
		return err
	case !o.Replace:
		return fmt.Errorf("%w: give a new one, or remove it first", ErrExists)
	}
	// What is replaced is removed, so it must be a model and nothing else.
	known := slices.Concat(tokenizerFiles(), []string{configFile, generationFile, weightsFile, indexFile})
	model := false
	for _, e := range entries {
		model = model || e.Name() == configFile
		if !slices.Contains(known, e.Name()) && !strings.HasSuffix(e.Name(), ".safetensors") {
			return fmt.Errorf("%w, and %q in it is no file of a model: it won't be replaced", ErrExists, e.Name())
		}
	}
	if !model {
		return fmt.Errorf("%w, and it has no %s: it is no model and won't be replaced", ErrExists, configFile)
	}
	return nil
}

// swapByThree lets two folders take each other's name; one who is killed between finds
// b as a+"-old".
func swapByThree(a, b string) error {
	old := a + "-old"
	if err := os.Rename(b, old); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(old, b))
	}
	return os.Rename(old, a)
}

func checkSpace(dir string, need int64, free func(string) (int64, error)) error {
	if free == nil {
		free = FreeBytes
	}
	have, err := free(dir)
	if err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	if have < need {
		return fmt.Errorf("%w: the model needs %d MB, %s has %d MB free", ErrNoSpace, need>>20, dir, have>>20)
	}
	return nil
}

func weightsIn(dir string) string { return filepath.Join(dir, weightsFile) }

func writeFile(dir, name string, data []byte) error {
	return os.WriteFile(filepath.Join(dir, name), data, 0o644)
}

// WriteQuantized writes the small files of a model that is c quantised as q says to the folder
// dir: the configuration with q in it, what it recommends for sampling, and the tokenizer's
// files where c has some.
func (c *Checkpoint) WriteQuantized(dir string, q Quantization) error {
	for _, f := range c.small {
		data := f.data
		switch f.name {
		case configFile:
			var err error
			if data, err = withQuantization(data, q); err != nil {
				return fmt.Errorf("%s: %w", configFile, err)
			}
		case indexFile: // it names shards, and this has none
			continue
		}
		if err := writeFile(dir, f.name, data); err != nil {
			return err
		}
	}
	err := copyTokenizer(dir, c.Dir)
	if errors.Is(err, fs.ErrNotExist) { // ids only
		return nil
	}
	return err
}
