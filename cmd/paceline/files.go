package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/format"
)

// outputFile is a report in one format, to be written to a file.
type outputFile struct{ kind, path string }

// parseOutput reads KIND=PATH.
func parseOutput(s string) (outputFile, error) {
	kind, path, ok := strings.Cut(s, "=")
	switch {
	case !ok || kind == "":
		return outputFile{}, fmt.Errorf("--output %q: write KIND=PATH, such as junit=report.xml; kinds are %s", s, strings.Join(format.Names(), ", "))
	case path == "" || path == "-":
		return outputFile{}, fmt.Errorf("--output %s: name a file, such as %s=verdict.txt; --format %s writes to standard output", s, kind, kind)
	}
	if err := format.Check(kind); err != nil {
		return outputFile{}, fmt.Errorf("--output %s: %w", s, err)
	}
	return outputFile{kind, path}, nil
}

// checkFiles refuses paths that could only fail after minutes of measuring, and those
// of which one would overwrite the other.
func (o *outputFlags) checkFiles() error {
	o.files = nil
	for _, s := range o.outputs {
		f, err := parseOutput(s)
		if err != nil {
			return fail(exitRequest, "%w", err)
		}
		o.files = append(o.files, f)
	}
	type use struct{ flag, path string }
	uses := []use{{"--report", o.report}, {"--out", o.out}}
	if o.out != "" {
		uses = append(uses, use{"the samples of --out", result.SamplesPath(o.out)})
	}
	for _, f := range o.files {
		uses = append(uses, use{"--output " + f.kind, f.path})
	}
	uses = slices.DeleteFunc(uses, func(u use) bool { return u.path == "" })
	taken := map[string]use{}
	for _, u := range uses {
		if err := writable(u.path); err != nil {
			return fail(exitRequest, "%s: can't write %s: %w", u.flag, u.path, err)
		}
		target, err := targetOf(u.path)
		if err != nil {
			return fail(exitRequest, "%s: can't write %s: %w", u.flag, u.path, err)
		}
		if other, twice := taken[target]; twice && !special(target) {
			return fail(exitRequest, "%s and %s both name the file %s: give each its own", other.flag, u.flag, u.path)
		}
		taken[target] = u
	}
	return nil
}

// targetOf is the file that a path leads to, whatever links lie on the way.
func targetOf(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

// special says whether a path is a device, a pipe or the like: it is written to and
// never replaced.
func special(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.Mode().IsRegular() && !st.IsDir()
}

// writable tries whether a file can be put at path.
func writable(path string) error {
	dir := filepath.Dir(path)
	switch {
	case isFolder(path):
		return errors.New("it is a folder")
	case !isFolder(dir):
		return fmt.Errorf("there is no folder %s", dir)
	case special(path):
		return nil
	}
	target, err := targetOf(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("its folder takes no files: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// writeFile writes a file beside path, then puts it in its place: there is the old one,
// or none, or a whole one.
func writeFile(path string, write func(io.Writer) error) (err error) {
	target, err := targetOf(path)
	if err != nil {
		return err
	}
	var f *os.File
	if special(target) {
		f, err = os.OpenFile(target, os.O_WRONLY, 0)
	} else {
		f, err = os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	}
	if err != nil {
		return err
	}
	if name := f.Name(); name != target {
		defer func() {
			if err == nil {
				err = os.Rename(name, target)
			}
			if err != nil {
				_ = os.Remove(name)
			}
		}()
		if err := f.Chmod(0o644); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	b := bufio.NewWriter(f)
	err = write(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil && f.Name() != target {
		err = f.Sync() // before its name shows it
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// write writes the report in the file's format.
func (f outputFile) write(rep *format.Report, all bool) error {
	err := writeFile(f.path, func(w io.Writer) error { return format.Write(w, f.kind, rep, format.Options{All: all}) })
	if err != nil {
		return fmt.Errorf("%s to %s: %w", f.kind, f.path, err)
	}
	return nil
}
