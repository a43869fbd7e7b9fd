//go:build native

package cuda

import (
	"fmt"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// product is a kernel in its two widths: for up to 8 rows, and for more.
type product struct {
	name   string
	few    driver.Func
	many   driver.Func
	shared [2]int // bytes of shared memory
	most   int    // rows of a block where there are many: 32, or 8 where the device has no room for them
}

// wide are the products of many rows. They need less shared memory than every device has that can run them.
type wide struct {
	qkv, output, gate, down driver.Func
	shared                  uint32 // bytes of it
	placed                  uint32 // 1: they read activations in an order of columns of their own, by tensor maps
}

// kernelSet are the functions of a loaded module.
type kernelSet struct {
	begin, attention, attentionWhole, merge, second driver.Func
	norm                                            driver.Func
	wide, hopper                                    wide
	qkv, output, gate, down, head                   product
}

const (
	fewRows  = 8
	manyRows = 32
)

// findKernels looks all kernels up and gives them the shared memory that they need.
func findKernels(m driver.Module, s kernels.Shape, d driver.DeviceInfo) (kernelSet, error) {
	var k kernelSet
	var err error
	for _, f := range []struct {
		to   *driver.Func
		name string
	}{
		{&k.norm, "normalise"},
		{&k.wide.qkv, "gemm_qkv"},
		{&k.wide.output, "gemm_output"},
		{&k.wide.gate, "gemm_gate"},
		{&k.wide.down, "gemm_down"},
		{&k.begin, "begin"},
		{&k.attention, "attention"},
		{&k.attentionWhole, "attention_whole"},
		{&k.merge, "merge"},
		{&k.second, "select_rows"},
	} {
		if *f.to, err = m.Func(f.name); err != nil {
			return k, err
		}
	}
	k.wide.shared = uint32(s.SharedGemm())
	if k.hopper, err = findHopper(m, s); err != nil {
		return k, err
	}
	for _, p := range []struct {
		to     *product
		name   string
		shared func(rows int) int
	}{
		{&k.qkv, "norm_qkv", s.SharedHidden},
		{&k.output, "output", s.SharedQuery},
		{&k.gate, "norm_gate", s.SharedHidden},
		{&k.down, "down", s.SharedDown},
		{&k.head, "head", s.SharedHead},
	} {
		if err = p.to.find(m, p.name, p.shared, d); err != nil {
			return k, err
		}
	}
	return k, nil
}

// findHopper gives the products by warpgroups; none where the code has no such kernels, being for another family or for
// several.
func findHopper(m driver.Module, s kernels.Shape) (w wide, err error) {
	for _, f := range []struct {
		to   *driver.Func
		name string
	}{{&w.qkv, "hopper_qkv"}, {&w.output, "hopper_output"}, {&w.gate, "hopper_gate"}, {&w.down, "hopper_down"}} {
		if *f.to, err = m.Func(f.name); err != nil {
			return wide{}, nil
		}
		if err := f.to.SetMaxDynamicShared(s.SharedHopper()); err != nil {
			return wide{}, err
		}
	}
	w.shared, w.placed = uint32(s.SharedHopper()), 1
	return w, nil
}

func (p *product) find(m driver.Module, name string, shared func(rows int) int, d driver.DeviceInfo) (err error) {
	p.name, p.most = name, manyRows
	p.shared = [2]int{shared(fewRows), shared(manyRows)}
	if p.few, err = m.Func(name + "_8"); err != nil {
		return err
	}
	if p.shared[0] > d.MaxSharedOptin {
		return fmt.Errorf("kernel %s_8 needs %d bytes of shared memory for this model, %s has %d a block: take another device, or the cpu backend", name, p.shared[0], d.Name, d.MaxSharedOptin)
	}
	if err = p.few.SetMaxDynamicShared(p.shared[0]); err != nil {
		return err
	}
	if p.shared[1] > d.MaxSharedOptin {
		p.most = fewRows
		return nil
	}
	if p.many, err = m.Func(name + "_32"); err != nil {
		return err
	}
	return p.many.SetMaxDynamicShared(p.shared[1])
}

// of gives the function for so many rows, the groups that it takes them in, and its shared memory.
func (p *product) of(rows int) (f driver.Func, groups int, shared uint32) {
	if rows <= fewRows || p.most == fewRows {
		return p.few, (rows + fewRows - 1) / fewRows, uint32(p.shared[0])
	}
	return p.many, (rows + manyRows - 1) / manyRows, uint32(p.shared[1])
}
