//go:build native

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestServe: the command serves the shipped model, says the same as generate, can be measured as
// any other server, and ends well by a signal.
func TestServe(t *testing.T) {
	p := start(t, "serve", "--listen", "127.0.0.1:0", "--context", "1024", "--drain", "5s")
	p.waitFor(t, "ready · ")
	url := regexp.MustCompile(`address +(\S+)/v1`).FindStringSubmatch(p.stderr.String())[1]
	resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(
		`{"model":"robot-stories","messages":[{"role":"user","content":"Write a short story about a robot."}],"temperature":0,"max_tokens":80}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Choices []struct {
			Message struct{ Content string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Choices) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	var said generation
	o := paceline(t, "generate", "--greedy", "-n", "80", "--json")
	o.expect(t, exitOK)
	if err := json.Unmarshal([]byte(o.stdout), &said); err != nil {
		t.Fatal(err)
	}
	if got := answer.Choices[0].Message.Content; got != said.Text || got == "" {
		t.Errorf("serve says %q, generate %q", got, said.Text)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitOK)
}

// TestServeProfiles: on an address of their own, and only there.
func TestServeProfiles(t *testing.T) {
	p := start(t, "serve", "--listen", "127.0.0.1:0", "--pprof", "127.0.0.1:0", "--context", "256")
	p.waitFor(t, "ready · ")
	said := p.stderr.String()
	status := func(url string) (int, string) {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	profiles := regexp.MustCompile(`pprof +(http://127\.0\.0\.1:\d+/debug/pprof/)`).FindStringSubmatch(said)
	if profiles == nil {
		t.Fatalf("no address of profiles in %q", said)
	}
	if code, body := status(profiles[1] + "goroutine?debug=1"); code != 200 || !strings.Contains(body, "engine/sched") {
		t.Errorf("goroutines: %d %.200s", code, body)
	}
	if code, body := status(profiles[1] + "profile?seconds=1"); code != 200 || len(body) == 0 {
		t.Errorf("a CPU profile: %d, %d bytes", code, len(body))
	}
	api := regexp.MustCompile(`address +(\S+)/v1`).FindStringSubmatch(said)[1]
	if code, _ := status(api + "/debug/pprof/"); code != 404 {
		t.Errorf("the API's port gives profiles: %d", code)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitOK)
}

// TestServeIsMeasured: `run` starts it as any other server and finds its dialect, so that nothing
// that the suite asks for is left out.
func TestServeIsMeasured(t *testing.T) {
	o := paceline(t, "run", quick(t), "--data", t.TempDir(), "--launch", quoteWord(self(t))+" serve --context 1024 --listen 127.0.0.1:{port}")
	o.expect(t, exitOK, "NOTHING WAS COMPARED", "server · launch:")
	if strings.Contains(o.stdout+o.stderr, "not sent to the server") {
		t.Errorf("the dialect lacks something:\n%s", o.stdout+o.stderr)
	}
}

func TestServeRefuses(t *testing.T) {
	t.Setenv("PACELINE_TEST_EMPTY", "")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"beyond this machine": {[]string{"--listen", "0.0.0.0:0"}, "--api-key-env"},
		"every address":       {[]string{"--listen", ":0"}, "--api-key-env"},
		"no port":             {[]string{"--listen", "127.0.0.1"}, "HOST:PORT"},
		"an empty key":        {[]string{"--api-key-env", "PACELINE_TEST_EMPTY"}, "empty or not set"},
		"profiles for all":    {[]string{"--pprof", "0.0.0.0:0"}, "--pprof-any-host"},
		"profiles on no port": {[]string{"--pprof", "127.0.0.1"}, "HOST:PORT"},
		"profiles nowhere":    {[]string{"--pprof-any-host"}, "say where"},
		"no requests":         {[]string{"--max-requests", "0"}, "at least 1"},
		"negative":            {[]string{"--drain", "-1s"}, "negative"},
		"no model":            {[]string{"gpt-9", "--listen", "127.0.0.1:0"}, "robot-stories"},
		"too long a context":  {[]string{"--listen", "127.0.0.1:0", "--context", "999999"}, "limit"},
	} {
		t.Run(name, func(t *testing.T) {
			o := paceline(t, append([]string{"serve"}, c.args...)...)
			if o.code == exitOK || !strings.Contains(o.stderr, c.says) {
				t.Errorf("code %d: %s; want %q", o.code, o.stderr, c.says)
			}
		})
	}
}

// TestServedName: a model is called as people ask for it, not by a folder that only its commit names.
func TestServedName(t *testing.T) {
	for _, c := range []struct{ model, dir, want string }{
		{"", "/cache/abc", "robot-stories"},
		{"default", "/cache/abc", "robot-stories"},
		{"robot-stories", "/cache/abc", "robot-stories"},
		{"Qwen/Qwen2.5-0.5B-Instruct", "/hub/models--Qwen--Qwen2.5-0.5B-Instruct/snapshots/0123abcd", "Qwen/Qwen2.5-0.5B-Instruct"},
		{"/models/mine", "/models/mine", "mine"},
	} {
		if got := servedName(c.model, c.dir); got != c.want {
			t.Errorf("%q from %s is served as %q, want %q", c.model, c.dir, got, c.want)
		}
	}
}
