//go:build native

package cpu

/*
#include "probe.h"
*/
import "C"

import (
	"unsafe"

	"github.com/paceline/paceline/engine/model"
)

// The methods here call one kernel each on Go's memory, for tests and benchmarks.
// A step doesn't come this way: it is one call into C.

// packed is a weight matrix in the kernels' layout.
type packed struct {
	dtype  model.DType // of any type but model.F16
	rows   int         // padded
	inputs int         // padded
	data   []byte
	scales []byte // of quantised ones
}

// packMatrix packs a matrix as type to; finite says whether all elements are.
func packMatrix(to model.DType, t model.Tensor) (p packed, finite bool) {
	rows, cols := t.Shape[0], t.Shape[1]
	p = packed{dtype: to, rows: pad(rows), inputs: pad(cols)}
	p.data = make([]byte, bytesOfType(typeOf(to), p.rows*p.inputs))
	p.scales = make([]byte, p.rows*4*groupsOf(p.inputs))
	bad := C.pl_probe_pack(unsafe.Pointer(&p.data[0]), unsafe.Pointer(&p.scales[0]), typeOf(to), C.int32_t(p.inputs),
		unsafe.Pointer(&t.Data[0]), unsafe.Pointer(unsafe.SliceData(t.Scales)), typeOf(t.DType), C.int32_t(rows), C.int32_t(cols))
	return p, bad == 0
}

// floats is the address of a slice for C, nil for an empty one.
func floats(s []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(s))) }

// gemm: c[m][rows] = init + a[m][inputs]·w; init nil, one row, or m rows.
func (k kernelSet) gemm(w packed, a, c, init []float32, m int) {
	C.pl_probe_gemm(k.c, 0, typeOf(w.dtype), C.int32_t(w.rows/C.PL_LANES), C.int32_t(w.inputs), unsafe.Pointer(&w.data[0]),
		unsafe.Pointer(&a[0]), C.size_t(w.inputs), floats(c), C.size_t(w.rows), floats(init), w.initStride(init), C.int32_t(m))
}

// gemmDot is gemm with activations in bf16, by the dot instruction.
func (k kernelSet) gemmDot(w packed, a []uint16, c, init []float32, m int) {
	C.pl_probe_gemm(k.c, 1, typeOf(w.dtype), C.int32_t(w.rows/C.PL_LANES), C.int32_t(w.inputs), unsafe.Pointer(&w.data[0]),
		unsafe.Pointer(&a[0]), C.size_t(w.inputs), floats(c), C.size_t(w.rows), floats(init), w.initStride(init), C.int32_t(m))
}

func (w packed) initStride(init []float32) C.size_t {
	if len(init) <= w.rows {
		return 0
	}
	return C.size_t(w.rows)
}

func (k kernelSet) hasDot() bool { return C.pl_probe_has_dot(k.c) != 0 }

// quants are activations as gemmQ takes them.
type quants struct {
	q     []int8
	scale []float32
	sum   []int32
}

// quantize rounds m rows of x.
func (k kernelSet) quantize(x []float32, m int) quants {
	n := len(x) / m
	q := quants{make([]int8, len(x)), make([]float32, m*groupsOf(n)), make([]int32, m*groupsOf(n))}
	for i := range m {
		C.pl_probe_quantize(k.c, (*C.int8_t)(unsafe.Pointer(&q.q[i*n])), floats(q.scale[i*groupsOf(n):]),
			(*C.int32_t)(unsafe.Pointer(&q.sum[i*groupsOf(n)])), floats(x[i*n:]), C.int32_t(n))
	}
	return q
}

// gemmQ is gemm with quantised weights and activations.
func (k kernelSet) gemmQ(w packed, a quants, c, init []float32, m int) {
	C.pl_probe_gemm_q(k.c, typeOf(w.dtype), C.int32_t(w.rows/C.PL_LANES), C.int32_t(w.inputs),
		unsafe.Pointer(&w.data[0]), unsafe.Pointer(&w.scales[0]), (*C.int8_t)(unsafe.Pointer(&a.q[0])), floats(a.scale),
		(*C.int32_t)(unsafe.Pointer(&a.sum[0])), floats(c), floats(init), w.initStride(init), C.int32_t(m))
}

func (k kernelSet) softmax(s, o, maxima, sums []float32, dim int) {
	C.pl_probe_softmax(k.c, floats(s), floats(o), floats(maxima), floats(sums), C.int32_t(len(maxima)), C.int32_t(dim))
}

func (k kernelSet) rmsNorm(y, x, w []float32, count int, eps float32) {
	C.pl_probe_rmsnorm(k.c, floats(y), floats(x), floats(w), C.int32_t(len(x)), C.int32_t(count), C.float(eps))
}

func (k kernelSet) swiglu(y, g []float32) {
	C.pl_probe_swiglu(k.c, floats(y), floats(g), C.int32_t(len(y)/C.PL_LANES))
}

// round rounds x to bf16: into h, or in place for a nil h.
func (k kernelSet) round(x []float32, h []uint16) {
	C.pl_probe_round(k.c, floats(x), (*C.uint16_t)(unsafe.Pointer(unsafe.SliceData(h))), C.int32_t(len(x)))
}

func (k kernelSet) logSumExp(x []float32) float64 {
	return float64(C.pl_probe_logsumexp(k.c, floats(x), C.int32_t(len(x))))
}

// readMemory reads the packed weights of an open engine once, the yardstick for
// what decoding could reach, and returns the bytes read.
func (e *engine) readMemory() int64 {
	C.pl_probe_read(e.weights.base, C.size_t(e.weights.size))
	return e.weights.size
}
