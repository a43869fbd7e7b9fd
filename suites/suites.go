// Package suites has the suites that ship with the program, embedded, and opens those
// of users.
//
// What a suite may say is suites/spec's; this package only knows where suites lie.
package suites

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/suites/spec"
)

//go:embed *.yml
var files embed.FS

// Names lists the shipped suites in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("suites: the embedded folder can't be read: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yml"))
	}
	slices.Sort(names)
	return names
}

// Source gives the YAML of a shipped suite; ok is false for any other name.
func Source(name string) (src []byte, ok bool) {
	if path.Base(name) != name {
		return nil, false
	}
	src, err := files.ReadFile(name + ".yml")
	return src, err == nil
}

// Load parses a shipped suite.
func Load(name string) (*spec.Suite, error) {
	src, ok := Source(name)
	if !ok {
		return nil, unknown(name)
	}
	return spec.Parse(name+".yml", src)
}

// Open parses the suite that a person names: a shipped one, or a file, which has a
// separator or an ending (".yml", ".yaml") in its name. A shipped suite never comes
// from a file of the same name that happens to lie around.
func Open(pathOrName string) (*spec.Suite, error) {
	ext := filepath.Ext(pathOrName)
	if ext != ".yml" && ext != ".yaml" && !strings.ContainsRune(pathOrName, filepath.Separator) {
		return Load(pathOrName)
	}
	f, err := os.Open(pathOrName)
	if err != nil {
		// "suites/throughput.yml" works from anywhere, as documents name it so.
		name := strings.TrimSuffix(filepath.Base(pathOrName), ext)
		if _, ok := Source(name); ok && filepath.ToSlash(pathOrName) == "suites/"+name+".yml" && os.IsNotExist(err) {
			return Load(name)
		}
		return nil, fmt.Errorf("open suite: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, spec.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read suite %s: %w", pathOrName, err)
	}
	return spec.Parse(pathOrName, src)
}

func unknown(name string) error {
	if near := metric.Nearest(name, Names()); near != "" {
		return fmt.Errorf("no suite is named %q: did you mean %q?", name, near)
	}
	return fmt.Errorf("no suite is named %q: shipped are %s; name a file with its ending, such as my.yml", name, strings.Join(Names(), ", "))
}
