//go:build native && real

package serve

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/model/robotstories"
)

// aiperf is the version of NVIDIA's load generator that the tests install: about 1.2 GB.
const aiperf = "aiperf==0.13.0"

// TestRealAIPerf drives the server by AIPerf, four streams at a time, and holds what it reports of
// tokens, which it takes from the usage of each answer, against the engine's own counts.
func TestRealAIPerf(t *testing.T) {
	dir := installed(t, "python-"+aiperf, func(dir string) {
		run(t, "python3", "-m", "venv", dir)
		run(t, filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", aiperf)
	})
	model := filepath.Join(t.TempDir(), "robot-stories")
	if err := robotstories.Extract(model); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, robots(t, engine.Options{KVBytes: 64 << 20, MaxContext: 1024}), Options{})
	for _, api := range []string{"chat", "completions"} {
		t.Run(api, func(t *testing.T) {
			before := s.engine.Stats()
			out := t.TempDir()
			run(t, filepath.Join(dir, "bin", "aiperf"), "profile", "-m", "robots", "-u", s.url, "--endpoint-type", api, "--streaming",
				"--tokenizer", model, "--ui", "none", "--random-seed", "1", "--concurrency", "4", "--request-count", "24",
				"--isl", "64", "--osl", "24", "--extra-inputs", "ignore_eos:true", "--extra-inputs", "min_tokens:24",
				"--use-server-token-count", "--artifact-dir", out)
			b, err := os.ReadFile(filepath.Join(out, "profile_export_aiperf.json"))
			if err != nil {
				t.Fatal(err)
			}
			var said map[string]json.RawMessage
			if err := json.Unmarshal(b, &said); err != nil {
				t.Fatal(err)
			}
			figure := func(name string) uint64 {
				var m struct{ Avg *float64 }
				if err := json.Unmarshal(said[name], &m); err != nil || m.Avg == nil {
					t.Errorf("no figure %s in AIPerf's export: %v", name, err)
					return 0
				}
				return uint64(*m.Avg)
			}
			after := s.engine.Stats()
			output, prompt := after.OutputTokens-before.OutputTokens, after.PromptTokens+after.CachedTokens-before.PromptTokens-before.CachedTokens
			if n := figure("request_count"); n != 24 || after.Requests-before.Requests != n || output != 24*24 {
				t.Errorf("AIPerf counts %d requests, the engine %d with %d tokens", n, after.Requests-before.Requests, output)
			}
			for name, want := range map[string]uint64{
				"total_output_tokens": output, "total_usage_completion_tokens": output, "total_usage_prompt_tokens": prompt,
			} {
				if got := figure(name); got != want {
					t.Errorf("%s is %d at AIPerf, %d at the engine", name, got, want)
				}
			}
		})
	}
}
