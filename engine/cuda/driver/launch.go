package driver

import (
	"fmt"
	"unsafe"
)

// Config is how a kernel is launched.
type Config struct {
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory
	PDL         bool   // may begin while the kernel before it ends
	Cooperative bool   // all blocks run at the same time
}

// Launch gives a kernel, whose only parameter is the structure *p, to a stream. P has no pointers of Go. It allocates
// nothing.
func Launch[P any](c *Context, f Func, s Stream, cfg Config, p *P) error {
	if err := setParams(c.s, p); err != nil {
		return within(err, "launch kernel %q", f.name)
	}
	if err := c.launch(f, s, cfg); err != nil {
		return within(err, "launch kernel %q on %v blocks of %v threads, %d bytes of shared memory", f.name, cfg.Grid, cfg.Block, cfg.Shared)
	}
	return nil
}

// setParams copies a kernel's parameter to where C reads it.
func setParams[P any](s scratch, p *P) error {
	if n := unsafe.Sizeof(*p); n > paramsSize {
		return fmt.Errorf("%d bytes of parameters: want at most %d", n, paramsSize)
	}
	*(*P)(unsafe.Pointer(&s.page[scratchParams])) = *p
	*(*uintptr)(unsafe.Pointer(&s.page[scratchPointers])) = s.at(scratchParams)
	return nil
}

func (c *Context) launch(f Func, s Stream, cfg Config) error {
	m := c.s
	l := (*launchConfig)(unsafe.Pointer(&m.page[scratchConfig]))
	*l = launchConfig{grid: cfg.Grid, block: cfg.Block, shared: cfg.Shared, stream: s.h, attributes: m.at(scratchAttributes)}
	attributes := (*[2]launchAttribute)(unsafe.Pointer(&m.page[scratchAttributes]))
	set := func(id uint32) {
		attributes[l.count] = launchAttribute{id: id}
		*(*uint32)(unsafe.Pointer(&attributes[l.count].value)) = 1
		l.count++
	}
	if cfg.PDL {
		set(launchOverlaps)
	}
	if cfg.Cooperative {
		set(launchCooperates)
	}
	return c.d.call(cuLaunchKernelEx, m.at(scratchConfig), f.h, m.at(scratchPointers), 0)
}
