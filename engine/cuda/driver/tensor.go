package driver

import "unsafe"

// Rows is a matrix of bf16 in device memory, one row after the other.
type Rows struct {
	At                  Ptr // a multiple of 16
	Rows, Columns       int // the second a multiple of 8
	BoxRows, BoxColumns int // what a copy brings: at most 256 rows of at most 64 elements
}

// Map describes a matrix to the device's copy engine (TMA). Boxes come to lie in shared memory row by row in the swizzle of 128
// bytes; what leaves the matrix reads as zero. The memory has to live as long as the map is in use. Devices before
// compute capability 9.0 have no such engine: the error then is the driver's.
func (c *Context) Map(m Rows) (TensorMap, error) {
	s := c.s
	to := s.page[scratchParams : scratchParams+len(TensorMap{})]
	type arguments struct {
		sizes, strides [2]uint64
		box, steps     [2]uint32
	}
	a := (*arguments)(unsafe.Pointer(&s.page[scratchNode]))
	*a = arguments{
		sizes: [2]uint64{uint64(m.Columns), uint64(m.Rows)}, strides: [2]uint64{2 * uint64(m.Columns)},
		box: [2]uint32{uint32(m.BoxColumns), uint32(m.BoxRows)}, steps: [2]uint32{1, 1},
	}
	at := func(offset uintptr) uintptr { return s.at(scratchNode + int(offset)) }
	err := c.d.call(cuTensorMapEncodeTiled, s.at(scratchParams), tensorBF16, 2, uintptr(m.At),
		at(unsafe.Offsetof(a.sizes)), at(unsafe.Offsetof(a.strides)), at(unsafe.Offsetof(a.box)), at(unsafe.Offsetof(a.steps)),
		tensorPlain, tensorSwizzle128, tensorPromote128, tensorZeros)
	if err != nil {
		return TensorMap{}, within(err, "describe a matrix of %d rows of %d numbers to the copy engine", m.Rows, m.Columns)
	}
	return TensorMap(to), nil
}
