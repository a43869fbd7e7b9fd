// Package proc starts measured children so that none outlives its parent: each has
// a process group of its own, dies with its parent, and is killed with all that it
// started.
//
// It also tells programs apart by the digests of their files. What is said over a
// child's pipes is internal/wire's.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tailBytes is how much of a child's standard error is kept for its error message.
const tailBytes = 4 << 10

// Child is a started process. Its standard input stays open until Close or Kill:
// its end tells the child to die.
type Child struct {
	Stdin  io.WriteCloser
	Stdout io.Reader

	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error // set before done is closed
}

// Options of a child.
type Options struct {
	Args []string // program and arguments
	Env  []string // added to this process's own
	Log  func(line string)
}

// Start starts the child. It is killed when ctx ends.
func Start(ctx context.Context, o Options) (*Child, error) {
	if len(o.Args) == 0 {
		return nil, errors.New("start a child: no program is named")
	}
	cmd := exec.Command(o.Args[0], o.Args[1:]...)
	cmd.Env = append(os.Environ(), o.Env...)
	cmd.WaitDelay = time.Second // a grandchild that holds standard error can't hold us
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Args[0], err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Args[0], err)
	}
	c := &Child{Stdin: stdin, Stdout: outR, cmd: cmd, tail: &tail{log: o.Log}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = outW, c.tail

	// The kernel sends the death signal when the *thread* that started the child
	// ends, so that thread must live as long as the child does.
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := cmd.Start()
		_ = outW.Close()
		started <- err
		if err != nil {
			return
		}
		if c.err = cmd.Wait(); errors.Is(c.err, exec.ErrWaitDelay) {
			c.err = nil
		}
		c.killGroup()
		close(c.done)
	}()
	if err := <-started; err != nil {
		_ = outR.Close()
		return nil, fmt.Errorf("start %s: %w", o.Args[0], err)
	}
	go func() {
		select {
		case <-ctx.Done():
			c.Kill()
		case <-c.done:
		}
	}()
	return c, nil
}

// Pid of the child.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Kill ends the child and everything in its process group at once.
func (c *Child) Kill() {
	c.killGroup()
	_ = c.Stdin.Close()
}

func (c *Child) killGroup() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

// Wait waits for the child's end. The error of one that didn't exit with 0 says how
// it ended and the last lines it wrote to standard error.
func (c *Child) Wait() error {
	<-c.done
	if c.err == nil {
		return nil
	}
	how := c.err.Error()
	var exit *exec.ExitError
	if errors.As(c.err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			how = fmt.Sprintf("killed by signal %d (%s)", ws.Signal(), ws.Signal())
		}
	}
	if last := c.tail.String(); last != "" {
		return fmt.Errorf("%s: %s", how, last)
	}
	return errors.New(how)
}

// Stop closes the child's input, gives it grace to end by itself, then kills it.
func (c *Child) Stop(grace time.Duration) error {
	_ = c.Stdin.Close()
	select {
	case <-c.done:
	case <-time.After(grace):
		c.Kill()
	}
	return c.Wait()
}

// Terminate asks the child and everything in its process group to end (SIGTERM), and
// kills what is left after grace. How a child ends that was told to is no error.
func (c *Child) Terminate(grace time.Duration) {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(grace):
	}
	c.Kill()
	<-c.done
}

// Ended is closed when the child has ended.
func (c *Child) Ended() <-chan struct{} { return c.done }

// Usage is the child's CPU time and peak resident set in bytes, known once it ended.
func (c *Child) Usage() (cpu time.Duration, peakRSS int64) {
	<-c.done
	st := c.cmd.ProcessState
	if ru, ok := st.SysUsage().(*syscall.Rusage); ok {
		peakRSS = ru.Maxrss << 10 // Linux counts kilobytes
	}
	return st.UserTime() + st.SystemTime(), peakRSS
}

// tail hands lines on and keeps the last ones.
type tail struct {
	log func(string)

	mu   sync.Mutex // guards what follows
	line []byte
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	if t.log == nil {
		return len(p), nil
	}
	t.line = append(t.line, p...)
	for {
		i := bytes.IndexByte(t.line, '\n')
		if i < 0 {
			break
		}
		t.log(string(t.line[:i]))
		t.line = t.line[i+1:]
	}
	if len(t.line) > tailBytes {
		t.log(string(t.line))
		t.line = nil
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
