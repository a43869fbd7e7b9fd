package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const wholeAgentConfig = `# What this machine can measure.
targets:
  llama:
    driver: openai
    dialect: llamacpp
    launch:
      args: ["{build}", --port, "{port}", -m, "{model}"]
      env: {LLAMA_ARG_THREADS: "2"}
      ready: /health
      ready_timeout: 90s
    accepts: [sha256, git]
  vllm:
    launch: {args: [docker, run, --rm, -p, "{port}:8000", "{image}"]}
    accepts: [image]
    gpus: 1
  lab: {url: "http://lab:8000", api_key_env: LAB_KEY, served_model: qwen}
models: {qwen: models/qwen, abs: /m}
device: 1
builds:
  binaries:
    - {sha256: "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB", path: bin/llama-server}
  git: {repository: ../src, command: [make], output: bin/x, env: {B: "2", A: "1"}}
  images:
    - {digest: "sha256:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", name: "vllm/vllm-openai@sha256:cdcd"}
`

func TestAgentConfig(t *testing.T) {
	m, err := parseAgentConfig("/etc/paceline/agent.yml", []byte(wholeAgentConfig))
	if err != nil {
		t.Fatal(err)
	}
	llama := m.subjects.Targets["llama"]
	if llama.Driver != "openai" || llama.Dialect != "llamacpp" || llama.Launch.ReadyTimeout != 90*time.Second || llama.Launch.Args[0] != "{build}" ||
		!slices.Equal(llama.Launch.Env, []string{"LLAMA_ARG_THREADS=2"}) || !slices.Equal(llama.Accepts, []string{"sha256", "git"}) {
		t.Errorf("llama %+v, %+v", llama, llama.Launch)
	}
	if v := m.subjects.Targets["vllm"]; v.Driver != "openai" || v.GPUs != 1 || v.Launch.Args[0] != "docker" {
		t.Errorf("vllm %+v", v)
	}
	if lab := m.subjects.Targets["lab"]; lab.URL != "http://lab:8000" || lab.APIKeyEnv != "LAB_KEY" || lab.Served != "qwen" {
		t.Errorf("lab %+v", lab)
	}
	if m.gpu != "1" {
		t.Errorf("gpu %q", m.gpu)
	}
	if got := m.subjects.Binaries[strings.Repeat("ab", 32)]; got != "/etc/paceline/bin/llama-server" {
		t.Errorf("binary %q: relative paths begin where the file lies", got)
	}
	if m.models["qwen"] != "/etc/paceline/models/qwen" || m.models["abs"] != "/m" {
		t.Errorf("models %v", m.models)
	}
	if g := m.subjects.Git; g.Repository != "/etc/src" || g.Output != "bin/x" || !slices.Equal(g.Env, []string{"A=1", "B=2"}) {
		t.Errorf("git %+v", g)
	}
	if got := m.subjects.Images["sha256:"+strings.Repeat("cd", 32)]; got != "vllm/vllm-openai@sha256:cdcd" {
		t.Errorf("images %v", m.subjects.Images)
	}
}

// TestAgentConfigMistakes: each is one line that says where and what, and nothing wrong
// is taken silently.
func TestAgentConfigMistakes(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"a misspelt key":       {"ready_timeout:", "ready_timout:", `agent.yml:10:7: unknown key "ready_timout"; did you mean "ready_timeout"?`},
		"a key at the top":     {"models:", "modls:", `did you mean "models"`},
		"a wrong type":         {"gpus: 1", "gpus: many", "agent.yml:15:"},
		"a key twice":          {"    gpus: 1", "    gpus: 1\n    gpus: 2", "agent.yml:16:"},
		"no YAML":              {"targets:", "targets: [", "agent.yml:"},
		"a duration":           {"90s", "90", "targets.llama: launch.ready_timeout"},
		"a dialect":            {"llamacpp", "llamacp", `did you mean "llamacpp"`},
		"a driver":             {"driver: openai", "driver: grpc", `targets.llama: driver "grpc"`},
		"a name in a recipe":   {"{model}", "{modle}", "did you mean {model}"},
		"an address":           {"http://lab:8000", "lab:8000", "targets.lab"},
		"a kind of build":      {"[image]", "[images]", `unknown kind of build "images"`},
		"engine":               {"  vllm:", "  engine:", "Paceline's own"},
		"a variant of it":      {"  vllm:", "  engine-w8:", "Paceline's own"},
		"a digest of a file":   {"ABAB", "XYZ", "builds.binaries[0]"},
		"a digest of an image": {"sha256:cdcdcd", "sha256:cd", "builds.images[0]"},
		"no command":           {"command: [make], ", "", "builds.git"},
		"an output outside":    {"output: bin/x", "output: /bin/x", "builds.git"},
		"url and launch":       {"lab: {", "lab: {launch: {args: [x]}, ", "both"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(wholeAgentConfig, c.old, c.new, 1)
			if text == wholeAgentConfig {
				t.Fatal("nothing was changed")
			}
			_, err := parseAgentConfig("agent.yml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
			if err != nil && strings.Count(err.Error(), "\n") > 2 {
				t.Errorf("the message has several lines:\n%v", err)
			}
		})
	}
	if _, err := parseAgentConfig("agent.yml", nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	if m, err := readAgentConfig(filepath.Join(t.TempDir(), agentConfigName), false); err != nil || m.subjects.Targets != nil {
		t.Errorf("no file: %+v, %v", m, err)
	}
}

func FuzzAgentConfig(f *testing.F) {
	f.Add([]byte(wholeAgentConfig))
	f.Add([]byte("targets: {a: {launch: {args: [\"{\"]}}}"))
	f.Add([]byte("targets: {a: null}\nbuilds: []"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseAgentConfig("agent.yml", b)
		if err != nil {
			return
		}
		for name, target := range m.subjects.Targets {
			if target.Check() != nil {
				t.Errorf("target %q was taken: %+v", name, target)
			}
		}
	})
}

func TestShellWords(t *testing.T) {
	for in, want := range map[string][]string{
		"":                                  nil,
		"  a  b\tc\n":                       {"a", "b", "c"},
		`a 'b c' "d e"`:                     {"a", "b c", "d e"},
		`a\ b 'it'\''s'`:                    {"a b", "it's"},
		`"a\"b\\c\d" ""`:                    {`a"b\c\d`, ""},
		`--json='{"a": 1}'`:                 {`--json={"a": 1}`},
		`sh -c 'exec x --port {port} 2>&1'`: {"sh", "-c", "exec x --port {port} 2>&1"},
		"'":                                 {"error"},
		`"a`:                                {"error"},
		`a\`:                                {"error"},
	} {
		got, err := shellWords(in)
		if err != nil {
			got = []string{"error"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzShellWords: a word that was quoted comes back.
func FuzzShellWords(f *testing.F) {
	f.Add("a b", `it's "x"`)
	f.Add("", "\\")
	f.Fuzz(func(t *testing.T, a, b string) {
		got, err := shellWords(quoteWord(a) + " " + quoteWord(b))
		if err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q, %q came back as %q, %v", a, b, got, err)
		}
	})
}
