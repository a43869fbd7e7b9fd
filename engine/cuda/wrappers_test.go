//go:build native

package cuda

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"runtime"
	"testing"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
	"github.com/paceline/paceline/engine/sample"
)

const (
	sections  = 11
	inSection = 32 * 8
	loose     = 1 // the section of approximations
	hopper    = 9 // the first of the sections that older devices don't have
	golden    = "testdata/wrappers.json"
)

// TestMain knows -update, which writes golden files anew.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "write golden files from what the emulator gives now")
	os.Exit(m.Run())
}

// TestWrappers holds what every function of dev.h does against what the emulator gave when the file was written (-update
// writes it): on a GPU, to the bit, but for approximations, which have 2 units in the last place.
func TestWrappers(t *testing.T) {
	d := device(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := d.Context(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	got := runWrappers(t, c, wrapperCode(t, c.Info()))
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" && d.Emulated() {
		data, err := json.Marshal(got)
		if err == nil {
			err = os.WriteFile(golden, append(data, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var want []uint32
	if err := json.Unmarshal(data, &want); err != nil || len(want) != sections*inSection {
		t.Fatalf("%d words in %s, error %v", len(want), golden, err)
	}
	for i := range want {
		section, lane, word := i/inSection, i%inSection/8, i%8
		if section >= hopper && c.Info().Major < 9 {
			continue
		}
		if got[i] == want[i] || section == loose && close32(got[i], want[i]) {
			continue
		}
		t.Errorf("section %d, lane %d, word %d: %#x, want %#x", section, lane, word, got[i], want[i])
	}
}

// close32 says that two floats are within 2 units in the last place.
func close32(a, b uint32) bool {
	x, y := float64(math.Float32frombits(a)), float64(math.Float32frombits(b))
	return math.Abs(x-y) <= math.Max(math.Abs(x), math.Abs(y))*(2.0/(1<<23)) || math.Abs(x-y) < 1e-37
}

// wrapperCode is the kernel for the device under test.
func wrapperCode(t *testing.T, info driver.DeviceInfo) []byte {
	t.Helper()
	source, err := os.ReadFile("testdata/wrappers.cu")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"wrappers.cu": source}
	for _, name := range []string{"dev.h", "shape.h", "step.h", "format.h"} {
		files[name] = kernels.Files()[name]
	}
	s, err := kernels.ShapeOf(narrow(), kernels.BF16)
	if err != nil {
		t.Fatal(err)
	}
	compile := func(arch string) []byte {
		n, err := driver.OpenNVRTC("")
		if err != nil {
			t.Skip(err)
		}
		return compileWrappers(t, n, files, s, arch)
	}
	if os.Getenv("CUDA_LIB") == "" {
		simt.Leave(t, "wrappers", compile)
		return simt.Module(t, simt.Source{Files: files, Defines: s.Defines(), Check: true})
	}
	arch := image.ArchOf(info, false)
	if code := simt.Left("wrappers", arch); code != nil {
		return code
	}
	return compile(arch)
}

// TestWrappersCompile: they do for what the test above runs them on.
func TestWrappersCompile(t *testing.T) {
	if os.Getenv("PACELINE_CUDA_HOME") == "" {
		t.Skip("no NVRTC: PACELINE_CUDA_HOME isn't set")
	}
	n, err := driver.OpenNVRTC("")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("testdata/wrappers.cu")
	if err != nil {
		t.Fatal(err)
	}
	files := kernels.Files()
	files["wrappers.cu"] = source
	s, err := kernels.ShapeOf(narrow(), kernels.BF16)
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"sm_80", "sm_90a"} {
		compileWrappers(t, n, files, s, arch)
	}
}

func compileWrappers(t *testing.T, n *driver.NVRTC, files map[string][]byte, s kernels.Shape, arch string) []byte {
	t.Helper()
	p := driver.Program{Name: "wrappers.cu", Source: string(files["wrappers.cu"]), Headers: map[string]string{}, Options: []string{"-std=c++17", "-fmad=false", "--gpu-architecture=" + arch}}
	for name, text := range files {
		p.Headers[name] = string(text)
	}
	for _, define := range s.Defines() {
		p.Options = append(p.Options, "-D"+define)
	}
	r, err := n.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return r.Code
}

func runWrappers(t *testing.T, c *driver.Context, code []byte) []uint32 {
	t.Helper()
	m, err := c.Load(code)
	if err != nil {
		t.Fatal(err)
	}
	f, err1 := m.Func("wrappers")
	s, err2 := c.NewStream()
	out, err3 := c.Alloc("out", 4*sections*inSection)
	in, err4 := c.Alloc("in", 4*256)
	cells, err5 := c.Alloc("cells", 8*128)
	var bits []byte
	for i := range int32(256) {
		bits = binary.LittleEndian.AppendUint32(bits, sample.Bits(7, 11, i))
	}
	err = errors.Join(err1, err2, err3, err4, err5, c.HtoD(in, bits), c.Memset8Async(cells, 0, 8*128, s), c.Memset8Async(out, 0, 4*sections*inSection, s))
	if err != nil {
		t.Fatal(err)
	}
	p := &struct {
		tensor         driver.TensorMap
		out, in, cells driver.Ptr
	}{out: out, in: in, cells: cells}
	if c.Info().Major >= 9 {
		if p.tensor, err = c.Map(driver.Rows{At: in, Rows: 7, Columns: 64, BoxRows: 8, BoxColumns: 64}); err != nil {
			t.Fatal(err)
		}
	}
	if err := driver.Launch(c, f, s, driver.Config{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}}, p); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 4*sections*inSection)
	if err := errors.Join(c.DtoH(raw, out), c.Free(out), c.Free(in), c.Free(cells), s.Destroy(), m.Unload()); err != nil {
		t.Fatal(err)
	}
	words := make([]uint32, len(raw)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return words
}
