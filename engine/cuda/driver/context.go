package driver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Context is a device in use by this process, and the account of what was allocated there. One goroutine uses it
// at a time, after Bind on the thread that it is locked to.
type Context struct {
	d      *Driver
	s      scratch // of its own: contexts are used by several goroutines
	info   DeviceInfo
	device uintptr
	handle uintptr
	ledger map[uintptr]string
	closed bool
}

// Context takes a device into use and makes it current on this OS thread, to which the caller has locked
// its goroutine. It has to be closed.
func (d *Driver) Context(index int) (*Context, error) {
	d.mutex.Lock()
	info, err := d.describe(index)
	device, handleErr := d.handle(index)
	d.mutex.Unlock()
	if err = errors.Join(err, handleErr); err != nil {
		return nil, within(err, "describe device %d", index)
	}
	if info.ProhibitsAccess {
		return nil, fmt.Errorf("%w: device %d (%s) lets no process in: set its compute mode to default (nvidia-smi -i %d -c 0)", ErrBusy, index, info.Name, index)
	}
	c := &Context{d: d, info: info, device: device, ledger: map[uintptr]string{}}
	if c.s, err = newScratch(); err != nil {
		return nil, err
	}
	if err := d.call(cuDevicePrimaryCtxRetain, c.s.out(0), c.device); err != nil {
		return nil, errors.Join(within(err, "take device %d (%s) into use", index, info.Name), c.s.free())
	}
	c.handle = c.s.pointer(0)
	if err := c.Bind(); err != nil {
		return nil, errors.Join(err, d.call(cuDevicePrimaryCtxRelease, c.device), c.s.free())
	}
	return c, nil
}

// Info describes the device.
func (c *Context) Info() DeviceInfo { return c.info }

// Bind makes the context current on this OS thread. It asks the driver each time, which is cheap: another Context may
// have been bound there in between, and only the driver knows.
func (c *Context) Bind() error {
	if err := c.d.call(cuCtxSetCurrent, c.handle); err != nil {
		return within(err, "use device %d on this thread", c.info.Index)
	}
	return nil
}

// MemInfo is the device's memory in bytes: what is free for anyone, and all.
func (c *Context) MemInfo() (free, total int64, err error) {
	if err := c.d.call(cuMemGetInfo, c.s.out(0), c.s.out(1)); err != nil {
		return 0, 0, within(err, "ask for the device's free memory")
	}
	return int64(c.s.uint64(0)), int64(c.s.uint64(1)), nil
}

// Sync waits for everything that was given to the device.
func (c *Context) Sync() error {
	return succeeded(c.d.call(cuCtxSynchronize), "wait for the device")
}

// own notes something that has to be freed.
func (c *Context) own(handle uintptr, what string) { c.ledger[handle] = what }

// disown notes that it was.
func (c *Context) disown(handle uintptr) { delete(c.ledger, handle) }

// Leaks names what was allocated and not freed.
func (c *Context) Leaks() []string {
	var list []string
	for _, what := range c.ledger {
		list = append(list, what)
	}
	slices.Sort(list)
	return list
}

// Close gives the device back. Its error names what wasn't freed. It may be called twice.
func (c *Context) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	if leaks := c.Leaks(); len(leaks) > 0 {
		errs = append(errs, fmt.Errorf("close device %d: not freed: %s", c.info.Index, strings.Join(leaks, ", ")))
	}
	if err := c.d.call(cuCtxSetCurrent, 0); err != nil {
		errs = append(errs, err)
	}
	if err := c.d.call(cuDevicePrimaryCtxRelease, c.device); err != nil {
		errs = append(errs, within(err, "give device %d back", c.info.Index))
	}
	return errors.Join(append(errs, c.s.free())...)
}
