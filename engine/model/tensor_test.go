package model

import (
	"encoding/binary"
	"math"
	"testing"
)

// TestFloat16 compares all 65,536 values with the definition of IEEE binary16.
func TestFloat16(t *testing.T) {
	for bits := range 1 << 16 {
		sign, exponent, fraction := 1.0, bits>>10&0x1f, float64(bits&0x3ff)
		if bits>>15 == 1 {
			sign = -1
		}
		want := sign * math.Ldexp(fraction, -24)
		switch {
		case exponent == 31 && fraction == 0:
			want = math.Inf(int(sign))
		case exponent == 31:
			want = math.NaN()
		case exponent > 0:
			want = sign * math.Ldexp(1024+fraction, exponent-25)
		}
		got := float64(float16(uint16(bits)))
		if math.IsNaN(want) != math.IsNaN(got) || !math.IsNaN(want) && (got != want || math.Signbit(got) != (sign < 0)) {
			t.Fatalf("float16(%#04x) = %v, want %v", bits, got, want)
		}
	}
}

func TestBfloat16Rounds(t *testing.T) {
	for _, c := range []struct {
		in   float32
		want uint16
	}{
		{0, 0},
		{1, 0x3f80},
		{-2, 0xc000},
		{math.Float32frombits(0x3f808000), 0x3f80}, // a tie goes to the even neighbour
		{math.Float32frombits(0x3f818000), 0x3f82},
		{math.Float32frombits(0x3f808001), 0x3f81},
		{math.Float32frombits(0x3f807fff), 0x3f80},
		{math.Float32frombits(0x3fffffff), 0x4000}, // the carry reaches the exponent
	} {
		if got := bfloat16(c.in); got != c.want {
			t.Errorf("bfloat16(%v) = %#04x, want %#04x", c.in, got, c.want)
		}
	}
}

func TestTensorFloat32(t *testing.T) {
	const half = 0x3800 // 0.5 as binary16
	inf16 := binary.LittleEndian.AppendUint16(nil, 0x7c00)
	nan32 := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	for _, c := range []struct {
		name    string
		dtype   DType
		data    []byte
		want    []float32
		refused string
	}{
		{"bf16", BF16, []byte{0x80, 0x3f, 0x00, 0xc0}, []float32{1, -2}, ""},
		{"f16", F16, binary.LittleEndian.AppendUint16([]byte{0, 0}, half), []float32{0, 0.5}, ""},
		{"f32", F32, binary.LittleEndian.AppendUint32(make([]byte, 4), math.Float32bits(1e-40)), []float32{0, 1e-40}, ""},
		{"infinite f16", F16, append([]byte{0, 0}, inf16...), []float32{0, 0}, "element 1 of shape [2] is +Inf"},
		{"NaN f32", F32, append(make([]byte, 4), nan32...), []float32{0, 0}, "element 1 of shape [2] is NaN"},
		{"NaN bf16", BF16, []byte{0xc0, 0x7f, 0, 0}, []float32{0, 0}, "element 0 of shape [2] is NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := Tensor{Name: "x", DType: c.dtype, Shape: []int{2}, Data: c.data}
			got := make([]float32, 2)
			checkError(t, x.Float32(got), ErrInvalid, c.refused)
			checkError(t, x.CheckFinite(), ErrInvalid, c.refused)
			if c.refused == "" && (got[0] != c.want[0] || got[1] != c.want[1]) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	integers := Tensor{Name: "x", DType: "I32", Shape: []int{1}, Data: make([]byte, 4)}
	checkError(t, integers.Float32(make([]float32, 1)), ErrUnsupported, "has type I32")
	short := Tensor{Name: "x", DType: F32, Shape: []int{2}, Data: make([]byte, 8)}
	if err := short.Float32(make([]float32, 1)); err == nil {
		t.Error("a destination that is too short: got no error")
	}
}

// TestCheckFiniteBlocks puts the bad element behind the first block.
func TestCheckFiniteBlocks(t *testing.T) {
	x := Tensor{Name: "x", DType: BF16, Shape: []int{50, 50}, Data: make([]byte, 5000)}
	if err := x.CheckFinite(); err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint16(x.Data[2*2345:], 0x7f80)
	checkError(t, x.CheckFinite(), ErrInvalid, "element 2345 of shape [50 50] is +Inf")
}
