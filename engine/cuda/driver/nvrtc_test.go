package driver_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
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

// TestKernelsCompile: what the engine and these tests load on a device, and the line of what is wrong in a unit.
func TestKernelsCompile(t *testing.T) {
	n := compiler(t)
	for _, arch := range []string{"sm_80", "sm_90", "sm_100"} {
		must[driver.Result](t)(n.Compile(probeFor(t, arch)))
	}
	shape := kernels.Shape{Hidden: 256, Heads: 4, KVHeads: 2, HeadDim: 64, Inter: 512, Vocab: 512, Eps: 1e-6, Warps: 4, SelectThreads: 128}
	p := driver.Program{Name: "kernels.cu", Headers: map[string]string{}, Options: []string{"-std=c++17", "-fmad=false", "--gpu-architecture=sm_90a"}}
	for _, d := range shape.Defines() {
		p.Options = append(p.Options, "-D"+d)
	}
	for name, text := range kernels.Files() {
		p.Headers[name] = string(text)
	}
	for _, name := range kernels.Units() {
		p.Source += fmt.Sprintf("#include %q\n", name)
	}
	if r := must[driver.Result](t)(n.Compile(p)); !strings.HasPrefix(string(r.Code), "\x7fELF") || !strings.Contains(string(r.Code), "attention") {
		t.Errorf("%d bytes that are no cubin of the kernels", len(r.Code))
	}
	const unit = "gate.cu"
	line := strings.Count(p.Headers[unit], "\n") + 1
	p.Headers[unit] += "static_assert(false, \"planted\");\n"
	_, err := n.Compile(p)
	if want := fmt.Sprintf("%s(%d)", unit, line); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "planted") {
		t.Errorf("a unit with an error gave %v, want %s", err, want)
	}
}

func TestNoCompiler(t *testing.T) {
	_, err := driver.OpenNVRTC(filepath.Join(t.TempDir(), "libnvrtc.so.13"))
	if !errors.Is(err, driver.ErrNoNVRTC) || !strings.Contains(err.Error(), "pip install") {
		t.Errorf("got %v", err)
	}
}
