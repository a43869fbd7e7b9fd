package model

import "fmt"

// Tensor is one named array of a checkpoint.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // row-major, outermost first; not to be changed
	// Data is the elements, little endian, Len() × DType.Size() bytes (of W8 and W4 see
	// there): a read-only view of the mapped file that holds until Checkpoint.Close. Writing
	// to it faults. It may lie at any address, aligned or not.
	Data []byte
	// Scales belong to Data in the types W8 and W4, and are nil in others. The same holds.
	Scales []byte
}

// Len is the number of elements, the product of Shape.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Float32 converts all elements to dst, which must have Len() of them. Every
// bf16, f16 and f32 value converts exactly, every W8 and W4 value is its product rounded to
// float32; other types are an error, and so is an element that is infinite or not a number.
func (t Tensor) Float32(dst []float32) error {
	if !t.DType.weight() && !t.DType.packed() {
		return unsupportedf("tensor %q has type %s; supported: %s, %s, %s, %s, %s", t.Name, t.DType, BF16, F16, F32, W8, W4)
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("convert tensor %q: the destination has %d elements, want %d", t.Name, len(dst), t.Len())
	}
	if t.DType.packed() {
		return t.unpack(dst)
	}
	if i := convert(dst, t.DType, t.Data); i >= 0 {
		return invalidf("tensor %q: element %d of shape %v is %v, want finite numbers only", t.Name, i, t.Shape, dst[i])
	}
	return nil
}

// CheckFinite reads all elements and returns an error that names the first one
// that is infinite or not a number; of W8 and W4 the scales, and that no element of
// W8 is −128. For backends that use Data as it lies.
func (t Tensor) CheckFinite() error {
	if t.DType.packed() {
		return t.unpack(nil)
	}
	if !t.DType.weight() {
		return nil
	}
	var block [1024]float32
	size := t.DType.Size()
	for start, n := 0, t.Len(); start < n; start += len(block) {
		part := block[:min(len(block), n-start)]
		if i := convert(part, t.DType, t.Data[start*size:]); i >= 0 {
			return invalidf("tensor %q: element %d of shape %v is %v, want finite numbers only", t.Name, start+i, t.Shape, part[i])
		}
	}
	return nil
}
