package driver

import (
	"bytes"
	"fmt"
	"unsafe"
)

// Module is code that was loaded.
type Module struct {
	c *Context
	h uintptr
}

// Func is a kernel.
type Func struct {
	c    *Context
	h    uintptr
	name string
}

// Load loads a cubin, PTX or a fat binary. Its errors wrap ErrImage where the device can't run it, with what the
// driver's compiler says.
func (c *Context) Load(image []byte) (Module, error) {
	image = append(bytes.Clone(image), 0) // PTX ends with a zero
	defer pin(image).Unpin()
	s := c.s
	log := s.page[scratchText : scratchText+textSize]
	clear(log)
	options := (*[2]uint32)(unsafe.Pointer(&s.page[scratchConfig]))
	options[0], options[1] = jitErrorBuffer, jitErrorSize
	values := (*[2]uintptr)(unsafe.Pointer(&s.page[scratchAttributes]))
	values[0], values[1] = s.at(scratchText), textSize-1
	if err := c.d.call(cuModuleLoadDataEx, s.out(0), address(image), 2, s.at(scratchConfig), s.at(scratchAttributes)); err != nil {
		if e, ok := err.(*Error); ok && e.Detail == "" {
			e.Detail = s.text(scratchText, textSize)
		}
		return Module{}, within(err, "load %d bytes of kernels on device %d (%s, sm_%d%d)", len(image)-1, c.info.Index, c.info.Name, c.info.Major, c.info.Minor)
	}
	m := Module{c, s.pointer(0)}
	c.own(m.h, "a module")
	return m, nil
}

// Valid says that there is a module.
func (m Module) Valid() bool { return m.h != 0 }

// Unload frees the module; its kernels can't be launched any more.
func (m Module) Unload() error {
	if err := m.c.d.call(cuModuleUnload, m.h); err != nil {
		return within(err, "unload a module")
	}
	m.c.disown(m.h)
	return nil
}

// Func finds a kernel by name.
func (m Module) Func(name string) (Func, error) {
	p, err := m.c.s.put(name)
	if err != nil {
		return Func{}, err
	}
	if err := m.c.d.call(cuModuleGetFunction, m.c.s.out(0), m.h, p); err != nil {
		return Func{}, within(err, "find kernel %q", name)
	}
	return Func{m.c, m.c.s.pointer(0), name}, nil
}

// Name is the kernel's.
func (f Func) Name() string { return f.name }

// FuncInfo is what a kernel takes of a multiprocessor.
type FuncInfo struct {
	Registers   int // a thread
	SharedBytes int // static, a block
	LocalBytes  int // a thread; above 0 means that registers spill
	MaxThreads  int // a block
}

// Info asks the driver.
func (f Func) Info() (FuncInfo, error) {
	var i FuncInfo
	for _, a := range []struct {
		to *int
		id uintptr
	}{{&i.Registers, funcRegisters}, {&i.SharedBytes, funcShared}, {&i.LocalBytes, funcLocal}, {&i.MaxThreads, funcMaxThreads}} {
		if err := f.c.d.call(cuFuncGetAttribute, f.c.s.out(0), a.id, f.h); err != nil {
			return i, within(err, "describe kernel %q", f.name)
		}
		*a.to = int(f.c.s.int32(0))
	}
	return i, nil
}

// SetMaxDynamicShared allows launches with so many bytes of dynamic shared memory.
func (f Func) SetMaxDynamicShared(n int) error {
	if err := f.c.d.call(cuFuncSetAttribute, f.h, funcMaxDynamic, uintptr(n)); err != nil {
		return within(err, "allow kernel %q %d bytes of shared memory, of at most %d", f.name, n, f.c.info.MaxSharedOptin)
	}
	return nil
}

// Occupancy is how many blocks of so many threads and bytes of dynamic shared memory a multiprocessor holds.
func (f Func) Occupancy(threads, shared int) (int, error) {
	if err := f.c.d.call(cuOccupancyMaxActiveBlocks, f.c.s.out(0), f.h, uintptr(threads), uintptr(shared)); err != nil {
		return 0, within(err, "ask for the occupancy of kernel %q", f.name)
	}
	return int(f.c.s.int32(0)), nil
}

func (f Func) String() string { return fmt.Sprintf("kernel %q", f.name) }
