package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/paceline/paceline/build/benchengine/output"
	"github.com/paceline/paceline/build/benchengine/plan"
)

// places says where to look for programs and models.
type places struct {
	models  map[string]string // by format, as given
	formats []string          // that the engine is measured in
	script  string            // build/peers.sh
	threads int
}

// all finds every program and model; the synthetic model, its quantised folders and
// llama.cpp's files are made where they are missing. versions are of the peers, by name.
func (p places) all(ctx context.Context, stderr io.Writer) (output.Programs, map[string]string, error) {
	programs := output.Programs{Models: map[string]string{}, Plain: map[string]string{}, GGUF: map[string]string{}, Threads: p.threads, Script: filepath.Join(filepath.Dir(p.script), "peers", "transformers_peer.py")}
	for format, dir := range p.models {
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
			return programs, nil, fmt.Errorf("the %s model %s is no model folder: %w", format, dir, err)
		}
		programs.Models[format] = dir
	}
	var err error
	if programs.Engine, err = os.Executable(); err != nil {
		return programs, nil, fmt.Errorf("find this program's file: %w", err)
	}
	if programs.Models["bf16"] == "" {
		if programs.Models["bf16"], err = syntheticModel(ctx, stderr); err != nil {
			return programs, nil, err
		}
	}
	for _, format := range p.formats {
		if programs.Models[format] == "" {
			if programs.Models[format], err = packedModel(ctx, programs.Models["bf16"], format, stderr); err != nil {
				return programs, nil, err
			}
		}
		if programs.Plain[format], err = withoutTokenizer(programs.Models[format]); err != nil {
			return programs, nil, err
		}
	}
	if programs.Vocabulary, err = vocabulary(programs.Models["bf16"]); err != nil {
		return programs, nil, err
	}
	peers, err := p.ask(ctx, stderr, "--where")
	if err != nil {
		return programs, nil, err
	}
	versions := map[string]string{}
	for _, l := range peers {
		versions[l.name] = l.version
		switch plan.Program(l.name) {
		case plan.LlamaCpp:
			programs.Llama = l.path
		case plan.Candle:
			programs.Candle = l.path
		case plan.Transformers:
			programs.Python = l.path
		}
	}
	if programs.Llama != "" {
		files, err := p.ask(ctx, stderr, "--gguf", programs.Models["bf16"])
		if err != nil {
			return programs, nil, err
		}
		for _, l := range files {
			programs.GGUF[l.name] = l.path
		}
	}
	return programs, versions, nil
}

// listed is a line of build/peers.sh.
type listed struct{ name, version, path string }

// ask runs build/peers.sh and reads what it lists.
func (p places) ask(ctx context.Context, stderr io.Writer, args ...string) ([]listed, error) {
	if _, err := os.Stat(p.script); err != nil {
		return nil, fmt.Errorf("find the peers: %w; run this in the project's own folder, or name its build/peers.sh by -peers", err)
	}
	cmd := exec.CommandContext(ctx, p.script, args...)
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", p.script, strings.Join(args, " "), err)
	}
	return parseListed(string(out))
}

// parseListed reads lines of name, version and path, separated by tabs.
func parseListed(out string) ([]listed, error) {
	var list []listed
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if len(f) != 3 || f[0] == "" || f[2] == "" {
			return nil, fmt.Errorf("the list of peers has the line %.100q, which is not name, version and path", line)
		}
		list = append(list, listed{f[0], f[1], f[2]})
	}
	return list, nil
}

// cacheRoot is build/cache.sh's cache_root.
func cacheRoot() (string, error) {
	if dir := os.Getenv("PACELINE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the cache: %w; set PACELINE_CACHE to a folder", err)
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Abs(filepath.Join(dir, "paceline"))
}

// withoutTokenizer gives a folder with what dir has of the model but its tokenizer, whose
// load time isn't the engine's. It is made anew each time: the model may have changed.
func withoutTokenizer(dir string) (_ string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make a folder for the model without its tokenizer: %w", err)
		}
	}()
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	plain := filepath.Join(root, "bench", "plain", strings.ReplaceAll(strings.Trim(dir, "/"), "/", "+"))
	if err := os.RemoveAll(plain); err != nil {
		return "", err
	}
	if err := os.MkdirAll(plain, 0o755); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors*"))
	if err != nil {
		return "", err
	}
	for _, f := range append(files, filepath.Join(dir, "config.json")) {
		if err := linkOrCopy(f, filepath.Join(plain, filepath.Base(f))); err != nil {
			return "", err
		}
	}
	return plain, nil
}

// linkOrCopy makes to the same file as from, or a copy where the cache lies on another disk.
func linkOrCopy(from, to string) error {
	from, err := filepath.EvalSymlinks(from) // a hub's cache has links, of which none may lead out of a model's folder
	if err != nil {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// vocabulary is the size of a model's, which bounds the ids of a prompt.
func vocabulary(dir string) (int, error) {
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the model's configuration: %w", err)
	}
	var c struct {
		VocabSize int `json:"vocab_size"`
	}
	if err := json.Unmarshal(data, &c); err != nil || c.VocabSize < 1 {
		return 0, fmt.Errorf("read the model's configuration: %s has no vocab_size (%v)", path, err)
	}
	return c.VocabSize, nil
}
