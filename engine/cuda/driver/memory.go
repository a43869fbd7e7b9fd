package driver

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Ptr is an address on the device, 0 for none.
type Ptr uint64

// Alloc allocates n bytes on the device; name is for messages. What is in them is anything.
func (c *Context) Alloc(name string, n int64) (Ptr, error) {
	if n < 1 {
		return 0, fmt.Errorf("allocate %d bytes for %s: want at least 1", n, name)
	}
	if err := c.d.call(cuMemAlloc, c.s.out(0), uintptr(n)); err != nil {
		return 0, within(err, "allocate %d bytes for %s on device %d", n, name, c.info.Index)
	}
	p := c.s.pointer(0)
	c.own(p, fmt.Sprintf("%s (%d bytes)", name, n))
	return Ptr(p), nil
}

// Free frees what Alloc gave.
func (c *Context) Free(p Ptr) error {
	if err := c.d.call(cuMemFree, uintptr(p)); err != nil {
		return within(err, "free %s", c.ledger[uintptr(p)])
	}
	c.disown(uintptr(p))
	return nil
}

// Pinned is memory of the host that the device reads and writes at Device.
type Pinned struct {
	Bytes  []byte
	Device Ptr
}

// Pinned allocates n bytes of it, zeroed.
func (c *Context) Pinned(name string, n int64) (Pinned, error) {
	if err := c.d.call(cuMemHostAlloc, c.s.out(0), uintptr(n), hostPortable|hostMapped); err != nil {
		return Pinned{}, within(err, "allocate %d bytes of pinned host memory for %s", n, name)
	}
	p := c.s.pointer(0)
	if err := c.d.call(cuMemHostGetDevicePointer, c.s.out(0), p, 0); err != nil {
		return Pinned{}, errors.Join(within(err, "map %s for the device", name), c.d.call(cuMemFreeHost, p))
	}
	b := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))), n)
	clear(b)
	c.own(p, fmt.Sprintf("%s (%d bytes, pinned)", name, n))
	return Pinned{b, Ptr(c.s.uint64(0))}, nil
}

// FreePinned frees what Pinned gave.
func (c *Context) FreePinned(p Pinned) error {
	a := address(p.Bytes)
	if err := c.d.call(cuMemFreeHost, a); err != nil {
		return within(err, "free %s", c.ledger[a])
	}
	c.disown(a)
	return nil
}

// address is that of memory which doesn't move: pinned, or on the heap.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// pin keeps memory of Go where it is while C uses it: a small slice might lie on a goroutine's stack, which moves
// when it grows.
func pin(b []byte) *runtime.Pinner {
	p := new(runtime.Pinner)
	p.Pin(unsafe.SliceData(b))
	return p
}

// HtoD copies to the device and waits.
func (c *Context) HtoD(to Ptr, from []byte) error {
	if len(from) == 0 {
		return nil
	}
	defer pin(from).Unpin()
	return succeeded(c.d.call(cuMemcpyHtoD, uintptr(to), address(from), uintptr(len(from))), "copy %d bytes to the device", len(from))
}

// DtoH copies from the device and waits.
func (c *Context) DtoH(to []byte, from Ptr) error {
	if len(to) == 0 {
		return nil
	}
	defer pin(to).Unpin()
	return succeeded(c.d.call(cuMemcpyDtoH, address(to), uintptr(from), uintptr(len(to))), "copy %d bytes from the device", len(to))
}

// HtoDAsync copies pinned memory to the device, in the order of the stream.
func (c *Context) HtoDAsync(to Ptr, from []byte, s Stream) error {
	if err := c.d.call(cuMemcpyHtoDAsync, uintptr(to), address(from), uintptr(len(from)), s.h); err != nil {
		return within(err, "copy %d bytes to the device in a stream", len(from))
	}
	return nil
}

// DtoHAsync copies from the device to pinned memory, in the order of the stream.
func (c *Context) DtoHAsync(to []byte, from Ptr, s Stream) error {
	if err := c.d.call(cuMemcpyDtoHAsync, address(to), uintptr(from), uintptr(len(to)), s.h); err != nil {
		return within(err, "copy %d bytes from the device in a stream", len(to))
	}
	return nil
}

// DtoDAsync copies n bytes within the device.
func (c *Context) DtoDAsync(to, from Ptr, n int64, s Stream) error {
	if err := c.d.call(cuMemcpyDtoDAsync, uintptr(to), uintptr(from), uintptr(n), s.h); err != nil {
		return within(err, "copy %d bytes within the device", n)
	}
	return nil
}

// Memset8Async sets n bytes.
func (c *Context) Memset8Async(p Ptr, v byte, n int64, s Stream) error {
	if err := c.d.call(cuMemsetD8Async, uintptr(p), uintptr(v), uintptr(n), s.h); err != nil {
		return within(err, "set %d bytes on the device", n)
	}
	return nil
}

// Memset32Async sets n words of four bytes.
func (c *Context) Memset32Async(p Ptr, v uint32, n int64, s Stream) error {
	if err := c.d.call(cuMemsetD32Async, uintptr(p), uintptr(v), uintptr(n), s.h); err != nil {
		return within(err, "set %d words on the device", n)
	}
	return nil
}

// succeeded is within for a call that may have succeeded.
func succeeded(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return within(err, format, args...)
}
