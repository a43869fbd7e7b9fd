//go:build native

package cuda

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// flight is a batch that is launched and not collected.
type flight struct {
	batch  *backend.Batch
	number uint32
	heads  []int     // of each row's last token, −1 for none
	drawn  int       // heads of the batch
	kept   []keptRow // logits that went to the host
	scores []score   // of tokens, whose logits did
}

// enter keeps this goroutine on its OS thread, until release is called, and makes the context current there.
func (e *engine) enter() (release func(), err error) {
	runtime.LockOSThread()
	if err := e.ctx.Bind(); err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	return runtime.UnlockOSThread, nil
}

// Launch starts a step. It returns while the device computes, but for batches that ask for logits: those
// are brought to the host here.
func (e *engine) Launch(b *backend.Batch) error {
	if err := e.ready(b); err != nil {
		return fmt.Errorf("launch on the cuda backend: %w", err)
	}
	release, err := e.enter()
	if err != nil {
		return e.broken("launch on the cuda backend", err)
	}
	defer release()
	slot := e.number & 1
	blk := e.blocks[slot]
	f, err := e.filler.fill(blk, b)
	if err != nil {
		return fmt.Errorf("launch on the cuda backend: %w", err)
	}
	fl := &e.spare[slot]
	*fl = flight{batch: b, number: e.number, heads: append(fl.heads[:0], e.filler.before...), drawn: len(blk.heads), kept: fl.kept[:0], scores: append(fl.scores[:0], e.filler.scored...)}
	if err := e.start(blk, fl, f); err != nil {
		return e.broken("launch on the cuda backend", err)
	}
	e.number++
	b.Ticket = fl
	e.flights = append(e.flights, fl)
	return nil
}

// ready says why a batch can't be launched.
func (e *engine) ready(b *backend.Batch) error {
	switch {
	case e.closed:
		return errors.New("the backend is closed")
	case e.fault != nil:
		return e.fault
	case len(e.flights) == e.info.MaxInFlight:
		return fmt.Errorf("%d batches are launched and not collected; collect one first", len(e.flights))
	}
	var before *backend.Batch
	if n := len(e.flights); n > 0 {
		before = e.flights[n-1].batch
	}
	return e.door.Check(b, before)
}

// start sends the step to the device.
func (e *engine) start(blk *block, fl *flight, f filled) error {
	finish := uint32(kernels.FinishHead)
	if f.second {
		finish = kernels.FinishSelect
	}
	for i := range blk.heads {
		blk.heads[i].Logits = uint32(i % keptRows)
	}
	blk.seal(finish, fl.number)
	x, err := e.graphFor(len(blk.tokens), len(blk.heads), f)
	if err != nil {
		return err
	}
	if x != nil {
		if err := x.Launch(e.stream); err != nil {
			return err
		}
	} else if err := e.startEach(blk, fl, f); err != nil {
		return err
	}
	return e.done[fl.number&1].Record(e.stream)
}

// startEach launches the step kernel by kernel.
func (e *engine) startEach(blk *block, fl *flight, f filled) error {
	c := &chain{stream: e.stream, pdl: e.pdl}
	x := extent{tokens: len(blk.tokens), units: len(blk.units), merges: len(blk.merges), split: f.split, whole: f.whole}
	if err := e.layersTo(c, x); err != nil {
		return err
	}
	heads := len(blk.heads)
	for from := 0; from == 0 || from < heads; from += keptRows {
		most := min(keptRows, heads-from)
		last := from+most == heads
		if err := e.headsTo(c, from, most, last); err != nil {
			return err
		}
		if f.kept {
			if err := e.keep(fl, from, most); err != nil {
				return err
			}
		}
		if f.second {
			if err := e.secondTo(c, from, most, last); err != nil {
				return err
			}
		}
	}
	return nil
}

// broken wraps an error of the driver: after one that loses the device, this backend can't be used again.
func (e *engine) broken(doing string, err error) error {
	if errors.Is(err, driver.ErrLost) && !errors.Is(err, backend.ErrFault) {
		err = fmt.Errorf("%w: %w", backend.ErrFault, err)
	}
	if errors.Is(err, backend.ErrFault) {
		e.fault = err
	}
	return fmt.Errorf("%s: %w", doing, err)
}
