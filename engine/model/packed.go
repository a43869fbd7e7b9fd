package model

import (
	"encoding/binary"
	"math"
	"strings"
)

// The quantised types of matrices, as they lie in memory. Their names aren't those of
// safetensors, where such a matrix is two tensors (see Quantization).
//
//   - W8: Data is int8 in −127..127, row-major; Scales is float32, little endian, one for
//     each row. An element is q·scale.
//   - W4: Data is row-major, ⌈cols/2⌉ bytes a row, element 2i in the low four bits of byte i and
//     2i+1 in the high ones; a value n of 0..15 means n−8. Scales is binary16, little endian,
//     ⌈cols/GroupColumns⌉ for each row: neighbouring columns of one row share a scale, the last
//     group of a row may be shorter. An element is (n−8)·scale. Where cols is odd, the last
//     four bits of a row mean nothing.
//
// A scale is finite and may be negative.
const (
	W8 DType = "W8"
	W4 DType = "W4"
)

// GroupColumns is how many neighbouring columns of a row share one scale in W4.
const GroupColumns = 128

// scaleSuffix is added to a quantised matrix's name for the tensor of its scales.
const scaleSuffix = "_scale"

// packed reports whether the type is one of a quantised matrix.
func (d DType) packed() bool { return d == W8 || d == W4 }

// PackedSizes are the lengths of Data and Scales, in bytes, of a quantised matrix
// of the type d, W8 or W4.
func (d DType) PackedSizes(rows, cols int) (data, scales int) {
	if d == W4 {
		return rows * ((cols + 1) / 2), 2 * rows * ((cols + GroupColumns - 1) / GroupColumns)
	}
	return rows * cols, 4 * rows
}

// stored is how safetensors holds the matrix of shape [rows, cols] and its scales.
func (d DType) stored(rows, cols int) (data, scales entry) {
	if d == W4 {
		return entry{dtype: "U8", shape: []int{rows, (cols + 1) / 2}},
			entry{dtype: F16, shape: []int{rows, (cols + GroupColumns - 1) / GroupColumns}}
	}
	return entry{dtype: "I8", shape: []int{rows, cols}}, entry{dtype: F32, shape: []int{rows}}
}

// StoredType is the type that the format "w8" or "w4" gives to the tensor of that name, or ""
// for what it leaves as it is: norms and biases. The embedding and the head are W8 in both:
// they are the most sensitive, and a format of one byte loses next to nothing.
func StoredType(format, name string) DType {
	switch {
	case name == embeddingName, name == headName:
		return W8
	case !strings.HasSuffix(name, "_proj.weight"):
		return ""
	case format == "w4":
		return W4
	}
	return W8
}

// unpack writes a quantised matrix's elements to dst. Each product is rounded to float32
// once, and not at all where the scale has at most 16 significant bits, as quant's have.
// dst may be nil: then it only checks.
func (t Tensor) unpack(dst []float32) error {
	if len(t.Shape) != 2 {
		return invalidf("tensor %q of type %s has shape %v, want two dimensions", t.Name, t.DType, t.Shape)
	}
	rows, cols := t.Shape[0], t.Shape[1]
	if data, scales := t.DType.PackedSizes(rows, cols); len(t.Data) != data || len(t.Scales) != scales {
		return invalidf("tensor %q of type %s and shape %v has %d bytes and %d of scales, want %d and %d",
			t.Name, t.DType, t.Shape, len(t.Data), len(t.Scales), data, scales)
	}
	for row := range rows {
		var out []float32
		if dst != nil {
			out = dst[row*cols : (row+1)*cols]
		}
		unpackRow := t.unpackRow4
		if t.DType == W8 {
			unpackRow = t.unpackRow8
		}
		if err := unpackRow(out, row, cols); err != nil {
			return err
		}
	}
	return nil
}

func (t Tensor) unpackRow8(out []float32, row, cols int) error {
	scale := math.Float32frombits(binary.LittleEndian.Uint32(t.Scales[4*row:]))
	if !finite(127 * scale) {
		return invalidf("tensor %q: the scale of row %d is %v, want a finite number that stays so times 127", t.Name, row, scale)
	}
	for i, b := range t.Data[row*cols : (row+1)*cols] {
		if int8(b) == -128 {
			return invalidf("tensor %q: element %d of row %d is -128, want -127 to 127", t.Name, i, row)
		}
		if out != nil {
			out[i] = float32(int8(b)) * scale
		}
	}
	return nil
}

func (t Tensor) unpackRow4(out []float32, row, cols int) error {
	groups := (cols + GroupColumns - 1) / GroupColumns
	data := t.Data[row*((cols+1)/2):]
	for g := range groups {
		scale := float16(binary.LittleEndian.Uint16(t.Scales[2*(row*groups+g):]))
		if !finite(scale) {
			return invalidf("tensor %q: the scale of row %d, group %d is %v, want a finite number", t.Name, row, g, scale)
		}
		if out == nil {
			continue
		}
		for i := g * GroupColumns; i < min((g+1)*GroupColumns, cols); i++ {
			n := data[i/2] >> (4 * (i & 1)) & 15
			out[i] = float32(int(n)-8) * scale
		}
	}
	return nil
}

func finite(v float32) bool { return math.Float32bits(v)&0x7f800000 != 0x7f800000 }
