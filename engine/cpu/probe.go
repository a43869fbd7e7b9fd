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
	dtype  model.DType // model.BF16 or model.F32
	rows   int         // padded
	inputs int         // padded
	data   []byte
}

// packMatrix packs rows × cols elements of type from; finite says whether all are.
func packMatrix(to, from model.DType, data []byte, rows, cols int) (p packed, finite bool) {
	p = packed{dtype: to, rows: pad(rows), inputs: pad(cols)}
	p.data = make([]byte, p.rows*p.inputs*to.Size())
	bad := C.pl_probe_pack(unsafe.Pointer(&p.data[0]), typeOf(to), C.int32_t(p.inputs),
		unsafe.Pointer(&data[0]), typeOf(from), C.int32_t(rows), C.int32_t(cols))
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

// small: c[rows][cols] = (add ? c : 0) + a[rows][n]·b[n][cols].
func (k kernelSet) small(c, a, b []float32, rows, n, cols int, add bool) {
	var keep C.int
	if add {
		keep = 1
	}
	C.pl_probe_small(k.c, floats(c), floats(a), floats(b), C.int32_t(rows), C.int32_t(n), C.int32_t(cols), keep)
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
