//go:build native

package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/model/hub"
	"github.com/paceline/paceline/engine/model/hub/hubtest"
	"github.com/paceline/paceline/engine/model/robotstories"
)

// testHub serves the shipped model as acme/robots and gives the cache that the commands
// of this test use.
func testHub(t *testing.T) (s *hubtest.Server, cache string) {
	t.Helper()
	files := map[string][]byte{}
	entries, err := fs.ReadDir(robotstories.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = fs.ReadFile(robotstories.FS(), e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	s = hubtest.Start(t, "acme/robots", files)
	home := t.TempDir()
	for k, v := range map[string]string{"HF_ENDPOINT": s.URL, "HF_HOME": home, "HF_HUB_CACHE": "", "HF_TOKEN": "hf_" + strings.Repeat("s", 30)} {
		t.Setenv(k, v)
	}
	return s, filepath.Join(home, "hub")
}

// TestPulledModel kills a pull in the middle, goes on with it, and measures the model.
func TestPulledModel(t *testing.T) {
	s, cache := testHub(t)
	paceline(t, "generate", "acme/robots", "x").expect(t, exitRequest, "paceline model pull acme/robots")
	paceline(t, "run", quick(t), "--data", t.TempDir(), "--model", "acme/robots").expect(t, exitRequest, "paceline model pull acme/robots")
	paceline(t, "model", "list").expect(t, exitOK, "no whole model in "+cache)

	weights, err := fs.ReadFile(robotstories.FS(), "model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	s.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || r.URL.Query().Get("file") != "model.safetensors" {
			return false
		}
		_, _ = w.Write(weights[:1<<20])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	})
	p := start(t, "model", "pull", "acme/robots")
	part := filepath.Join(cache, "models--acme--robots", "blobs", s.ETag("model.safetensors")+".incomplete")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if st, err := os.Stat(part); err == nil && st.Size() >= 1<<19 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no part of the weights came; standard error:\n%s", p.stderr.String())
		}
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	s.Fault(nil)
	paceline(t, "model", "inspect", "acme/robots").expect(t, exitRequest, "paceline model pull acme/robots")

	pulled := paceline(t, "model", "pull", "acme/robots")
	pulled.expect(t, exitOK, "acme/robots is here: commit "+hubtest.Commit[:12], "model.safetensors  2.9 MB")
	if dir := strings.TrimSpace(pulled.stdout); dir != filepath.Join(cache, "models--acme--robots", "snapshots", hubtest.Commit) {
		t.Errorf("standard output is %q, want the folder alone", pulled.stdout)
	}
	if strings.Contains(pulled.stdout+pulled.stderr, "\r") || strings.Contains(pulled.stdout+pulled.stderr, "hf_s") {
		t.Errorf("a carriage return or the token in %q", pulled.stderr)
	}
	if !slices.ContainsFunc(s.Requests(), func(q hubtest.Request) bool { return q.CDN && strings.HasPrefix(q.Range, "bytes=") }) {
		t.Error("the second pull began anew")
	}
	for _, q := range s.Requests() {
		if q.CDN && q.Auth != "" {
			t.Errorf("the token went to the CDN: %+v", q)
		}
	}

	generated := func(name string) (ids []int32) {
		o := paceline(t, "generate", name, "Tell a story about two robots.", "--greedy", "-n", "48", "--json")
		o.expect(t, exitOK)
		var g generation
		if err := json.Unmarshal([]byte(o.stdout), &g); err != nil || len(g.IDs) == 0 {
			t.Fatalf("%v: %s", err, o.stdout)
		}
		return g.IDs
	}
	if got, want := generated("acme/robots"), generated("robot-stories"); !slices.Equal(got, want) {
		t.Errorf("the pulled model says %v, the shipped one %v", got, want)
	}
	paceline(t, "model", "list").expect(t, exitOK, "acme/robots", "3.0 MB", "bfloat16  16.00  2.9 MB")
	paceline(t, "model", "inspect", "acme/robots@main").expect(t, exitOK, "Qwen2")
	paceline(t, "model", "tokenize", "acme/robots", "robot").expect(t, exitOK)
	paceline(t, "model", "score", "acme/robots", "--text", "robot").expect(t, exitOK, "log-sum-exp")
	data := t.TempDir()
	paceline(t, "run", quick(t), "--data", data, "--model", "acme/robots").expect(t, exitOK, "NOTHING WAS COMPARED")
	if r, _ := only(t, data); r.Subject.Model != "acme/robots" {
		t.Errorf("the run is stored for %q", r.Subject.Model)
	}

	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	paceline(t, "model", "pull", "acme/robots").expect(t, exitOK, "can't be reached", "that copy is whole")
}

func TestPullExitCodes(t *testing.T) {
	s, _ := testHub(t)
	other := hubtest.Start(t, "acme/other", map[string][]byte{
		"config.json": []byte(`{"architectures": ["MambaForCausalLM"], "model_type": "mamba"}`), "model.safetensors": []byte("weights"),
	})
	for _, c := range []struct {
		name string
		env  map[string]string
		code int
		says []string
	}{
		{name: "../robots", code: exitRequest, says: []string{"is no name of a model"}},
		{name: "acme/robots@../x", code: exitRequest, says: []string{"is no revision"}},
		{name: s.URL + "/acme/robots", code: exitRequest, says: []string{"is an address"}},
		{name: "acme/nothing", code: exitRequest, says: []string{"HF_TOKEN"}},
		{name: "acme/robots@v9", code: exitRequest, says: []string{`no revision "v9"`}},
		{name: "acme/robots", env: map[string]string{"HF_ENDPOINT": "http://127.0.0.1:1"}, code: exitMachine, says: []string{"can't be reached", "HTTPS_PROXY"}},
		{name: "acme/other", env: map[string]string{"HF_ENDPOINT": other.URL}, code: exitRequest, says: []string{"MambaForCausalLM", "--any"}},
		{name: "acme/robots", env: map[string]string{"HF_HUB_CACHE": "/dev/null/cache"}, code: exitMachine, says: []string{"/dev/null/cache"}},
	} {
		for k, v := range c.env {
			t.Setenv(k, v)
		}
		paceline(t, "model", "pull", c.name).expect(t, c.code, c.says...)
		for k := range c.env {
			t.Setenv(k, map[string]string{"HF_ENDPOINT": s.URL}[k])
		}
	}
}

func TestPullLine(t *testing.T) {
	p := hub.Progress{File: "model.safetensors", FileDone: 400e6, FileSize: 988e6, Done: 410e6, Total: 998e6, Here: 110e6, Weights: true}
	for want, got := range map[string]string{
		"model.safetensors  ████████████░░░░░░░░░░░░░░░░░░  41 %  410.0 MB of 998.0 MB  30.0 MB/s  0:20 left": pullLine(p, 10*time.Second, 120),
		"model.safetensors  ███░░░░░  41 %  410.0 MB of 998.0 MB  30.0 MB/s  0:20 left":                       pullLine(p, 10*time.Second, 80),
		"model.safetensors  40 % of 988.0 MB  30.0 MB/s": pullLine(p, 10*time.Second, 0),
		"config.json  645 B":                             pullLine(hub.Progress{File: "config.json", FileDone: 645, FileSize: 645}, 0, 0),
		"waiting for another program that fetches x":     pullLine(hub.Progress{File: "x", Waiting: true}, 0, 0),
	} {
		if got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestPullDisplay(t *testing.T) {
	feed := func(width int) string {
		var out bytes.Buffer
		d := newPullDisplay(&out, width)
		at := time.Unix(0, 0)
		d.now = func() time.Time { at = at.Add(100 * time.Millisecond); return at }
		for n := int64(0); n <= 100; n++ {
			d.update(hub.Progress{File: "model.safetensors", FileDone: n << 20, FileSize: 100 << 20, Done: n << 20, Total: 100 << 20, Weights: true})
		}
		d.end()
		return out.String()
	}
	if plain := feed(0); strings.Count(plain, "\n") != 11 || strings.Contains(plain, "\r") { // 0 to 90 % and the end
		t.Errorf("plain lines:\n%s", plain)
	}
	if drawn := feed(80); strings.Contains(drawn, "\n") || !strings.HasSuffix(drawn, "\r\x1b[K") || !strings.Contains(drawn, "left") {
		t.Errorf("drawn: %q", drawn)
	}
}
