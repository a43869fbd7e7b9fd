package driver_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
)

// emulated says that the tests run on the emulator: where CUDA_LIB names a library, they run on that.
func emulated() bool { return os.Getenv("CUDA_LIB") == "" || os.Getenv(inner) != "" }

// inner is set in the process that a test starts for itself.
const inner = "PACELINE_TEST_DRIVER"

func open(t testing.TB) *driver.Driver {
	t.Helper()
	path := ""
	if os.Getenv("CUDA_LIB") == "" {
		path = simt.Library(t)
	}
	d, err := driver.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// use takes a device into use for the length of a test.
func use(t testing.TB, d *driver.Driver, index int) *driver.Context {
	t.Helper()
	runtime.LockOSThread()
	c, err := d.Context(index)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return c
}

// code is the kernels of testdata for the device.
func code(t testing.TB, c *driver.Context) []byte {
	t.Helper()
	if emulated() {
		files := map[string][]byte{"dev.h": kernels.Files()["dev.h"], "probe.cu": probe(t)}
		simt.Leave(t, "probe", func(arch string) []byte { return compiled(t, strings.TrimSuffix(arch, "a")) })
		return simt.Module(t, simt.Source{Files: files})
	}
	// Not code for older devices: it wouldn't wait for the kernel before it, and config lets it begin early.
	arch := fmt.Sprintf("sm_%d%d", c.Info().Major, c.Info().Minor)
	for _, name := range []string{arch, arch + "a"} {
		if code := simt.Left("probe", name); code != nil {
			return code
		}
	}
	return compiled(t, arch)
}

// compiled is the program of testdata for an architecture.
func compiled(t testing.TB, arch string) []byte {
	t.Helper()
	n, err := driver.OpenNVRTC("")
	if err != nil {
		t.Skip(err)
	}
	return must[driver.Result](t)(n.Compile(probeFor(t, arch))).Code
}

func probe(t testing.TB) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile("testdata/probe.cu"))
}

// probeFor is the program of testdata for an architecture.
func probeFor(t testing.TB, arch string) driver.Program {
	t.Helper()
	return driver.Program{
		Name: "probe.cu", Source: string(probe(t)), Headers: map[string]string{"dev.h": string(kernels.Files()["dev.h"])},
		Options: []string{"-std=c++17", "--gpu-architecture=" + arch},
	}
}

type addParams struct {
	to, from driver.Ptr
	count    uint32
	more     float32
}

func floatBytes(v ...float32) []byte {
	var b []byte
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// adder is what the tests of launches share: two arrays and the kernel.
type adder struct {
	c        *driver.Context
	s        driver.Stream
	f        driver.Func
	to, from driver.Ptr
	n        int
}

func newAdder(t testing.TB, c *driver.Context) *adder {
	t.Helper()
	a := &adder{c: c, n: 1000}
	m := must[driver.Module](t)(c.Load(code(t, c)))
	a.f = must[driver.Func](t)(m.Func("add"))
	a.s = must[driver.Stream](t)(c.NewStream())
	a.to = must[driver.Ptr](t)(c.Alloc("to", int64(4*a.n)))
	a.from = must[driver.Ptr](t)(c.Alloc("from", int64(4*a.n)))
	ok(t, c.HtoD(a.from, floatBytes(slices.Repeat([]float32{3}, a.n)...)))
	t.Cleanup(func() {
		ok(t, errors.Join(c.Free(a.to), c.Free(a.from), a.s.Destroy(), m.Unload()))
	})
	return a
}

func (a *adder) params(more float32) *addParams {
	return &addParams{to: a.to, from: a.from, count: uint32(a.n), more: more}
}

func (a *adder) config() driver.Config {
	return driver.Config{Grid: [3]uint32{8, 1, 1}, Block: [3]uint32{64, 1, 1}, PDL: a.c.Info().Major >= 9}
}

// value is that of all elements, which have to be the same.
func (a *adder) value(t testing.TB) float32 {
	t.Helper()
	ok(t, a.s.Sync())
	b := make([]byte, 4*a.n)
	ok(t, a.c.DtoH(b, a.to))
	first := binary.LittleEndian.Uint32(b)
	for i := range a.n {
		if v := binary.LittleEndian.Uint32(b[4*i:]); v != first {
			t.Fatalf("element %d is %v, the first %v", i, math.Float32frombits(v), math.Float32frombits(first))
		}
	}
	return math.Float32frombits(first)
}

func TestLaunchesInOrder(t *testing.T) {
	a := newAdder(t, use(t, open(t), 0))
	ok(t, a.c.Memset32Async(a.to, math.Float32bits(1), int64(a.n), a.s))
	want := float32(1)
	for i := range 6 {
		ok(t, driver.Launch(a.c, a.f, a.s, a.config(), a.params(float32(i))))
		want = want*2 + 3 + float32(i)
	}
	if got := a.value(t); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestGraphIsPlainLaunches(t *testing.T) {
	a := newAdder(t, use(t, open(t), 0))
	g := must[*driver.Graph](t)(a.c.NewGraph())
	var after []driver.Node
	want := float32(1)
	for range 2 {
		for i := range 4 {
			want = want*2 + 3 + float32(i)
		}
	}
	for i := range 4 {
		n := must[driver.Node](t)(driver.AddKernel(g, a.f, a.config(), a.params(float32(i)), after...))
		after = []driver.Node{n}
	}
	if n := must[int](t)(g.Nodes()); n != 4 {
		t.Errorf("%d nodes, want 4", n)
	}
	x := must[*driver.Exec](t)(g.Instantiate())
	ok(t, g.Destroy())
	ok(t, x.Upload(a.s))
	ok(t, a.c.Memset32Async(a.to, math.Float32bits(1), int64(a.n), a.s))
	ok(t, x.Launch(a.s))
	ok(t, x.Launch(a.s))
	if got := a.value(t); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	ok(t, x.Destroy())
}

func TestEventsOrderStreams(t *testing.T) {
	c := use(t, open(t), 0)
	a := newAdder(t, c)
	other := must[driver.Stream](t)(c.NewStream())
	start, end := must[driver.Event](t)(c.NewEvent(true)), must[driver.Event](t)(c.NewEvent(true))
	ok(t, start.Record(a.s))
	ok(t, c.Memset32Async(a.to, math.Float32bits(1), int64(a.n), a.s))
	ok(t, driver.Launch(c, a.f, a.s, a.config(), a.params(1)))
	ok(t, end.Record(a.s))
	ok(t, other.Wait(end))
	ok(t, driver.Launch(c, a.f, other, a.config(), a.params(2)))
	ok(t, other.Sync())
	if done := must[bool](t)(end.Query()); !done {
		t.Error("an event in front of finished work isn't done")
	}
	if took := must[time.Duration](t)(start.Elapsed(end)); took < 0 {
		t.Errorf("%v between two events", took)
	}
	if got := a.value(t); got != (1*2+3+1)*2+3+2 {
		t.Errorf("got %v, want %v", got, (1*2+3+1)*2+3+2)
	}
	ok(t, errors.Join(start.Destroy(), end.Destroy(), other.Destroy()))
}

// TestHotCallsAllocateNothing: they are made in every step.
func TestHotCallsAllocateNothing(t *testing.T) {
	a := newAdder(t, use(t, open(t), 0))
	ok(t, a.c.Memset32Async(a.to, 0, int64(a.n), a.s))
	p := must[driver.Pinned](t)(a.c.Pinned("test", 4096))
	e := must[driver.Event](t)(a.c.NewEvent(false))
	g := must[*driver.Graph](t)(a.c.NewGraph())
	must[driver.Node](t)(driver.AddKernel(g, a.f, a.config(), a.params(0)))
	x := must[*driver.Exec](t)(g.Instantiate())
	params, config := a.params(0), a.config()
	for name, f := range map[string]func() error{
		"Launch":    func() error { return driver.Launch(a.c, a.f, a.s, config, params) },
		"graph":     func() error { return x.Launch(a.s) },
		"Record":    func() error { return e.Record(a.s) },
		"Query":     func() error { _, err := e.Query(); return err },
		"stream":    func() error { _, err := a.s.Query(); return err },
		"Bind":      func() error { return a.c.Bind() },
		"HtoDAsync": func() error { return a.c.HtoDAsync(a.to, p.Bytes[:4000], a.s) },
	} {
		if n := testing.AllocsPerRun(50, func() { ok(t, f()) }); n != 0 {
			t.Errorf("%s allocates %v times a call", name, n)
		}
	}
	ok(t, a.s.Sync())
	ok(t, errors.Join(x.Destroy(), g.Destroy(), e.Destroy(), a.c.FreePinned(p)))
}

func TestTooMuchSharedMemory(t *testing.T) {
	c := use(t, open(t), 0)
	m := must[driver.Module](t)(c.Load(code(t, c)))
	f := must[driver.Func](t)(m.Func("shared"))
	s := must[driver.Stream](t)(c.NewStream())
	out := must[driver.Ptr](t)(c.Alloc("out", 4))
	p := &struct {
		out driver.Ptr
		pad uint64
	}{out: out}
	big := driver.Config{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{64, 1, 1}, Shared: 64 << 10}
	if err := driver.Launch(c, f, s, big, p); err == nil || !strings.Contains(err.Error(), `launch kernel "shared"`) || !strings.Contains(err.Error(), "65536 bytes of shared memory") {
		t.Errorf("launched with 64 KiB that weren't allowed: %v", err)
	}
	ok(t, f.SetMaxDynamicShared(64<<10))
	ok(t, driver.Launch(c, f, s, big, p))
	ok(t, s.Sync())
	if err := f.SetMaxDynamicShared(c.Info().MaxSharedOptin + 1); err == nil || !strings.Contains(err.Error(), "of at most") {
		t.Errorf("allowed more than a block may have: %v", err)
	}
	if _, err := m.Func("nothing"); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("found a kernel that isn't there: %v", err)
	}
	if n := must[int](t)(f.Occupancy(64, 64<<10)); n < 1 {
		t.Errorf("a multiprocessor holds %d blocks", n)
	}
	ok(t, errors.Join(c.Free(out), s.Destroy(), m.Unload()))
}

func TestNotCode(t *testing.T) {
	c := use(t, open(t), 0)
	_, err := c.Load([]byte("neither a cubin nor PTX"))
	if !errors.Is(err, driver.ErrImage) {
		t.Errorf("loaded with error %v, want one that wraps ErrImage", err)
	}
}

// fresh runs a test anew in a process of its own, with settings of the emulator: faults poison a process, as they do on
// hardware. It says whether this is that process.
func fresh(t *testing.T, name string, settings ...string) bool {
	t.Helper()
	if os.Getenv(inner) == t.Name() {
		return true
	}
	if !emulated() {
		t.Skip("the emulator's settings mean nothing to a real device")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.v")
	cmd.Env = append(append(os.Environ(), settings...), inner+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v: %v\n%s", settings, err, out)
	}
	return false
}
