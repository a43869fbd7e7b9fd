package proc

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/internal/proc/proctest"
)

func TestChildSpeaksAndEnds(t *testing.T) {
	c, err := Start(t.Context(), Options{Args: []string{"cat"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c.Stdin, "hello\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c.Stdout).ReadString('\n')
	if err != nil || line != "hello\n" {
		t.Fatalf("read %q, %v", line, err)
	}
	if err := c.Stop(10 * time.Second); err != nil { // cat ends with its input
		t.Fatal(err)
	}
	if _, rss := c.Usage(); rss <= 0 {
		t.Errorf("peak resident set %d bytes", rss)
	}
}

func TestErrorNamesSignalAndLastWords(t *testing.T) {
	var lines []string
	c, err := Start(t.Context(), Options{
		Args: []string{"sh", "-c", "echo out of luck >&2; kill -9 $$"}, Log: func(l string) { lines = append(lines, l) },
	})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if err == nil || !strings.Contains(err.Error(), "signal 9") || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("error %v", err)
	}
	if len(lines) != 1 || lines[0] != "out of luck" {
		t.Errorf("logged %q", lines)
	}
}

func TestMissingProgram(t *testing.T) {
	if _, err := Start(t.Context(), Options{Args: []string{"/nowhere/at/all"}}); err == nil {
		t.Fatal("started")
	}
}

func TestGrandchildrenDieToo(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Start(ctx, Options{Args: []string{"sh", "-c", "sleep 1000 & echo $! >" + pidFile + "; echo ready; wait"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(c.Stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := c.Wait(); err == nil {
		t.Error("a killed child gave no error")
	}
	proctest.WaitGone(t, pid, 10*time.Second)
}

func TestDigest(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := Digest(self)
	if err != nil {
		t.Fatal(err)
	}
	own, err := OwnDigest()
	if err != nil || own != file || len(own) != 64 {
		t.Errorf("own digest %s, %v; the file's is %s", own, err, file)
	}
	if _, err := Digest(filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a digest of nothing")
	}
}
