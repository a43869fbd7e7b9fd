package driver_test

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/simt"
)

// TestFaults: each has a class, and says in words what to do.
func TestFaults(t *testing.T) {
	openOnly := func(t *testing.T) error {
		_, err := driver.Open(simt.Library(t))
		return err
	}
	inUse := func(t *testing.T) error {
		runtime.LockOSThread()
		_, err := open(t).Context(0)
		return err
	}
	alloc := func(t *testing.T) error {
		_, err := use(t, open(t), 0).Alloc("weights", 1<<20)
		return err
	}
	launch := func(t *testing.T) error {
		runtime.LockOSThread()
		c, err := open(t).Context(0)
		if err != nil {
			return err
		}
		m := must[driver.Module](t)(c.Load(code(t, c)))
		f := must[driver.Func](t)(m.Func("add"))
		s := must[driver.Stream](t)(c.NewStream())
		p := must[driver.Ptr](t)(c.Alloc("numbers", 4))
		ok(t, c.Memset32Async(p, 0, 1, s))
		ok(t, driver.Launch(c, f, s, driver.Config{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{64, 1, 1}}, &addParams{to: p, from: p, count: 1}))
		err = s.Sync()
		if _, again := c.Alloc("more", 4); !errors.Is(again, driver.ErrLost) {
			t.Errorf("after the fault, an allocation gave %v, want the same class", again)
		}
		return err
	}
	for _, c := range []struct {
		name    string
		setting string
		do      func(*testing.T) error
		class   error
		words   string
	}{
		{"no device", "SIMT_NODEVICE=1", openOnly, driver.ErrNoDevice, "nvidia-smi"},
		{"an old driver", "SIMT_DRIVER=11080", openOnly, driver.ErrNoDriver, "CUDA 11.8: too old; install NVIDIA's driver 525"},
		{"a taken device", "SIMT_FAIL=cuDevicePrimaryCtxRetain:1=46", inUse, driver.ErrBusy, "another process has the device"},
		{"no memory", "SIMT_FAIL=cuMemAlloc:1=2", alloc, driver.ErrOutOfMemory, "1048576 bytes for weights"},
		{"too little memory", "SIMT_MEM_MB=1", alloc2, driver.ErrOutOfMemory, "too little free memory"},
		{"an uncorrectable error", "SIMT_FAIL=cuMemAlloc:1=214", alloc, driver.ErrLost, "ECC"},
		{"a reset", "SIMT_FAIL=cuMemAlloc:1=999", alloc, driver.ErrLost, "Xid"},
		{"a failed kernel", "SIMT_FAULT=add:1=719", launch, driver.ErrLost, "a kernel failed"},
		{"a wild address", "SIMT_FAULT=add:1=700", launch, driver.ErrLost, "ILLEGAL_ADDRESS"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			if !fresh(t, t.Name(), c.setting) {
				return
			}
			err := c.do(t)
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v, want %v and %q", err, c.class, c.words)
			}
		})
	}
}

func alloc2(t *testing.T) error {
	c := use(t, open(t), 0)
	_, err := c.Alloc("weights", 2<<20)
	return err
}

func TestNoDriver(t *testing.T) {
	t.Setenv("CUDA_LIB", "/nonexistent/of/the/environment.so")
	for _, path := range []string{"/nonexistent/libcuda.so.1", ""} {
		want := cmp.Or(path, os.Getenv("CUDA_LIB"))
		_, err := driver.Open(path)
		if !errors.Is(err, driver.ErrNoDriver) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "install NVIDIA's driver") {
			t.Errorf("got %v, want ErrNoDriver and %s", err, want)
		}
	}
	// A library that is no driver.
	_, err := driver.Open("libc.so.6")
	if !errors.Is(err, driver.ErrNoDriver) || !strings.Contains(err.Error(), "libc.so.6 lacks cuInit") {
		t.Errorf("opened libc with error %v", err)
	}
}

func TestDevices(t *testing.T) {
	if !fresh(t, t.Name(), "SIMT_DEVICES=3", "SIMT_CC=80") {
		return
	}
	d := open(t)
	list := must[[]driver.DeviceInfo](t)(d.Devices())
	if len(list) != 3 || !d.Emulated() {
		t.Fatalf("%d devices, emulated %v", len(list), d.Emulated())
	}
	second := list[1]
	if second.Major != 8 || second.Minor != 0 || !second.BF16 || second.MaxSharedOptin != 101376 || second.Index != 1 || !strings.HasPrefix(second.UUID, "GPU-1112") {
		t.Errorf("%+v", second)
	}
	for _, name := range []string{"1", second.UUID, "gpu-1112", second.PCI, strings.ToUpper(second.PCI)} {
		got, err := d.Find(name)
		if err != nil || got.Index != 1 {
			t.Errorf("%q: device %d, error %v, want device 1", name, got.Index, err)
		}
	}
	for name, words := range map[string]string{"3": "there are 0 (SIMT", "-1": "no device", "GPU-ffff": "no device", "gpu": "more than one"} {
		if _, err := d.Find(name); !errors.Is(err, driver.ErrNoDevice) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v, want %q", name, err, words)
		}
	}
	// Contexts take turns on one thread; their memory is their own.
	a, b := use(t, d, 0), use(t, d, 2)
	for range 3 {
		ok(t, a.Bind())
		p := must[driver.Ptr](t)(a.Alloc("a", 1<<20))
		free, total, err := a.MemInfo()
		if err != nil || total-free != 1<<20 {
			t.Errorf("device 0: %d bytes used, error %v, want 1 MiB", total-free, err)
		}
		ok(t, b.Bind())
		if free, total, err = b.MemInfo(); err != nil || total != free {
			t.Errorf("device 2: %d bytes used, error %v, want none", total-free, err)
		}
		ok(t, a.Bind())
		ok(t, a.Free(p))
	}
}

// TestSlices: an instance of a divided GPU goes by a UUID of its own kind; one that the driver doesn't show has to be made
// visible, and the message says how.
func TestSlices(t *testing.T) {
	if !fresh(t, t.Name(), "SIMT_DEVICES=2", "SIMT_MIG=1") {
		return
	}
	d := open(t)
	got, err := d.Find("MIG-1112")
	if err != nil || got.Index != 1 || !strings.HasPrefix(got.UUID, "MIG-1112") {
		t.Errorf("%+v, error %v", got, err)
	}
	if _, err := d.Find("MIG-ffff"); !errors.Is(err, driver.ErrNoDevice) || !strings.Contains(err.Error(), "set CUDA_VISIBLE_DEVICES") {
		t.Errorf("got %v", err)
	}
}

// TestWrongThread: a call from a thread that wasn't bound says so.
func TestWrongThread(t *testing.T) {
	c := use(t, open(t), 0)
	errs := make(chan error)
	go func() {
		runtime.LockOSThread()
		_, err := c.Alloc("memory", 4096)
		if err != nil {
			if err := c.Bind(); err == nil {
				var p driver.Ptr
				if p, err = c.Alloc("memory", 4096); err == nil {
					err = c.Free(p)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		}
		errs <- err
	}()
	if err := <-errs; err == nil || !strings.Contains(err.Error(), "the caller has to Bind first") {
		t.Errorf("got %v", err)
	}
}
