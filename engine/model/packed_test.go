package model

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestHalf compares with the nearest of all binary16 values, ties to the even one.
func TestHalf(t *testing.T) {
	for bits := range 0x7c00 { // the finite ones, positive
		v := float16(uint16(bits))
		if got, back := Half(v); got != uint16(bits) || back != v {
			t.Fatalf("Half(%v) = %#04x, %v", v, got, back)
		}
		next := float32(65536) // where infinity would lie
		if bits < 0x7bff {
			next = float16(uint16(bits + 1))
		}
		middle := float32((float64(v) + float64(next)) / 2) // exact
		want := uint16(bits + bits&1)
		for _, c := range []struct {
			in   float32
			want uint16
		}{
			{middle, want},
			{math.Nextafter32(middle, 0), uint16(bits)},
			{math.Nextafter32(middle, 1e6), uint16(bits + 1)},
		} {
			if got, _ := Half(c.in); got != c.want {
				t.Fatalf("Half(%v) = %#04x, want %#04x", c.in, got, c.want)
			}
			if got, _ := Half(-c.in); got != c.want|0x8000 {
				t.Fatalf("Half(%v) = %#04x, want %#04x", -c.in, got, c.want|0x8000)
			}
		}
	}
	for in, want := range map[float32]uint16{float32(math.Inf(-1)): 0xfc00, math.MaxFloat32: 0x7c00, math.SmallestNonzeroFloat32: 0} {
		if got, _ := Half(in); got != want {
			t.Errorf("Half(%v) = %#04x, want %#04x", in, got, want)
		}
	}
	if _, v := Half(float32(math.NaN())); v == v {
		t.Errorf("Half of no number is %v", v)
	}
}

func f32(v ...float32) (data []byte) {
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return data
}

func f16(t *testing.T, v ...float32) (data []byte) {
	t.Helper()
	for _, x := range v {
		bits, back := Half(x)
		if back != x {
			t.Fatalf("%v is no binary16", x)
		}
		data = binary.LittleEndian.AppendUint16(data, bits)
	}
	return data
}

func TestPackedFloat32(t *testing.T) {
	minus := func(n int) byte { return byte(int8(-n)) }
	long := make([]byte, 65) // 130 columns: two groups
	for i := range long {
		long[i] = 0x9f // 15 and 9: +7 and +1
	}
	wide := make([]float32, 130)
	for i := range wide {
		wide[i] = []float32{7, 1}[i%2] * []float32{0.5, -0.25}[i/128]
	}
	for _, c := range []struct {
		name string
		in   Tensor
		want []float32
	}{
		{
			"int8, a scale a row, one negative",
			Tensor{DType: W8, Shape: []int{2, 3}, Data: []byte{1, minus(127), 0, 2, 127, minus(1)}, Scales: f32(0.5, -2)},
			[]float32{0.5, -63.5, 0, -4, -254, 2},
		},
		{
			"int4 with an odd row, whose last half byte means nothing",
			Tensor{DType: W4, Shape: []int{2, 3}, Data: []byte{0xf0, 0x38, 0x71, 0xe9}, Scales: f16(t, 0.25, 2)},
			[]float32{-2, 1.75, 0, -14, -2, 2},
		},
		{"two groups", Tensor{DType: W4, Shape: []int{1, 130}, Data: long, Scales: f16(t, 0.5, -0.25)}, wide},
	} {
		got := make([]float32, c.in.Len())
		if err := c.in.Float32(got); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
		if err := c.in.CheckFinite(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPackedRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		in   Tensor
		says string
	}{
		{Tensor{DType: W8, Shape: []int{2, 1}, Data: []byte{1, 1}, Scales: f32(1, nan)}, "scale of row 1"},
		{Tensor{DType: W8, Shape: []int{1, 1}, Data: []byte{1}, Scales: f32(3e38)}, "times 127"},
		{Tensor{DType: W8, Shape: []int{2, 2}, Data: []byte{1, 1, 1, 128}, Scales: f32(1, 1)}, "element 1 of row 1 is -128"},
		{Tensor{DType: W8, Shape: []int{2, 2}, Data: []byte{1, 1, 1}, Scales: f32(1, 1)}, "has 3 bytes"},
		{Tensor{DType: W8, Shape: []int{2, 2}, Data: []byte{1, 1, 1, 1}, Scales: f32(1)}, "4 of scales"},
		{Tensor{DType: W4, Shape: []int{1, 129}, Data: make([]byte, 65), Scales: f16(t, 1, inf)}, "row 0, group 1"},
		{Tensor{DType: W4, Shape: []int{1, 129}, Data: make([]byte, 65), Scales: f16(t, 1)}, "2 of scales"},
		{Tensor{DType: W4, Shape: []int{4}, Data: make([]byte, 2)}, "two dimensions"},
	} {
		for _, err := range []error{c.in.CheckFinite(), c.in.Float32(make([]float32, c.in.Len()))} {
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s of %v: got %v, want one that says %q", c.in.DType, c.in.Shape, err, c.says)
			}
		}
	}
}
