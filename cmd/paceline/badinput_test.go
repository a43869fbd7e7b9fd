//go:build native

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/paceline/paceline/engine/model/robotstories"
)

// shipped unpacks the shipped model, to be damaged.
func shipped(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := robotstories.Extract(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// change rewrites a JSON file of the model.
func change(t *testing.T, path string, f func(map[string]any)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	f(m)
	if b, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBadModels: each is one clear error on one screen, exit 2, and the run is kept.
func TestBadModels(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		says   []string
	}{
		{"truncated weights", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 100_000); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.safetensors"}},
		{"hostile header length", func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "model.safetensors"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte{255, 255, 255, 255, 255, 255, 255, 127}, 0); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.safetensors", "header"}},
		{"config contradicts tensors", func(t *testing.T, dir string) {
			change(t, filepath.Join(dir, "config.json"), func(m map[string]any) { m["intermediate_size"] = 512 })
		}, []string{"512"}},
		{"unknown architecture", func(t *testing.T, dir string) {
			change(t, filepath.Join(dir, "config.json"), func(m map[string]any) {
				m["architectures"], m["model_type"] = []string{"MambaForCausalLM"}, "mamba"
			})
		}, []string{"Mamba", "Qwen2"}},
		{"tokenizer of another model", func(t *testing.T, dir string) {
			change(t, filepath.Join(dir, "tokenizer.json"), func(m map[string]any) {
				added := m["added_tokens"].([]any)
				m["added_tokens"] = append(added, map[string]any{
					"id": 99999, "content": "<|alien|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
				})
			})
		}, []string{"vocabulary", "tokenizer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := shipped(t)
			c.damage(t, dir)
			data := t.TempDir()
			o := paceline(t, "run", quick(t), "--model", dir, "--data", data)
			o.expect(t, exitRequest, c.says...)
			if n := strings.Count(o.stderr+o.stdout, "\n"); n > 40 {
				t.Errorf("the message has %d lines: one screen is enough", n)
			}
			if r := onlyRun(t, data); r.Exit != exitRequest {
				t.Errorf("the stored run has exit %d", r.Exit)
			}
		})
	}
}

func TestMissingModelNamesThePath(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nowhere")
	paceline(t, "run", "ci", "--model", missing, "--data", t.TempDir()).expect(t, exitRequest, missing)
}

func TestBadSuites(t *testing.T) {
	text, err := os.ReadFile(quick(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		says     []string
	}{
		"misspelt metric": {"metric: output_rate", "metric: ouput_rate", []string{"bad.yml:21:20:", `"ouput_rate"`, `did you mean "output_rate"`}},
		"unknown key":     {"max_tokens:", "max_token:", []string{"bad.yml:15:42:", "max_token", "max_tokens"}},
		"wrong type":      {"rounds: 1", "rounds: many", []string{"bad.yml:9:11:"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.yml")
			if err := os.WriteFile(path, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			paceline(t, "run", path, "--data", t.TempDir()).expect(t, exitRequest, c.says...)
			paceline(t, "suite", "validate", path).expect(t, exitRequest, c.says...)
		})
	}
	paceline(t, "run", "troughput").expect(t, exitRequest, "throughput")
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	paceline(t, "up", "--listen", ln.Addr().String(), "--data", t.TempDir()).expect(t, exitRequest, "in use", "--listen")
	paceline(t, "up", "--listen", "0.0.0.0:0", "--data", t.TempDir()).expect(t, exitRequest, "loopback")
}

// TestSecondUp: a data folder has one owner; `run` submits to it.
func TestSecondUp(t *testing.T) {
	data := t.TempDir()
	up := start(t, "up", "--listen", "127.0.0.1:0", "--data", data)
	up.waitFor(t, "Ctrl-C stops it")
	paceline(t, "up", "--listen", "127.0.0.1:0", "--data", data).expect(t, exitRequest, "in use by paceline up", "http://127.0.0.1:", "--data")
	paceline(t, "run", quick(t), "--data", data).expect(t, 0, "NOTHING WAS COMPARED", "http://127.0.0.1:")
	if err := up.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	up.wait(t).expect(t, 0)
}

// TestFullDisk measures into a file system of a few pages. It needs the right to
// mount one.
func TestFullDisk(t *testing.T) {
	for _, size := range []string{"256k", "1m", "5m"} {
		t.Run(size, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
				t.Skipf("no right to mount a small file system: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
			if size == "5m" { // the data folder fits, the result file doesn't
				fill(t, filepath.Join(dir, "filler"))
				out := filepath.Join(dir, "result.json")
				paceline(t, "run", quick(t), "--data", t.TempDir(), "--out", out).expect(t, exitMachine, "no space left", "stored in the data folder")
				if _, err := os.Stat(out); err == nil {
					t.Error("half a result file was left")
				}
				return
			}
			paceline(t, "run", quick(t), "--data", dir).expect(t, exitMachine, "space")
		})
	}
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}

func TestBadFlags(t *testing.T) {
	for _, c := range [][]string{
		{"run"},
		{"run", "ci", "--format", "xml"},
		{"run", "ci", "--report", "/nowhere/at/all/out.html"},
		{"run", "ci", "--output", "junit=/nowhere/at/all/report.xml"},
		{"run", "ci", "--output", "junt=report.xml"},
		{"run", "ci", "--ci", "jenkins"},
		{"run", "ci", "--fault", "slow=0.1", "--data", t.TempDir()},
		{"run", "ci", "--fault", "sloow=2", "--data", t.TempDir()},
		{"run", "ci", "--inconclusive", "maybe", "--data", t.TempDir()},
		{"up", "--once"},
		{"frobnicate"},
		{"generate", "--ids", "1,x"},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) { paceline(t, c...).expect(t, exitRequest, "paceline: ") })
	}
}
