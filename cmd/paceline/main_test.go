//go:build native

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this test binary be paceline itself: the commands under test start
// their worker and their probe from it, and tests start it to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("PACELINE_TEST_MAIN") != "" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := os.Setenv("PACELINE_TEST_MAIN", "1"); err != nil { // for the children
		panic(err)
	}
	os.Exit(m.Run())
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
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self, args...), stdout: &buffer{}, stderr: &buffer{}}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
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
