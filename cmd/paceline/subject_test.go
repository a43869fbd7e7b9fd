//go:build native

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target/targettest"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/proc/proctest"
)

// steady is a server whose answers take some time, so that the client's own time is
// nothing beside it.
func steady() targettest.Behaviour {
	return targettest.Behaviour{OwnedBy: "vllm", Version: "0.9.1", Role: true, First: 3 * time.Millisecond, Gap: time.Millisecond, Bundle: 4}
}

// serverPID names the variable with the file in which the server leaves its process id.
const serverPID = "PACELINE_TEST_SERVER_PID"

// playServer is the tiny OpenAI-compatible server that --launch starts.
func playServer(port, mode string) int {
	b := steady()
	switch mode {
	case "crashes":
		fmt.Fprintln(os.Stderr, "model.gguf: invalid magic")
		return 7
	case "fails":
		b.Status = http.StatusInternalServerError
	case "breaks": // it starts well, and then it can't answer
		b.Fault = targettest.FaultError
	}
	if file := os.Getenv(serverPID); file != "" {
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return 1
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = http.Serve(ln, targettest.NewServer(b))
	return 0
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func selfHash(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func launch(t *testing.T, mode string) string { return self(t) + " test-server {port} " + mode }

// only is the one round of the one run in a data folder.
func only(t *testing.T, data string) (ledger.Run, result.Round) {
	t.Helper()
	r := onlyRun(t, data)
	x := rounds(t, data, r.ID)
	if len(x) != 1 {
		t.Fatalf("%d rounds", len(x))
	}
	return r, x[0].Round
}

func value(t *testing.T, r result.Round, id string) float64 {
	t.Helper()
	i := slices.IndexFunc(r.Cells[0].Values, func(v result.Value) bool { return string(v.Metric) == id })
	if i < 0 {
		t.Fatalf("there is no %s among %+v", id, r.Cells[0].Values)
	}
	return r.Cells[0].Values[i].Value
}

func TestLaunchedServer(t *testing.T) {
	data := t.TempDir()
	o := paceline(t, "run", quick(t), "--data", data, "--launch", launch(t, "good"))
	o.expect(t, 0, "NOTHING WAS COMPARED", "not judged: token_agreement of workload speed", "--model", "--launch '")
	run, round := only(t, data)
	if run.Subject.Target != "server" || !strings.HasPrefix(run.Subject.Build, "launch:") || run.Subject.Model != "served" {
		t.Errorf("subject %+v", run.Subject)
	}
	id := round.Subject
	if id.BinaryHash != selfHash(t) || id.Build != "0.9.1" || id.Engine != "vllm" || id.ModelDigest != "served:test-model" || id.Revision != "" {
		t.Errorf("identity %+v", id)
	}
	// 128 tokens in 32 events, 1 ms apart.
	if rate := value(t, round, "output_rate"); rate < 100 || rate > 4000 {
		t.Errorf("output rate %v", rate)
	}
	if n := value(t, round, "tokens_per_event.mean"); n != 4 {
		t.Errorf("%v tokens an event", n)
	}
	if rss := value(t, round, "mem_peak_process"); rss < 1<<20 {
		t.Errorf("the server had %v bytes", rss)
	}
	if s := value(t, round, "load_time"); s <= 0 || s > 60 {
		t.Errorf("load time %v s", s)
	}
	if x := rounds(t, data, run.ID)[0]; x.Join != ledger.JoinBase {
		t.Errorf("the round is %s: without git it joins", x.Join)
	}
}

// TestLaunchedServerWithTokenizer: the model's folder gives a second count of the
// tokens, and prompts of an exact length.
func TestLaunchedServerWithTokenizer(t *testing.T) {
	data := t.TempDir()
	o := paceline(t, "run", quick(t), "--data", data, "--launch", launch(t, "good"), "--model", shipped(t), "--target", "tiny")
	// The tiny server's tokens are no tokens of this model: that is what the gate is for.
	o.expect(t, exitFail, "token_agreement")
	run, round := only(t, data)
	if run.Subject.Target != "tiny" || round.Subject.TokenizerDigest == "" || len(round.Subject.ModelDigest) != 64 {
		t.Errorf("subject %+v, identity %+v", run.Subject, round.Subject)
	}
}

func TestRunningServer(t *testing.T) {
	h := httptest.NewServer(targettest.NewServer(steady()))
	defer h.Close()
	data := t.TempDir()
	paceline(t, "run", quick(t), "--data", data, "--url", h.URL).expect(t, 0, "NOTHING WAS COMPARED")
	run, round := only(t, data)
	if run.Subject.Build != "url:"+h.URL || round.Subject.Build != "0.9.1" || round.Subject.BinaryHash != "" {
		t.Errorf("subject %+v, identity %+v", run.Subject, round.Subject)
	}
	for _, v := range round.Cells[0].Values {
		if v.Metric == "load_time" || v.Metric == "ttft_process_cold" || v.Metric == "mem_peak_process" {
			t.Errorf("%s of a server that somebody else started", v.Metric)
		}
	}
}

// TestShippedSuitesTakeServers: the shipped suite of every commit runs against any
// server.
func TestShippedSuitesTakeServers(t *testing.T) {
	o := paceline(t, "run", "ci", "--data", t.TempDir(), "--launch", launch(t, "good"))
	o.expect(t, 0, "NOTHING WAS COMPARED", "not judged: cancel_honoured of workload streaming", "words in place of 128 tokens")
}

// TestInterruptEndsTheServer: whoever cancels a run gets the machine back.
func TestInterruptEndsTheServer(t *testing.T) {
	for how, end := range map[string]func(p *process){
		"interrupted": func(p *process) {
			if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			p.wait(t).expect(t, exitCancelled, "is cancelled")
		},
		"killed": func(p *process) {
			if err := p.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			p.wait(t)
		},
	} {
		t.Run(how, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pid")
			t.Setenv(serverPID, file)
			p := start(t, "run", "throughput", "--data", t.TempDir(), "--launch", launch(t, "good"))
			p.waitFor(t, "warm-up")
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(string(b))
			if err != nil {
				t.Fatal(err)
			}
			end(p)
			proctest.WaitGone(t, pid, 30*time.Second)
		})
	}
}

// TestUnknownBuildsDontJoin: a server that says nothing of itself never joins the
// baseline of a branch whose commits it claims to be.
func TestUnknownBuildsDontJoin(t *testing.T) {
	b := steady()
	b.Version = ""
	h := httptest.NewServer(targettest.NewServer(b))
	defer h.Close()
	data := t.TempDir()
	paceline(t, "run", quick(t), "--data", data, "--url", h.URL, "--commit", "0123456789ab", "--branch", "main").expect(t, 0, "unknown build")
	run, _ := only(t, data)
	if x := rounds(t, data, run.ID)[0]; x.Join != ledger.JoinNone {
		t.Errorf("the round is %s", x.Join)
	}
}

func TestBuildByPath(t *testing.T) {
	data := t.TempDir()
	paceline(t, "run", quick(t), "--data", data, "--build", self(t)+"@sha256:"+selfHash(t)).expect(t, 0, "NOTHING WAS COMPARED", "--build ")
	run, round := only(t, data)
	if run.Subject.Build != "sha256:"+selfHash(t) || round.Subject.BinaryHash != selfHash(t) {
		t.Errorf("subject %+v, identity %+v", run.Subject, round.Subject)
	}
}

// TestOlderWorker: a build that speaks the first version of the worker protocol is
// measured like any other.
func TestOlderWorker(t *testing.T) {
	old := olderWorker(t)
	data := t.TempDir()
	paceline(t, "run", quick(t), "--data", data, "--build", old).expect(t, 0, "NOTHING WAS COMPARED")
	if _, round := only(t, data); round.Subject.Build != "0.1.0" {
		t.Errorf("identity %+v", round.Subject)
	}
}

// TestBadSubjects: each is one clear message, the right exit code, and an end in
// bounded time.
func TestBadSubjects(t *testing.T) {
	file := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	elsewhere, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere[18] = 183 // of the ELF header: AArch64
	if selfArch := elsewhere[19]; selfArch != 0 {
		t.Fatal("an ELF header that this test doesn't know")
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	failing := httptest.NewServer(targettest.NewServer(targettest.Behaviour{Status: 500}))
	defer failing.Close()
	zero := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"no such build":            {[]string{"--build", "/nowhere/paceline"}, exitRequest, []string{"/nowhere/paceline"}},
		"a folder":                 {[]string{"--build", t.TempDir()}, exitRequest, []string{"is no file"}},
		"not executable":           {[]string{"--build", file("x", "#!/bin/sh\n", 0o600)}, exitRequest, []string{"chmod +x"}},
		"another architecture":     {[]string{"--build", file("arm", string(elsewhere), 0o700)}, exitRequest, []string{"built for aarch64"}},
		"neither ELF nor script":   {[]string{"--build", file("text", "hello there, this is no program at all, whatever its mode\n", 0o700)}, exitRequest, []string{"neither"}},
		"not a Paceline program":   {[]string{"--build", file("sh", "#!/bin/sh\necho usage: frob the knob\n", 0o700)}, exitMachine, []string{"is the other side a Paceline worker?"}},
		"a build that ends":        {[]string{"--build", file("sh", "#!/bin/sh\necho libcudart.so.12: no such file >&2\nexit 127\n", 0o700)}, exitMachine, []string{"exit status 127", "libcudart.so.12", "native build of Paceline?"}},
		"no such interpreter":      {[]string{"--build", file("sh", "#!/nowhere/python\n", 0o700)}, exitMachine, []string{"doesn't start"}},
		"another digest":           {[]string{"--build", self(t) + "@sha256:" + zero}, exitRequest, []string{zero, selfHash(t)}},
		"an unknown digest":        {[]string{"--build", "sha256:" + zero}, exitMachine, []string{"builds.binaries"}},
		"git without a recipe":     {[]string{"--build", "git:HEAD"}, exitRequest, []string{"builds.git"}},
		"scheme":                   {[]string{"--url", "ftp://127.0.0.1"}, exitRequest, []string{"http://HOST:PORT"}},
		"no address":               {[]string{"--url", "localhost:8000"}, exitRequest, []string{"http://HOST:PORT"}},
		"nothing listens":          {[]string{"--url", gone.URL}, exitMachine, []string{gone.URL, "nothing listens there"}},
		"500 for ever":             {[]string{"--url", failing.URL}, exitMachine, []string{"500 Internal Server Error", "programmed to fail"}},
		"500 for ever, launched":   {[]string{"--launch", launch(t, "fails")}, exitMachine, []string{"500 Internal Server Error"}},
		"an error in every stream": {[]string{"--launch", launch(t, "breaks")}, exitMachine, []string{"first request", "out of memory in the middle"}},
		"a server that ends":       {[]string{"--launch", launch(t, "crashes")}, exitMachine, []string{"ended before it was ready (exit status 7)", "invalid magic"}},
		"no such program":          {[]string{"--launch", "no-such-server --port {port}"}, exitMachine, []string{"no-such-server", "installed"}},
		"an unknown name":          {[]string{"--launch", "x --port {prot}"}, exitRequest, []string{"did you mean {port}"}},
		"an open quote":            {[]string{"--launch", "x 'y"}, exitRequest, []string{"quote"}},
		"two servers":              {[]string{"--launch", "x", "--url", "http://h"}, exitRequest, []string{"give one of them"}},
		"an unknown target":        {[]string{"--target", "vllm"}, exitRequest, []string{`no target "vllm"`}},
		"a dialect":                {[]string{"--url", "http://h", "--dialect", "vlm"}, exitRequest, []string{`did you mean "vllm"`}},
		"no key":                   {[]string{"--url", "http://h", "--api-key-env", "PACELINE_TEST_NO_SUCH_KEY"}, exitRequest, []string{"PACELINE_TEST_NO_SUCH_KEY"}},
		"a planted defect":         {[]string{"--url", failing.URL, "--fault", "slow=2"}, exitRequest, []string{"planted defects"}},
		"a configuration":          {[]string{"--agent-config", "/nowhere/agent.yml"}, exitRequest, []string{"/nowhere/agent.yml"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := paceline(t, append([]string{"run", quick(t), "--data", t.TempDir()}, c.args...)...)
			o.expect(t, c.code, c.says...)
			if n := strings.Count(o.stderr+o.stdout, "\n"); n > 40 {
				t.Errorf("the message has %d lines: one screen is enough", n)
			}
		})
	}
}

// TestUpTakesNoCommands: what a person may type, no request to a coordinator may hold.
func TestUpTakesNoCommands(t *testing.T) {
	data := t.TempDir()
	up := start(t, "up", "--listen", "127.0.0.1:0", "--data", data)
	up.waitFor(t, "Ctrl-C stops it")
	for _, args := range [][]string{{"--launch", "x {port}"}, {"--url", "http://127.0.0.1:1"}, {"--build", self(t)}} {
		paceline(t, append([]string{"run", quick(t), "--data", data}, args...)...).expect(t, exitRequest, "owns the data folder", args[0], "--data")
	}
	if err := up.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	up.wait(t).expect(t, 0)
}
