package driver

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Driver is the opened library. Its methods may be called from any thread, at once.
type Driver struct {
	path    string
	library uintptr
	calls   [entries]uintptr
	version int
	mutex   sync.Mutex // guards scratch
	scratch scratch
	lists   sync.Pool  // of arguments
	names   sync.Mutex // guards errors
	errors  scratch    // where the names of errors come to
	detail  uintptr    // simtLastError of the emulator, else 0
}

// Oldest is the oldest driver interface that this package works with: CUDA 12.0, driver 525.
const Oldest = 12000

// Open opens the driver: path, or where that is empty the library that the environment's CUDA_LIB names, or the
// system's. Its errors wrap ErrNoDriver where there is none that can be used. It stays open as long as the process.
func Open(path string) (*Driver, error) {
	if err := supported(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	h, path, err := dlopen(path)
	if err != nil {
		return nil, err
	}
	d := &Driver{path: path, library: h, lists: sync.Pool{New: func() any { return new([maxArgs]uintptr) }}}
	for e, s := range table() {
		for _, name := range s.names {
			if d.calls[e], err = lookUp(h, name); err == nil {
				break
			}
		}
		if d.calls[e] == 0 && !s.optional {
			return nil, fmt.Errorf("%w: %s lacks %s: the driver is too old; install NVIDIA's driver 525 or newer", ErrNoDriver, path, s.names[0])
		}
	}
	if a, err := lookUp(h, "simtLastError"); err == nil {
		d.detail = a
	}
	if d.scratch, err = newScratch(); err != nil {
		return nil, err
	}
	if d.errors, err = newScratch(); err != nil {
		return nil, errors.Join(err, d.scratch.free())
	}
	if err := d.start(); err != nil {
		return nil, errors.Join(err, d.scratch.free(), d.errors.free())
	}
	return d, nil
}

// start initialises the driver and asks for its version.
func (d *Driver) start() error {
	if err := d.call(cuInit, 0); err != nil {
		return within(err, "start the driver %s", d.path)
	}
	if err := d.call(cuDriverGetVersion, d.scratch.out(0)); err != nil {
		return within(err, "ask the driver for its version")
	}
	if d.version = int(d.scratch.int32(0)); d.version < Oldest {
		return fmt.Errorf("%w: %s speaks CUDA %d.%d: too old; install NVIDIA's driver 525 or newer (CUDA 12.0)", ErrNoDriver, d.path, d.version/1000, d.version%1000/10)
	}
	return nil
}

// dlopen tries the places where the driver's library is.
func dlopen(path string) (uintptr, string, error) {
	// What went wrong is told to the thread on which it did.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	places := []string{path}
	if path == "" {
		places = []string{os.Getenv("CUDA_LIB")}
	}
	if places[0] == "" {
		places = []string{"libcuda.so.1", "/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/run/opengl-driver/lib/libcuda.so.1"}
	}
	var first error
	for _, p := range places {
		h, err := openLibrary(p, false)
		if err == nil {
			return h, p, nil
		}
		if first == nil {
			first = err
		}
	}
	return 0, "", fmt.Errorf("%w: open %s: %w: install NVIDIA's driver (nvidia-smi must work), or take the cpu backend", ErrNoDriver, places[0], first)
}

// Version is the newest CUDA version that the driver speaks: 13000 is 13.0.
func (d *Driver) Version() int { return d.version }

// Emulated says that this is the emulator of Paceline's tests and no GPU: nothing that it does has a speed.
func (d *Driver) Emulated() bool { return d.detail != 0 }

// scratch is memory that no garbage collector moves: what C writes to and reads from during a call.
type scratch struct{ page []byte }

// Places in the page. Out-parameters lie at its beginning, eight bytes each.
const (
	scratchConfig     = 256
	scratchAttributes = 512  // three of 72 bytes
	scratchNode       = 1024 // nodeParams
	scratchEdges      = 1536
	scratchPointers   = 2048 // of a kernel's parameters
	scratchText       = 4096 // names, messages
	scratchParams     = 16384
	scratchSize       = 65536

	textSize   = scratchParams - scratchText
	paramsSize = 4096 // most bytes of a kernel's parameters
)

func newScratch() (scratch, error) {
	page, err := mapPage(scratchSize)
	if err != nil {
		return scratch{}, fmt.Errorf("map %d bytes for calls of the driver: %w", scratchSize, err)
	}
	return scratch{page}, nil
}

func (s scratch) free() error { return unmapPage(s.page) }

func (s scratch) at(offset int) uintptr { return uintptr(unsafe.Pointer(&s.page[offset])) }

// out is the address of out-parameter i, set to zero.
func (s scratch) out(i int) uintptr {
	*(*uint64)(unsafe.Pointer(&s.page[8*i])) = 0
	return s.at(8 * i)
}

func (s scratch) int32(i int) int32     { return *(*int32)(unsafe.Pointer(&s.page[8*i])) }
func (s scratch) uint64(i int) uint64   { return *(*uint64)(unsafe.Pointer(&s.page[8*i])) }
func (s scratch) float(i int) float32   { return *(*float32)(unsafe.Pointer(&s.page[8*i])) }
func (s scratch) pointer(i int) uintptr { return *(*uintptr)(unsafe.Pointer(&s.page[8*i])) }

// text is the string that begins at an offset.
func (s scratch) text(offset, size int) string {
	b := s.page[offset : offset+size]
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// put writes a string and its end, and gives its address.
func (s scratch) put(text string) (uintptr, error) {
	if len(text) >= textSize {
		return 0, fmt.Errorf("a name of %d characters: want at most %d", len(text), textSize-1)
	}
	n := copy(s.page[scratchText:], text)
	s.page[scratchText+n] = 0
	return s.at(scratchText), nil
}

// call calls an entry point.
func (d *Driver) call(e entry, args ...uintptr) error {
	if code := d.code(e, args...); code != 0 {
		return d.failed(e, code)
	}
	return nil
}

// code calls an entry point and gives what it returns. Arguments go by way of memory that is used again: a list that is
// handed to C directly would be allocated for each call.
func (d *Driver) code(e entry, args ...uintptr) int {
	list := d.lists.Get().(*[maxArgs]uintptr)
	defer d.lists.Put(list)
	n := copy(list[:], args)
	r, _, _ := purego.SyscallN(d.calls[e], list[:n]...)
	return int(int32(r))
}

// maxArgs is the most that a function of the table takes.
const maxArgs = 12

// notReady is CUDA_ERROR_NOT_READY, the answer of queries.
const notReady = 600

// query calls an entry point that says whether work is done.
func (d *Driver) query(e entry, handle uintptr) (done bool, err error) {
	switch code := d.code(e, handle); code {
	case 0:
		return true, nil
	case notReady:
		return false, nil
	default:
		return false, d.failed(e, code)
	}
}

// failed is the error of a code.
func (d *Driver) failed(e entry, code int) error {
	err := &Error{Call: e.name(), Code: code, Name: "an unknown error"}
	d.names.Lock()
	defer d.names.Unlock()
	if r, _, _ := purego.SyscallN(d.calls[cuGetErrorName], uintptr(code), d.errors.out(0)); int32(r) == 0 {
		err.Name = cString(d.errors.pointer(0))
	}
	if d.detail != 0 {
		r, _, _ := purego.SyscallN(d.detail)
		err.Detail = cString(r)
	}
	return err
}

// cString copies a string of C.
func cString(p uintptr) string {
	if p == 0 {
		return ""
	}
	var b []byte
	for q := *(*unsafe.Pointer)(unsafe.Pointer(&p)); *(*byte)(q) != 0; q = unsafe.Add(q, 1) {
		b = append(b, *(*byte)(q))
	}
	return string(b)
}

// within says what was being done when a call failed.
func within(err error, format string, args ...any) error {
	var e *Error
	if errors.As(err, &e) && e.Context == "" {
		e.Context = fmt.Sprintf(format, args...)
		return err
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
