package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/paceline/paceline/agent"
	"github.com/paceline/paceline/agent/build"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/target/openai"
	"github.com/paceline/paceline/bench/target/server"
	"github.com/paceline/paceline/internal/wire"
)

// agentConfigName is the machine's configuration in the data folder.
const agentConfigName = "agent.yml"

// agentConfigText is what a machine can measure beside its own build, as it is written.
type agentConfigText struct {
	Targets map[string]targetEntry `yaml:"targets"`
	Models  map[string]string      `yaml:"models"` // name: folder
	Builds  struct {
		Binaries []binaryEntry `yaml:"binaries"`
		Git      *gitEntry     `yaml:"git"`
		Images   []imageEntry  `yaml:"images"`
	} `yaml:"builds"`
	GPU string `yaml:"device"` // index or UUID, for engine-cuda and its variants
}

type targetEntry struct {
	Driver    string       `yaml:"driver"`
	Dialect   string       `yaml:"dialect"`
	URL       string       `yaml:"url"`
	Launch    *launchEntry `yaml:"launch"`
	APIKeyEnv string       `yaml:"api_key_env"`
	Served    string       `yaml:"served_model"`
	GPUs      int          `yaml:"gpus"`
	Accepts   []string     `yaml:"accepts"`
}

type launchEntry struct {
	Args         []string          `yaml:"args"`
	Env          map[string]string `yaml:"env"`
	URL          string            `yaml:"url"`
	Ready        string            `yaml:"ready"`
	ReadyTimeout string            `yaml:"ready_timeout"`
}

type binaryEntry struct {
	SHA256 string `yaml:"sha256"`
	Path   string `yaml:"path"`
}

type gitEntry struct {
	Repository string            `yaml:"repository"`
	Command    []string          `yaml:"command"`
	Output     string            `yaml:"output"`
	Env        map[string]string `yaml:"env"`
}

type imageEntry struct {
	Digest string `yaml:"digest"`
	Name   string `yaml:"name"`
}

// agentConfig is a machine's configuration, checked.
type agentConfig struct {
	subjects agent.Subjects
	models   map[string]string // name → folder
	gpu      string            // index or UUID, for the engine's own targets on one; empty: the first that is unused
}

// catalogue finds a model by its name here, else by otherwise.
func (m agentConfig) catalogue(otherwise func(string) (string, error)) func(string) (string, error) {
	return func(name string) (string, error) {
		if dir, ok := m.models[name]; ok {
			if st, err := os.Stat(dir); err != nil || !st.IsDir() {
				return "", fmt.Errorf("model %q: there is no folder %s, as this machine's configuration says", name, dir)
			}
			return dir, nil
		}
		return otherwise(name)
	}
}

// readAgentConfig reads the configuration at path; where must is false, a file that
// isn't there is an empty one.
func readAgentConfig(path string, must bool) (agentConfig, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return agentConfig{}, nil
	}
	if err != nil {
		return agentConfig{}, fail(exitRequest, "read the machine's configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return agentConfig{}, fail(exitRequest, "read the machine's configuration: %w", err)
	}
	m, err := parseAgentConfig(path, b)
	if err != nil {
		return m, &exitError{code: exitRequest, err: err}
	}
	return m, nil
}

// parseAgentConfig is strict: an unknown key is an error with its line and a suggestion.
func parseAgentConfig(path string, text []byte) (agentConfig, error) {
	var f agentConfigText
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return agentConfig{}, located(path, err)
	}
	m := agentConfig{models: map[string]string{}, subjects: agent.Subjects{
		Targets: map[string]agent.Target{}, Binaries: map[string]string{}, Images: map[string]string{},
	}}
	m.gpu = f.GPU
	var errs []error
	wrong := func(where string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", path, where, err))
		}
	}
	dir := filepath.Dir(path)
	for _, name := range slices.Sorted(maps.Keys(f.Targets)) {
		t, err := f.Targets[name].target(dir)
		if err == nil && wire.OwnEngine(name) {
			err = fmt.Errorf("%q is Paceline's own: choose another name", name)
		}
		wrong("targets."+name, err)
		m.subjects.Targets[name] = t
	}
	for name, folder := range f.Models {
		m.models[name] = below(dir, folder)
	}
	for i, b := range f.Builds.Binaries {
		where := fmt.Sprintf("builds.binaries[%d]", i)
		hash, ok := digestOf(b.SHA256)
		if !ok {
			wrong(where, fmt.Errorf("sha256 %q: want 64 hexadecimal digits", b.SHA256))
		}
		if b.Path == "" {
			wrong(where, errors.New("it has no path"))
		}
		m.subjects.Binaries[hash] = below(dir, b.Path)
	}
	for i, x := range f.Builds.Images {
		hash, ok := digestOf(x.Digest)
		if !ok || x.Name == "" {
			wrong(fmt.Sprintf("builds.images[%d]", i), errors.New("it needs a digest (sha256: and 64 hexadecimal digits) and the name by which the runtime knows it"))
		}
		m.subjects.Images["sha256:"+hash] = x.Name
	}
	if g := f.Builds.Git; g != nil {
		r := agent.GitRecipe{Repository: below(dir, g.Repository), Command: g.Command, Output: g.Output, Env: environment(g.Env)}
		if g.Repository == "" {
			r.Repository = ""
		}
		wrong("builds.git", build.Recipe(r).Check())
		m.subjects.Git = &r
	}
	return m, errors.Join(errs...)
}

// target checks an entry.
func (e targetEntry) target(dir string) (agent.Target, error) {
	t := agent.Target{
		Target: wire.Target{Driver: e.Driver, Dialect: e.Dialect, URL: e.URL, APIKeyEnv: e.APIKeyEnv, Served: e.Served},
		GPUs:   e.GPUs, Accepts: e.Accepts,
	}
	if t.Driver == "" {
		t.Driver = wire.DriverOpenAI
	}
	if l := e.Launch; l != nil {
		t.Launch = &wire.Launch{Args: slices.Clone(l.Args), Env: environment(l.Env), URL: l.URL, Ready: l.Ready}
		if len(l.Args) > 0 && strings.Contains(l.Args[0], string(filepath.Separator)) {
			t.Launch.Args[0] = below(dir, l.Args[0])
		}
		if l.ReadyTimeout != "" {
			d, err := time.ParseDuration(l.ReadyTimeout)
			if err != nil || d <= 0 {
				return t, fmt.Errorf("launch.ready_timeout %q: want a duration such as 90s or 10m", l.ReadyTimeout)
			}
			t.Launch.ReadyTimeout = d
		}
		if err := checkLaunch(*t.Launch); err != nil {
			return t, fmt.Errorf("launch: %w", err)
		}
	}
	if e.Dialect != "" {
		if _, err := openai.DialectOf(e.Dialect); err != nil {
			return t, err
		}
	}
	if e.URL != "" {
		if err := openai.CheckURL(e.URL); err != nil {
			return t, err
		}
	}
	return t, t.Check()
}

// checkLaunch tries a recipe with every name that may be known.
func checkLaunch(l wire.Launch) error {
	return server.Recipe{
		Args: l.Args, Env: l.Env, URL: l.URL, Ready: l.Ready,
		Values: map[string]string{"build": "x", "image": "x", "model": "x"},
	}.Check()
}

func environment(m map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return out
}

// below makes a path of the configuration absolute: relative ones begin where the
// file lies. A launch's {build} stays.
func below(dir, path string) string {
	if path == "" || filepath.IsAbs(path) || strings.HasPrefix(path, "{") {
		return path
	}
	abs, err := filepath.Abs(filepath.Join(dir, path))
	if err != nil {
		return path
	}
	return abs
}

// located puts file, line and a suggestion to an error of the YAML library.
func located(path string, err error) error {
	var unknown *yaml.UnknownFieldError
	var ye yaml.Error
	switch {
	case errors.As(err, &unknown) && unknown.Token != nil:
		name := unknown.Token.Value
		at := unknown.Token.Position
		msg := fmt.Sprintf("%s:%d:%d: unknown key %s", path, at.Line, at.Column, strconv.Quote(name))
		if near := metric.Nearest(name, agentConfigKeys()); near != "" {
			msg += fmt.Sprintf("; did you mean %q?", near)
		}
		return errors.New(msg)
	case errors.As(err, &ye) && ye.GetToken() != nil:
		at := ye.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", path, at.Line, at.Column, ye.GetMessage())
	}
	return fmt.Errorf("read %s: %w", path, err)
}

func agentConfigKeys() []string {
	return []string{
		"targets", "models", "builds", "driver", "dialect", "url", "launch", "api_key_env", "served_model", "gpus", "accepts",
		"args", "env", "ready", "ready_timeout", "binaries", "git", "images", "sha256", "path", "repository", "command", "output", "digest", "name",
	}
}
