package driver_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/paceline/paceline/engine/cuda/driver"
)

// TestCopies sends random bytes round all ways that there are, and sets a part of them.
func TestCopies(t *testing.T) {
	c := use(t, open(t), 0)
	const n = 10_000
	s := must[driver.Stream](t)(c.NewStream())
	a, b := must[driver.Ptr](t)(c.Alloc("a", n)), must[driver.Ptr](t)(c.Alloc("b", n))
	in, out := must[driver.Pinned](t)(c.Pinned("in", n)), must[driver.Pinned](t)(c.Pinned("out", n))
	if !bytes.Equal(in.Bytes, make([]byte, n)) || in.Device == 0 || in.Device == out.Device {
		t.Errorf("pinned memory isn't zeroed, or lies at %#x and %#x for the device", in.Device, out.Device)
	}
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(in.Bytes); err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(in.Bytes)
	for i := range 96 {
		want[100+i] = 7
	}
	for i := range 10 {
		binary.LittleEndian.PutUint32(want[1000+4*i:], 0xdeadbeef)
	}
	ok(t, c.HtoDAsync(a, in.Bytes, s))
	ok(t, c.DtoDAsync(b, a, n, s))
	ok(t, c.Memset8Async(b+100, 7, 96, s))
	ok(t, c.Memset32Async(b+1000, 0xdeadbeef, 10, s))
	ok(t, c.DtoHAsync(out.Bytes, b, s))
	ok(t, s.Sync())
	if !bytes.Equal(out.Bytes, want) {
		t.Error("what came back in a stream isn't what was sent")
	}
	clear(out.Bytes)
	ok(t, c.HtoD(a, want))
	ok(t, c.DtoDAsync(out.Device, a, n, s)) // the device writes to the host's memory
	ok(t, c.Sync())
	if !bytes.Equal(out.Bytes, want) {
		t.Error("what the device wrote to pinned memory isn't what was sent")
	}
	ok(t, errors.Join(c.HtoD(a, nil), c.DtoH(nil, a)))
	if _, err := c.Alloc("nothing", 0); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("allocated no bytes: %v", err)
	}
	ok(t, errors.Join(c.FreePinned(in), c.FreePinned(out), c.Free(a), c.Free(b), s.Destroy()))
}

// TestTwoEngines: contexts that two goroutines use at once don't see each other's answers, nor do questions about
// devices disturb them.
func TestTwoEngines(t *testing.T) {
	if !fresh(t, t.Name(), "SIMT_DEVICES=2") {
		return
	}
	d := open(t)
	var work sync.WaitGroup
	for device := range 2 {
		work.Go(func() {
			if err := engine(d, device, int64(device+1)<<20); err != nil {
				t.Error(err)
			}
		})
	}
	work.Go(func() {
		for range 200 {
			if info, err := d.Find("1"); err != nil || info.Index != 1 || !strings.HasPrefix(info.UUID, "GPU-1112") {
				t.Errorf("found %+v, error %v", info, err)
				return
			}
		}
	})
	work.Wait()
}

// engine keeps a device busy and holds what it says against what it has to say.
func engine(d *driver.Driver, device int, size int64) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := d.Context(device)
	if err != nil {
		return err
	}
	p, err := c.Alloc("weights", size)
	if err != nil {
		return err
	}
	for range 3000 {
		if free, total, err := c.MemInfo(); err != nil || total-free != size {
			return fmt.Errorf("device %d has %d bytes in use, error %w, want %d", device, total-free, err, size)
		}
	}
	return errors.Join(c.Free(p), c.Close())
}

// TestOutParameters: what C writes comes back whatever the stacks of goroutines do meanwhile.
func TestOutParameters(t *testing.T) {
	c := use(t, open(t), 0)
	p := must[driver.Ptr](t)(c.Alloc("numbers", 4))
	stop := make(chan bool)
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					grow(200)
				}
			}
		}()
	}
	for i := range 2000 {
		var in, out [4]byte
		binary.LittleEndian.PutUint32(in[:], uint32(i))
		ok(t, c.HtoD(p, in[:]))
		ok(t, deep(c, out[:], p, i%50))
		if out != in {
			t.Fatalf("turn %d: read %v, want %v", i, out, in)
		}
	}
	close(stop)
	ok(t, c.Free(p))
}

func grow(n int) int {
	var pad [256]byte
	if n == 0 {
		return int(pad[0])
	}
	return grow(n-1) + int(pad[n%256])
}

func deep(c *driver.Context, out []byte, p driver.Ptr, n int) error {
	if n == 0 {
		return c.DtoH(out, p)
	}
	return deep(c, out, p, n-1)
}

func TestLeaksAreNamed(t *testing.T) {
	d := open(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := must[*driver.Context](t)(d.Context(0))
	p := must[driver.Ptr](t)(c.Alloc("forgotten weights", 4096))
	s := must[driver.Stream](t)(c.NewStream())
	if got := c.Leaks(); len(got) != 2 {
		t.Errorf("leaks %q, want two", got)
	}
	ok(t, s.Destroy())
	other := must[*driver.Context](t)(d.Context(0)) // frees what the first one forgot
	err := c.Close()
	if err == nil || !strings.Contains(err.Error(), "forgotten weights (4096 bytes)") || strings.Contains(err.Error(), "stream") {
		t.Errorf("closed with error %v, want one that names the weights", err)
	}
	ok(t, c.Close())
	ok(t, other.Bind())
	ok(t, other.Free(p))
	ok(t, other.Close())
}

// TestTensorMap: a matrix is described to the copy engine, and what it can't take is refused. What a copy by it brings is a
// matter of kernels (TestWrappers, TestWide).
func TestTensorMap(t *testing.T) {
	c := use(t, open(t), 0)
	if c.Info().Major < 9 {
		t.Skip("skipped: devices before compute capability 9.0 have no tensor maps")
	}
	p := must[driver.Ptr](t)(c.Alloc("matrix", 2*100*64))
	good := driver.Rows{At: p, Rows: 100, Columns: 64, BoxRows: 64, BoxColumns: 64}
	m := must[driver.TensorMap](t)(c.Map(good))
	if m == (driver.TensorMap{}) {
		t.Error("the map is empty")
	}
	for name, change := range map[string]func(*driver.Rows){
		"an odd address":      func(r *driver.Rows) { r.At += 2 },
		"an odd width":        func(r *driver.Rows) { r.Columns = 63 },
		"a box of wide rows":  func(r *driver.Rows) { r.BoxColumns = 128 },
		"a box of 300 rows":   func(r *driver.Rows) { r.BoxRows = 300 },
		"no rows":             func(r *driver.Rows) { r.Rows = 0 },
		"no columns of a box": func(r *driver.Rows) { r.BoxColumns = 0 },
	} {
		r := good
		change(&r)
		if _, err := c.Map(r); err == nil || !strings.Contains(err.Error(), "to the copy engine: cuTensorMapEncodeTiled: CUDA_ERROR_INVALID_VALUE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ok(t, c.Free(p))
}
