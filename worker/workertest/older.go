package workertest

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Protocol1 builds the worker of protocol 1 and gives the program's path. It is a
// program of its own with frozen frames, so that no change of this repository's code
// can change what it says.
func Protocol1(t *testing.T) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the source of the worker of protocol 1 isn't found")
	}
	path := filepath.Join(t.TempDir(), "worker-protocol1")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join(filepath.Dir(file), "testdata", "protocol1")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the worker of protocol 1: %v: %s", err, out)
	}
	return path
}
