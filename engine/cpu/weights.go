//go:build native

package cpu

/*
#include "memory.h"
#include "step.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
)

// dims are a model's sizes, padded to what the kernels work on.
type dims struct {
	hidden, inter, dim, vocab int
	qkv                       int // columns of the joined projection
}

func dimsOf(c model.Config) dims {
	d := dims{hidden: pad(c.HiddenSize), inter: pad(c.IntermediateSize), dim: pad(c.HeadDim), vocab: pad(c.VocabSize)}
	d.qkv = (c.Heads + 2*c.KVHeads) * d.dim
	return d
}

// widest is the most inputs of a product.
func (d dims) widest(c model.Config) int { return max(d.hidden, d.inter, c.Heads*d.dim) }

// groupsOf is how many groups of activations so many inputs have.
func groupsOf(inputs int) int { return (inputs + C.PL_GROUP - 1) / C.PL_GROUP }

// part is a tensor's place in a packed matrix or a padded vector; the fields are
// those of pl_source.
type part struct {
	name                       string
	first, rowGroup, rowStride int
	colGroup, colStride        int
}

// matrix is a packed matrix to be made.
type matrix struct {
	to     *C.pl_matrix
	n, k   int // padded
	typ    C.int32_t
	data   *byte
	scales *byte // of quantised ones
	parts  []part
}

// vector is a padded f32 vector to be made.
type vector struct {
	to    **C.float
	n     int
	data  *float32
	parts []part
}

// loader turns a checkpoint into packed weights.
type loader struct {
	c        *model.Checkpoint
	format   string // to quantise to, or ""
	region   *region
	matrices []*matrix
	vectors  []*vector
}

func typeOf(d model.DType) C.int32_t {
	return map[model.DType]C.int32_t{
		model.BF16: C.PL_BF16, model.F16: C.PL_F16, model.F32: C.PL_F32, model.W8: C.PL_W8, model.W4: C.PL_W4,
	}[d]
}

// bytesOfType are those of so many elements.
func bytesOfType(typ C.int32_t, elements int) int {
	switch typ {
	case C.PL_F32:
		return 4 * elements
	case C.PL_BF16:
		return 2 * elements
	case C.PL_W4:
		return elements / 2
	}
	return elements
}

// plain is a tensor that begins at row 0 and stays as it is.
func plain(name string, rows, cols int) part {
	return part{name: name, rowGroup: rows, rowStride: rows, colGroup: cols, colStride: cols}
}

func (l *loader) matrix(to *C.pl_matrix, n, k int, parts ...part) {
	l.matrices = append(l.matrices, &matrix{to: to, n: n, k: k, parts: parts})
}

func (l *loader) vector(to **C.float, n int, parts ...part) {
	l.vectors = append(l.vectors, &vector{to: to, n: n, parts: parts})
}

// plan lists what the model needs.
func (l *loader) plan(m *C.pl_model, layers []C.pl_layer) {
	c, d := l.c.Config, dimsOf(l.c.Config)
	heads := func(name string, first int) part {
		return part{name, first * d.dim, c.HeadDim, d.dim, c.HiddenSize, c.HiddenSize}
	}
	for i := range layers {
		p, to := fmt.Sprintf("model.layers.%d.", i), &layers[i]
		l.vector(&to.norm_in, d.hidden, plain(p+"input_layernorm.weight", c.HiddenSize, 1))
		l.vector(&to.norm_post, d.hidden, plain(p+"post_attention_layernorm.weight", c.HiddenSize, 1))
		var bias []part
		for j, name := range []string{"q_proj", "k_proj", "v_proj"} {
			if name = p + "self_attn." + name + ".bias"; l.c.Has(name) {
				bias = append(bias, heads(name, []int{0, c.Heads, c.Heads + c.KVHeads}[j]))
			}
		}
		l.vector(&to.qkv_bias, d.qkv, bias...)
		l.matrix(&to.qkv, d.qkv, d.hidden,
			heads(p+"self_attn.q_proj.weight", 0),
			heads(p+"self_attn.k_proj.weight", c.Heads),
			heads(p+"self_attn.v_proj.weight", c.Heads+c.KVHeads))
		l.matrix(&to.out, d.hidden, c.Heads*d.dim,
			part{p + "self_attn.o_proj.weight", 0, c.HiddenSize, c.HiddenSize, c.HeadDim, d.dim})
		// Blocks of gate and up take turns (step.c, mlp).
		const lanes = C.PL_LANES
		l.matrix(&to.gate_up, 2*d.inter, d.hidden,
			part{p + "mlp.gate_proj.weight", 0, lanes, 2 * lanes, c.HiddenSize, c.HiddenSize},
			part{p + "mlp.up_proj.weight", lanes, lanes, 2 * lanes, c.HiddenSize, c.HiddenSize})
		l.matrix(&to.down, d.hidden, d.inter, plain(p+"mlp.down_proj.weight", c.HiddenSize, c.IntermediateSize))
	}
	l.vector(&m.norm, d.hidden, plain("model.norm.weight", c.HiddenSize, 1))
	l.matrix(&m.embed, d.vocab, d.hidden, plain("model.embed_tokens.weight", c.VocabSize, c.HiddenSize))
	if !c.TieEmbeddings {
		l.matrix(&m.head, d.vocab, d.hidden, plain("lm_head.weight", c.VocabSize, c.HiddenSize))
	}
}

// load maps the region and fills it; after it the model owns no part of the
// checkpoint.
func (l *loader) load(m *C.pl_model) error {
	for _, mx := range l.matrices {
		if err := l.choose(mx); err != nil {
			return err
		}
		reserve(l.region, &mx.data, bytesOfType(mx.typ, mx.n*mx.k))
		switch mx.typ {
		case C.PL_W8:
			reserve(l.region, &mx.scales, 4*mx.n)
		case C.PL_W4:
			reserve(l.region, &mx.scales, 2*mx.n*groupsOf(mx.k))
		}
	}
	for _, v := range l.vectors {
		reserve(l.region, &v.data, v.n)
	}
	if err := l.region.open("weights"); err != nil {
		return err
	}
	for _, v := range l.vectors {
		if err := l.fill(v); err != nil {
			return err
		}
	}
	for _, mx := range l.matrices {
		*mx.to = C.pl_matrix{
			data: unsafe.Pointer(mx.data), scales: unsafe.Pointer(mx.scales), _type: mx.typ,
			blocks: C.int32_t(mx.n / C.PL_LANES), k: C.int32_t(mx.k),
		}
		if err := l.pack(mx); err != nil {
			return err
		}
	}
	if l.c.Config.TieEmbeddings {
		m.head = m.embed
	}
	return nil
}

// choose sets a matrix's type: that of its tensors where they agree and the kernels can keep
// it, else f32, to which every type converts.
func (l *loader) choose(mx *matrix) error {
	for i, p := range mx.parts {
		t, err := l.c.Tensor(p.name)
		if err != nil {
			return err
		}
		typ := typeOf(t.DType)
		if to := quant.TypeOf(l.format, p.name); l.format != "" && to != "" {
			typ = typeOf(to)
		}
		if i > 0 && typ != mx.typ || typ == C.PL_F16 {
			typ = C.PL_F32
		}
		if typ == C.PL_W4 && p.colGroup != p.colStride { // a group of columns would be torn
			typ = C.PL_F32
		}
		mx.typ = typ
		if typ == C.PL_F32 {
			break
		}
	}
	return nil
}

// widens says that a matrix is held in f32.
func (l *loader) widens() bool {
	return slices.ContainsFunc(l.matrices, func(m *matrix) bool { return m.typ == C.PL_F32 })
}

// fill converts a vector's parts.
func (l *loader) fill(v *vector) error {
	dst := unsafe.Slice(v.data, v.n)
	for _, p := range v.parts {
		t, err := l.c.Tensor(p.name)
		if err != nil {
			return err
		}
		src := make([]float32, t.Len())
		if err := t.Float32(src); err != nil {
			return err
		}
		for i, f := range src {
			dst[p.first+i/p.rowGroup*p.rowStride+i%p.rowGroup] = f
		}
	}
	*v.to = (*C.float)(unsafe.Pointer(v.data))
	return nil
}

// pack writes a matrix's parts, by all processors.
func (l *loader) pack(mx *matrix) error {
	for _, p := range mx.parts {
		t, err := quant.Load(l.c, p.name, l.format)
		if err != nil {
			return err
		}
		if t.Scales != nil {
			if mx.typ != C.PL_F32 {
				err = t.CheckFinite()
			} else {
				t, err = widened(t)
			}
			if err != nil {
				return err
			}
		}
		if !packPart(mx, p, t) {
			return t.CheckFinite()
		}
	}
	return nil
}

// widened is a quantised tensor in f32.
func widened(t model.Tensor) (model.Tensor, error) {
	values := make([]float32, t.Len())
	if err := t.Float32(values); err != nil {
		return t, err
	}
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
	return model.Tensor{Name: t.Name, DType: model.F32, Shape: t.Shape, Data: data}, nil
}

// packPart is false if a weight isn't finite.
func packPart(mx *matrix, p part, t model.Tensor) bool {
	rows, cols := t.Shape[0], t.Shape[1]
	var pin runtime.Pinner // for tensors that lie in Go's own memory
	defer pin.Unpin()
	pin.Pin(unsafe.SliceData(t.Data))
	if t.Scales != nil {
		pin.Pin(unsafe.SliceData(t.Scales))
	}
	source := C.pl_source{
		data: unsafe.Pointer(unsafe.SliceData(t.Data)), scales: unsafe.Pointer(unsafe.SliceData(t.Scales)),
		rows: C.int32_t(rows), cols: C.int32_t(cols), first: C.int32_t(p.first),
		row_group: C.int32_t(p.rowGroup), row_stride: C.int32_t(p.rowStride),
		col_group: C.int32_t(p.colGroup), col_stride: C.int32_t(p.colStride),
		_type: typeOf(t.DType),
	}
	var wait sync.WaitGroup
	var bad atomic.Bool
	workers := runtime.GOMAXPROCS(0)
	share := pad((rows + workers - 1) / workers)
	for lo := 0; lo < rows; lo += share {
		hi := min(lo+share, rows)
		wait.Go(func() {
			if C.pl_pack(mx.to, unsafe.Pointer(mx.data), unsafe.Pointer(mx.scales), &source, C.int32_t(lo), C.int32_t(hi)) != 0 {
				bad.Store(true)
			}
		})
	}
	wait.Wait()
	return !bad.Load()
}
