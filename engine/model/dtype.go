package model

import (
	"encoding/binary"
	"math"
	"slices"
)

// DType is an element type, by its name in safetensors.
type DType string

// The element types that weights may have.
const (
	BF16 DType = "BF16" // upper half of a float32
	F16  DType = "F16"  // IEEE binary16
	F32  DType = "F32"  // IEEE binary32
)

// Size is the bytes of one element, or 0 for a type that safetensors doesn't
// define. Types narrower than a byte aren't supported.
func (d DType) Size() int {
	switch d {
	case "BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0":
		return 1
	case BF16, F16, "U16", "I16":
		return 2
	case F32, "U32", "I32":
		return 4
	case "F64", "U64", "I64":
		return 8
	}
	return 0
}

// weight reports whether Tensor.Float32 can convert the type.
func (d DType) weight() bool { return d == BF16 || d == F16 || d == F32 }

// configName is the type's name in config.json, empty if it has none there.
func (d DType) configName() string {
	switch d {
	case BF16:
		return "bfloat16"
	case F16:
		return "float16"
	case F32:
		return "float32"
	}
	return ""
}

// float16 converts IEEE binary16 bits; every such value is a float32.
func float16(bits uint16) float32 {
	sign := uint32(bits&0x8000) << 16
	exponent := uint32(bits>>10) & 0x1f
	fraction := uint32(bits & 0x3ff)
	switch exponent {
	case 0: // zero or subnormal: fraction × 2⁻²⁴ is exact in float32
		v := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// bfloat16 rounds to nearest, ties to even. v must be finite.
func bfloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// convert writes the elements of src to dst and returns the index of the first
// one that is infinite or not a number, or -1. One loop a type: this runs over
// every weight of a model.
func convert(dst []float32, d DType, src []byte) int {
	const exponent = 0x7f800000 // all its bits are set in Inf and NaN only
	finite := true
	switch d {
	case BF16:
		for i := range dst {
			bits := uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16
			finite = finite && bits&exponent != exponent
			dst[i] = math.Float32frombits(bits)
		}
	case F16:
		for i := range dst {
			dst[i] = float16(binary.LittleEndian.Uint16(src[2*i:]))
			finite = finite && math.Float32bits(dst[i])&exponent != exponent
		}
	case F32:
		for i := range dst {
			bits := binary.LittleEndian.Uint32(src[4*i:])
			finite = finite && bits&exponent != exponent
			dst[i] = math.Float32frombits(bits)
		}
	}
	if finite {
		return -1
	}
	return slices.IndexFunc(dst, func(v float32) bool { return math.Float32bits(v)&exponent == exponent })
}

// Half rounds v to IEEE binary16, to nearest, ties to even: the bits, and the value that
// they have. What is too large becomes infinite.
func Half(v float32) (bits uint16, value float32) {
	b := math.Float32bits(v)
	sign, b := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case b > 0x7f800000: // not a number
		bits = 0x7e00
	case b < 0x38800000: // below 2⁻¹⁴: a multiple of 2⁻²⁴, which a sum with 0.5 rounds to
		bits = uint16(math.Float32bits(math.Float32frombits(b)+0.5) - 0x3f000000)
	default:
		b += 0xfff + b>>13&1
		bits = uint16(min((b-0x38000000)>>13, 0x7c00))
	}
	bits |= sign
	return bits, float16(bits)
}
