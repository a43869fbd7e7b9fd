//go:build native

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// machineSpeed names the variable that sets how fast the fake machine probe finds
// this machine: 1 is its usual self.
const machineSpeed = "PACELINE_TEST_MACHINE_SPEED"

// TestMain lets this test binary be paceline itself: the commands under test start
// their worker and their probe from it, and tests start it to be killed.
func TestMain(m *testing.M) {
	// A fuzzing test starts copies of itself, which inherit the variable and are no children of a test.
	if os.Getenv("PACELINE_TEST_MAIN") != "" && !slices.Contains(os.Args, "-test.fuzzworker") {
		if speed := os.Getenv(machineSpeed); speed != "" && len(os.Args) == 2 && os.Args[1] == "probe" {
			os.Exit(fakeProbe(speed))
		}
		if len(os.Args) == 4 && os.Args[1] == "test-server" {
			os.Exit(playServer(os.Args[2], os.Args[3]))
		}
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := os.Setenv("PACELINE_TEST_MAIN", "1"); err != nil { // for the children
		panic(err)
	}
	// These tests may run in CI themselves; what it says of its job isn't theirs.
	for _, v := range []string{"CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "JENKINS_URL"} {
		if err := os.Unsetenv(v); err != nil {
			panic(err)
		}
	}
	if err := os.Setenv(machineSpeed, "1"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// fakeProbe stands in for the machine probe alone, because these machines have other
// users: a real reading that is off would, rightly, invalidate the rounds of a test
// that is about something else. What describes the machine is real.
func fakeProbe(speed string) int {
	x, err := strconv.ParseFloat(speed, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitMachine
	}
	env, err := probe.Fingerprint(context.Background(), []probe.Sampler{host.Open()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	now := time.Now()
	f := &wire.Frame{Env: &env, Probes: []result.Probe{
		{Kind: "cpu.read", Unit: "GB/s", Value: 10 * x, At: now},
		{Kind: "cpu.fma", Unit: "GFLOP/s", Value: 100 * x, At: now},
	}}
	if err := wire.WriteFrame(os.Stdout, f); err != nil {
		return exitMachine
	}
	return exitOK
}

// outcome is what a command did.
type outcome struct {
	code           int
	stdout, stderr string
}

// paceline runs a command as a process of its own.
func paceline(t *testing.T, args ...string) outcome {
	t.Helper()
	p := start(t, args...)
	return p.wait(t)
}

// process is a started command.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *buffer
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startIn(t, "", args...)
}

// startIn starts a command in a folder; "" is this package's.
func startIn(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self, args...), stdout: &buffer{}, stderr: &buffer{}}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.stdout, p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func (p *process) wait(t *testing.T) outcome {
	t.Helper()
	timer := time.AfterFunc(4*time.Minute, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	_ = p.cmd.Wait() // the exit code says it
	return outcome{p.cmd.ProcessState.ExitCode(), p.stdout.String(), p.stderr.String()}
}

// waitFor waits until standard error has the text.
func (p *process) waitFor(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(p.stderr.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q never came; standard error:\n%s", text, p.stderr.String())
		}
	}
}

// expect checks exit code and messages; a message is one screen at most.
func (o outcome) expect(t *testing.T, code int, says ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d", o.code, code)
	}
	for _, s := range says {
		if !strings.Contains(o.stdout+o.stderr, s) {
			t.Errorf("nothing says %q", s)
		}
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", o.stdout, o.stderr)
	}
}

// buffer may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func quick(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "quick.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
