//go:build native

package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// Image gives the code of the kernels for a shape and a device, and says in a few words where it is from.
type Image func(kernels.Shape, driver.DeviceInfo) (code []byte, from string, err error)

// engine is an open model.
type engine struct {
	options Options
	format  string // that the weights are quantised to while loading, or ""
	shape   kernels.Shape
	info    backend.Info
	memory  backend.Memory
	device  driver.DeviceInfo
	door    *admit.Door
	pdl     bool

	ctx        *driver.Context
	stream     driver.Stream
	done       [2]driver.Event // of the steps of even and of odd number
	module     driver.Module
	kernels    kernelSet
	warpgroups bool   // such products go by warpgroups
	inputs     inputs // of those
	wideFrom   int    // steps of more tokens take the products of many rows
	weights    weights
	graphs     graphs

	weightsAt, base, kv kernels.Ptr // allocations; base is that of the activations
	act                 activations
	lists               kernels.Lists
	drawnPtr            [2]kernels.Ptr

	pinned    driver.Pinned // blocks and what is handed back
	staged    driver.Pinned // logits on their way to the host
	blocks    [2]*block
	hostLists [2]kernels.Lists
	out       [2]drawn
	outPtr    [2]kernels.Ptr

	cold    backend.ColdStart
	filler  filler
	clock   time.Time // of the stage of opening that is under way
	number  uint32    // of the next step, from 1
	flights []*flight
	spare   [2]flight
	results results
	closed  bool
	fault   error // after which nothing can be computed
}

// at is an address in the activations' arena.
func (e *engine) at(offset int64) kernels.Ptr { return e.base + kernels.Ptr(offset) }

// open brings a model to a device.
func open(c *model.Checkpoint, o Options, d *driver.Driver, device int, image Image) (_ *engine, err error) {
	o, format, err := o.complete(c)
	if err != nil {
		return nil, err
	}
	e := &engine{options: o, format: format, number: 1, wideFrom: kernels.WideFrom}
	held, ok := kernels.FormatOf(o.Weights)
	if !ok {
		return nil, fmt.Errorf("weights %q: want bf16, w8 or w4", o.Weights)
	}
	if e.shape, err = kernels.ShapeOf(c.Config, held); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e.clock = time.Now()
	if e.ctx, err = d.Context(device); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.free())
		}
	}()
	e.device = e.ctx.Info()
	if !e.device.BF16 {
		return nil, fmt.Errorf("%w: %s has compute capability %d.%d: the kernels multiply bf16, which begins with 8.0 (Ampere); take another device, or the cpu backend", backend.ErrUnavailable, e.device.Name, e.device.Major, e.device.Minor)
	}
	e.pdl = e.device.Major >= 9
	e.stage("context")
	code, from, err := image(e.shape, e.device)
	if err != nil {
		return nil, err
	}
	e.stage("kernels " + from)
	if err := e.prepare(code); err != nil {
		return nil, err
	}
	e.stage("module")
	if err := e.load(c); err != nil {
		return nil, err
	}
	e.stage("weights")
	e.info = o.info(c.Config)
	e.info.Device, e.info.ISA = e.device.Name, fmt.Sprintf("sm_%d%d", e.device.Major, e.device.Minor)
	e.info.Emulated = d.Emulated()
	e.door = admit.New(e.info, e.options.Pages)
	return e, nil
}

// stage notes how long a stage of opening took.
func (e *engine) stage(name string) {
	now := time.Now()
	e.cold.Stages = append(e.cold.Stages, backend.Stage{Name: name, Took: now.Sub(e.clock)})
	e.clock = now
}

// ColdStart says how long opening took, by stage.
func (e *engine) ColdStart() backend.ColdStart { return e.cold }

// prepare loads the module and makes streams and events.
func (e *engine) prepare(code []byte) (err error) {
	if e.module, err = e.ctx.Load(code); err != nil {
		return err
	}
	if e.kernels, err = findKernels(e.module, e.shape, e.device); err != nil {
		return err
	}
	if e.options.Warpgroups && e.kernels.hopper == (wide{}) {
		return e.errNoHopper() // before weights are loaded
	}
	if e.stream, err = e.ctx.NewStream(); err != nil {
		return err
	}
	for i := range e.done {
		if e.done[i], err = e.ctx.NewEvent(false); err != nil {
			return err
		}
	}
	return nil
}

// load allocates all memory, fills the weights and points everything at its place.
func (e *engine) load(c *model.Checkpoint) error {
	l := loader{c: c, format: e.format, s: e.shape}
	l.plan(&e.weights, e.options.MaxContext)
	r := capacityOf(e.shape, e.options)
	e.act = planActivations(e.shape, r, e.device.SMs)
	free, _, err := e.ctx.MemInfo()
	if err != nil {
		return err
	}
	need := memoryNeed{weights: l.bytes(), activations: e.act.size, page: 2 * pageElements(e.shape, c.Config.Layers)}
	if e.options.Pages, err = pagesWithin(need, free, e.options.Pages, e.options.MaxContext); err != nil {
		return err
	}
	kv := int64(e.options.Pages) * need.page
	for _, a := range []struct {
		to   *kernels.Ptr
		name string
		size int64
	}{{&e.weightsAt, "weights", need.weights}, {&e.kv, "KV pages", kv}, {&e.base, "activations", need.activations}} {
		p, err := e.ctx.Alloc(a.name, a.size)
		if err != nil {
			return err
		}
		*a.to = kernels.Ptr(p)
	}
	e.memory = backend.Memory{Weights: need.weights, KV: kv, Activation: need.activations}
	if err := l.load(e.weightsAt, func(to kernels.Ptr, data []byte) error { return e.ctx.HtoD(driver.Ptr(to), data) }); err != nil {
		return err
	}
	if c.Config.TieEmbeddings {
		e.weights.head = e.weights.embed
	}
	// Pages that nobody wrote must hold numbers: what is behind a sequence's end is multiplied by zero.
	if err := e.ctx.Memset8Async(driver.Ptr(e.kv), 0, kv, e.stream); err != nil {
		return err
	}
	if err := e.ctx.Memset8Async(driver.Ptr(e.at(e.act.zeroed)), 0, e.act.zeroedBytes, e.stream); err != nil {
		return err
	}
	if err := e.ctx.Memset32Async(driver.Ptr(e.at(e.act.number)), 1, 1, e.stream); err != nil {
		return err
	}
	if e.options.Warpgroups {
		if err := e.byWarpgroups(); err != nil {
			return err
		}
	}
	if err := e.pin(r); err != nil {
		return err
	}
	return e.stream.Sync()
}

// pin makes the memory that host and device share.
func (e *engine) pin(r capacity) (err error) {
	p := r.place()
	e.lists = p.lists(e.at(e.act.block))
	handed := aligned(kernels.DrawnHeader + 4*int64(r.heads))
	if e.pinned, err = e.ctx.Pinned("parameter blocks", 2*(p.size+handed)); err != nil {
		return err
	}
	if e.staged, err = e.ctx.Pinned("logits", stagedRows*int64(e.shape.Vocab)*4); err != nil {
		return err
	}
	for i := range e.blocks {
		at := int64(i) * (p.size + handed)
		base := kernels.Ptr(e.pinned.Device) + kernels.Ptr(at)
		e.blocks[i], e.hostLists[i] = newBlock(e.pinned.Bytes[at:], r), p.lists(base)
		e.out[i], e.outPtr[i] = newDrawn(e.pinned.Bytes[at+p.size:], r.heads), base+kernels.Ptr(p.size)
		e.drawnPtr[i] = e.at(e.act.drawn[i])
	}
	e.filler = filler{shape: e.shape, parts: maxParts, edits: r.edits}
	return nil
}

func (e *engine) Info() backend.Info     { return e.info }
func (e *engine) Memory() backend.Memory { return e.memory }
func (e *engine) Pages() backend.Pages   { return pages{e} }

// Close frees everything. It may be called twice.
func (e *engine) Close() error {
	if len(e.flights) > 0 {
		return errors.New("close the cuda backend: a batch is launched and not collected")
	}
	if e.closed {
		return nil
	}
	e.closed = true
	release, err := e.enter()
	if err != nil {
		return err
	}
	defer release()
	return e.free()
}

// free gives back what there is. After a fault the driver refuses everything, and the process's end frees it.
func (e *engine) free() error {
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	note(e.graphs.close())
	for _, ev := range e.done {
		if ev.Valid() {
			note(ev.Destroy())
		}
	}
	if e.stream.Valid() {
		note(e.stream.Destroy())
	}
	if e.module.Valid() {
		note(e.module.Unload())
	}
	for _, p := range []driver.Pinned{e.pinned, e.staged} {
		if p.Bytes != nil {
			note(e.ctx.FreePinned(p))
		}
	}
	for _, p := range []kernels.Ptr{e.weightsAt, e.kv, e.base} {
		if p != 0 {
			note(e.ctx.Free(driver.Ptr(p)))
		}
	}
	note(e.ctx.Close())
	e.memory = backend.Memory{}
	if e.fault != nil {
		return nil
	}
	return errors.Join(errs...)
}

// floats views bytes as float32.
func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
