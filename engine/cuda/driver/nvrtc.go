package driver

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ErrNoNVRTC says that NVIDIA's compiler library isn't on this machine.
var ErrNoNVRTC = errors.New("no NVRTC")

// NVRTC is NVIDIA's compiler, opened at run time. It needs no device and no driver. One goroutine uses it at a time.
type NVRTC struct {
	path  string
	major int
	minor int
	calls map[string]uintptr
}

// Program is a source to be compiled.
type Program struct {
	Name    string // for messages
	Source  string
	Headers map[string]string // by the names that the source includes
	Options []string
}

// Result is what came of it.
type Result struct {
	Code []byte // a cubin for sm_XX, PTX for compute_XX
	Log  string
}

// OpenNVRTC opens the compiler: path, or where that is empty the first that is found (see findNVRTC). Its errors
// wrap ErrNoNVRTC and say what to install.
func OpenNVRTC(path string) (*NVRTC, error) {
	if err := supported(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoNVRTC, err)
	}
	places := []string{path}
	if path == "" {
		places = findNVRTC()
	}
	var first error
	for _, p := range places {
		n, err := openNVRTC(p)
		if err == nil {
			return n, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, fmt.Errorf("%w: %w: install it with \"pip install nvidia-cuda-nvrtc\", or name the library in PACELINE_NVRTC", ErrNoNVRTC, first)
}

func openNVRTC(path string) (*NVRTC, error) {
	runtime.LockOSThread() // what goes wrong is told to the thread on which it does
	defer runtime.UnlockOSThread()
	// The compiler loads its built-in declarations by name, and finds them only if they are there already.
	if dir := filepath.Dir(path); dir != "." {
		builtins, err := filepath.Glob(filepath.Join(dir, "libnvrtc-builtins.so*"))
		if err != nil {
			return nil, err
		}
		for _, b := range builtins {
			if _, err := openLibrary(b, true); err != nil {
				return nil, fmt.Errorf("open %s: %w", b, err)
			}
		}
	}
	h, err := openLibrary(path, false)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	n := &NVRTC{path: path, calls: map[string]uintptr{}}
	for _, name := range []string{
		"nvrtcVersion", "nvrtcGetErrorString", "nvrtcGetNumSupportedArchs", "nvrtcGetSupportedArchs", "nvrtcCreateProgram", "nvrtcDestroyProgram", "nvrtcCompileProgram",
		"nvrtcGetCUBINSize", "nvrtcGetCUBIN", "nvrtcGetPTXSize", "nvrtcGetPTX", "nvrtcGetProgramLogSize", "nvrtcGetProgramLog",
	} {
		if n.calls[name], err = lookUp(h, name); err != nil {
			return nil, fmt.Errorf("%s lacks %s: too old, take CUDA 12 or newer", path, name)
		}
	}
	c := n.begin()
	defer c.end()
	if err := c.call("nvrtcVersion", c.out(0), c.out(1)); err != nil {
		return nil, err
	}
	n.major, n.minor = int(c.s.int32(0)), int(c.s.int32(1))
	return n, nil
}

// Path is where the library is.
func (n *NVRTC) Path() string { return n.path }

// Version is that of the CUDA toolkit that it belongs to.
func (n *NVRTC) Version() (major, minor int) { return n.major, n.minor }

// Architectures are the compute capabilities that it compiles for: 90 is 9.0.
func (n *NVRTC) Architectures() ([]int, error) {
	c := n.begin()
	defer c.end()
	if err := c.call("nvrtcGetNumSupportedArchs", c.out(0)); err != nil {
		return nil, err
	}
	list := make([]int32, c.s.int32(0))
	if err := c.call("nvrtcGetSupportedArchs", c.hold(unsafe.Pointer(unsafe.SliceData(list)))); err != nil {
		return nil, err
	}
	out := make([]int, len(list))
	for i, a := range list {
		out[i] = int(a)
	}
	return out, nil
}

// Compile compiles a program. The error has the compiler's messages.
func (n *NVRTC) Compile(p Program) (_ Result, err error) {
	c := n.begin()
	defer c.end()
	var names, texts []uintptr
	for _, name := range sortedNames(p.Headers) {
		names, texts = append(names, c.text(name)), append(texts, c.text(p.Headers[name]))
	}
	if err := c.call("nvrtcCreateProgram", c.out(0), c.text(p.Source), c.text(p.Name), uintptr(len(names)), c.list(texts), c.list(names)); err != nil {
		return Result{}, fmt.Errorf("compile %s: %w", p.Name, err)
	}
	handle := c.s.pointer(0)
	*(*uintptr)(unsafe.Pointer(&c.s.page[8*8])) = handle
	defer func() { err = errors.Join(err, c.call("nvrtcDestroyProgram", c.s.at(8*8))) }()
	var options []uintptr
	for _, o := range p.Options {
		options = append(options, c.text(o))
	}
	failed := c.call("nvrtcCompileProgram", handle, uintptr(len(options)), c.list(options))
	var r Result
	log, err := c.bytes("nvrtcGetProgramLogSize", "nvrtcGetProgramLog", handle)
	if err != nil {
		return r, errors.Join(failed, err)
	}
	r.Log = strings.TrimSpace(strings.TrimRight(string(log), "\x00"))
	if failed != nil {
		return r, fmt.Errorf("compile %s by NVRTC %d.%d: %w\n%s", p.Name, n.major, n.minor, failed, r.Log)
	}
	what := "PTX"
	if slices.ContainsFunc(p.Options, func(o string) bool { return strings.Contains(o, "architecture=sm_") || strings.Contains(o, "arch=sm_") }) {
		what = "CUBIN"
	}
	r.Code, err = c.bytes("nvrtcGet"+what+"Size", "nvrtcGet"+what, handle)
	return r, err
}

func sortedNames(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// compilation is one use of the compiler: memory that doesn't move while C has its address.
type compilation struct {
	n   *NVRTC
	s   scratch
	pin runtime.Pinner
}

func (n *NVRTC) begin() *compilation {
	page := make([]byte, 4096)
	c := &compilation{n: n, s: scratch{page}}
	c.pin.Pin(unsafe.SliceData(page))
	return c
}

func (c *compilation) end()              { c.pin.Unpin() }
func (c *compilation) out(i int) uintptr { return c.s.out(i) }

func (c *compilation) hold(p unsafe.Pointer) uintptr {
	c.pin.Pin(p)
	return uintptr(p)
}

// text is a string of C.
func (c *compilation) text(s string) uintptr {
	b := append([]byte(s), 0)
	return c.hold(unsafe.Pointer(unsafe.SliceData(b)))
}

// list is an array of addresses.
func (c *compilation) list(l []uintptr) uintptr {
	if len(l) == 0 {
		return 0
	}
	return c.hold(unsafe.Pointer(unsafe.SliceData(l)))
}

func (c *compilation) call(name string, args ...uintptr) error {
	r, _, _ := purego.SyscallN(c.n.calls[name], args...)
	if int32(r) == 0 {
		return nil
	}
	text, _, _ := purego.SyscallN(c.n.calls["nvrtcGetErrorString"], r)
	return fmt.Errorf("%s: %s (%d)", name, cString(text), int32(r))
}

// bytes asks for a size and then for so many bytes.
func (c *compilation) bytes(size, get string, handle uintptr) ([]byte, error) {
	if err := c.call(size, handle, c.out(1)); err != nil {
		return nil, err
	}
	b := make([]byte, max(1, c.s.uint64(1)))
	return b, c.call(get, handle, c.hold(unsafe.Pointer(unsafe.SliceData(b))))
}
