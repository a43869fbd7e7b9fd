// Package proctest asks about processes, for tests of whatever starts some. How they are
// started and ended is internal/proc's.
package proctest

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// WaitGone waits until the process doesn't run any more, and fails the test where it
// still does after so long.
func WaitGone(t *testing.T, pid int, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); alive(pid); time.Sleep(5 * time.Millisecond) { // between polls
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still running after %v", pid, within)
		}
	}
}

// alive says whether the process runs; a zombie that nobody reaped doesn't. Of a process
// that goes while it is read, the file is gone or can't be read.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}
