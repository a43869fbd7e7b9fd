package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/cuda/driver"
)

func compiler(t *testing.T) *driver.NVRTC {
	t.Helper()
	home := os.Getenv("PACELINE_CUDA_HOME")
	if home == "" {
		t.Skip("no NVRTC: PACELINE_CUDA_HOME isn't set")
	}
	n, err := driver.OpenNVRTC("")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(n.Path(), home) {
		t.Errorf("opened %s, want one in %s", n.Path(), home)
	}
	return n
}

func TestCompile(t *testing.T) {
	n := compiler(t)
	if major, _ := n.Version(); major < 12 {
		t.Errorf("version %d", major)
	}
	if list := must[[]int](t)(n.Architectures()); !slices.Contains(list, 90) {
		t.Errorf("architectures %v, want 90 among them", list)
	}
	p := driver.Program{
		Name: "one.cu", Source: "#include \"n.h\"\nextern \"C\" __global__ void one(int* p) { *p = N; }",
		Headers: map[string]string{"n.h": "#define N 41 + ONE\n"}, Options: []string{"-DONE=1"},
	}
	for arch, begins := range map[string]string{"sm_90a": "\x7fELF", "compute_80": "//"} {
		q := p
		q.Options = append(slices.Clone(p.Options), "--gpu-architecture="+arch)
		if r := must[driver.Result](t)(n.Compile(q)); !strings.HasPrefix(string(r.Code), begins) {
			t.Errorf("%s: code begins with %q", arch, r.Code[:4])
		}
	}
	p.Headers = map[string]string{"n.h": "#define N what\n"}
	_, err := n.Compile(p)
	if err == nil || !strings.Contains(err.Error(), "one.cu(2)") || !strings.Contains(err.Error(), `"what" is undefined`) {
		t.Errorf("a broken source gave %v, want the compiler's words and the line", err)
	}
}

func TestNoCompiler(t *testing.T) {
	_, err := driver.OpenNVRTC(filepath.Join(t.TempDir(), "libnvrtc.so.13"))
	if !errors.Is(err, driver.ErrNoNVRTC) || !strings.Contains(err.Error(), "pip install") {
		t.Errorf("got %v", err)
	}
}
