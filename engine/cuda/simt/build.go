package simt

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

//go:embed host fake
var sources embed.FS

// Source is a module of kernels.
type Source struct {
	Files   map[string][]byte // units that end in .cu, each compiled alone, and headers
	Defines []string          // NAME=value
	Check   bool              // with the checker: races, bounds, alignment, reads of what nobody wrote
}

// ErrNoCompiler says that there is no C++ compiler.
var ErrNoCompiler = errors.New("no C++ compiler")

// Builder builds in a folder that it keeps, so that nothing is built twice.
type Builder struct {
	compiler string
	version  string
	folder   string
}

// NewBuilder builds in folder; "" is the user's cache. Its errors wrap ErrNoCompiler.
func NewBuilder(folder string) (*Builder, error) {
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	path, err := exec.LookPath(compiler)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: install g++", ErrNoCompiler, err)
	}
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s --version: %w", ErrNoCompiler, path, err)
	}
	if folder == "" {
		cache := os.Getenv("PACELINE_CACHE")
		if cache == "" {
			user, err := os.UserCacheDir()
			if err != nil {
				return nil, fmt.Errorf("find the user's cache: %w", err)
			}
			cache = filepath.Join(user, "paceline")
		}
		folder = filepath.Join(cache, "simt")
	}
	return &Builder{path, string(version), folder}, os.MkdirAll(folder, 0o755)
}

// flags for all units. No product is fused with a sum unless a kernel says so.
func (b *Builder) flags() []string {
	f := []string{
		"-std=gnu++17", "-O2", "-fPIC", "-ffp-contract=off", "-fno-strict-aliasing", "-Wall",
		"-Wno-unknown-pragmas", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-misleading-indentation",
	}
	if cpu, err := os.ReadFile("/proc/cpuinfo"); err == nil && bytes.Contains(cpu, []byte("avx2")) && bytes.Contains(cpu, []byte("fma")) {
		f = append(f, "-mavx2", "-mfma", "-mbmi", "-mbmi2")
	}
	return f
}

// unit is a file to be compiled.
type unit struct {
	name  string
	files map[string][]byte // itself and what it includes, by path
	flags []string
}

// Library builds the driver's fake and gives its path.
func (b *Builder) Library() (string, error) {
	files, err := own()
	if err != nil {
		return "", err
	}
	var units []unit
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "fake/") && strings.HasSuffix(name, ".cpp") {
			units = append(units, unit{name, files, nil})
		}
	}
	// Not called libcuda.so.1: NVIDIA's compiler, in the same process, would take it for the real one.
	return b.link("emulator.so", units, "-Wl,-soname,libcuda-emulator.so", "-lpthread", "-ldl")
}

// Module builds kernels and gives what the fake driver loads as their code.
func (b *Builder) Module(s Source) ([]byte, error) {
	files, err := own()
	if err != nil {
		return nil, err
	}
	hook := "host/nocheck.cpp"
	if s.Check {
		hook = "host/check.cpp"
	}
	var units []unit
	for _, name := range []string{"host/fibre.cpp", "host/meet.cpp", "host/tensor.cpp", "host/module.cpp", hook} {
		units = append(units, unit{name, files, nil})
	}
	kernels := maps.Clone(s.Files)
	kernels["simt.h"] = files["host/simt.h"]
	flags := []string{"-x", "c++", "-DSIMT_HOST"}
	for _, d := range s.Defines {
		flags = append(flags, "-D"+d)
	}
	if s.Check {
		flags = append(flags, "-fsanitize=thread", "-DSIMT_CHECK")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if strings.HasSuffix(name, ".cu") {
			units = append(units, unit{name, kernels, flags})
		}
	}
	path, err := b.link("module.so", units, "-Wl,-z,defs", "-lpthread", "-lm")
	if err != nil {
		return nil, err
	}
	elf, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	image := binary.LittleEndian.AppendUint64([]byte("SIMTELF1"), uint64(len(elf)))
	return append(image, elf...), nil
}

// own are this package's files by path.
func own() (map[string][]byte, error) {
	files := map[string][]byte{}
	return files, fs.WalkDir(sources, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = sources.ReadFile(path)
		return err
	})
}

// link compiles units, two at a time, and links them to a shared library.
func (b *Builder) link(name string, units []unit, flags ...string) (string, error) {
	objects := make([]string, len(units))
	errs := make([]error, len(units))
	var wait sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i, u := range units {
		wait.Go(func() {
			slots <- struct{}{}
			objects[i], errs[i] = b.compile(u)
			<-slots
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	key := digest(b.version, objects, flags)
	return b.kept(key, name, func(to string) error {
		args := append([]string{"-shared", "-o", to}, objects...)
		return b.run(b.folder, append(args, flags...)...)
	})
}

// compile gives the object of a unit.
func (b *Builder) compile(u unit) (string, error) {
	all := append(b.flags(), u.flags...)
	var texts []string
	for _, n := range slices.Sorted(maps.Keys(u.files)) {
		if n == u.name || strings.HasSuffix(n, ".h") {
			texts = append(texts, n, string(u.files[n]))
		}
	}
	return b.kept(digest(b.version, append(texts, u.name), all), "unit.o", func(to string) error {
		dir, err := os.MkdirTemp(b.folder, "build-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		for n, data := range u.files {
			path := filepath.Join(dir, n)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return err
			}
		}
		args := append(slices.Clone(all), "-I.", "-c", u.name, "-o", to)
		return b.run(dir, args...)
	})
}

// kept gives the file of a key, made where it isn't there. Who makes the same at the same time makes it twice.
func (b *Builder) kept(key, name string, build func(to string) error) (string, error) {
	path := filepath.Join(b.folder, key+"-"+name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	temp, err := os.CreateTemp(b.folder, "new-*-"+name)
	if err != nil {
		return "", err
	}
	temp.Close()
	defer os.Remove(temp.Name())
	if err := build(temp.Name()); err != nil {
		return "", err
	}
	return path, os.Rename(temp.Name(), path)
}

func (b *Builder) run(dir string, args ...string) error {
	c := exec.Command(b.compiler, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", b.compiler, strings.Join(args, " "), err, out)
	}
	return nil
}

func digest(version string, lists ...[]string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", version)
	for _, l := range lists {
		fmt.Fprintf(h, "%d", len(l))
		for _, s := range l {
			fmt.Fprintf(h, "%d:%s", len(s), s)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}
